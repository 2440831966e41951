//! The members of objects that are nested in each other, as Python code describes them.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::error::{Error, deeper};
use crate::rows::Item;

/// A member of an object: the name that it has in JSON, and what its value is made of.
pub enum Member<'py> {
    /// The value by a name of the plan's.
    Value(Bound<'py, PyString>, Bound<'py, PyString>),
    /// An object of members, and whether it may be null.
    Object(Bound<'py, PyString>, Vec<Member<'py>>, bool),
    /// The JSON of related rows by a value, and whether there may be many.
    Related(
        Bound<'py, PyString>,
        Bound<'py, PyString>,
        Bound<'py, PyDict>,
        bool,
    ),
}

/// Read a list of members: of tuples, which have two, three, or four items.
pub fn members<'py>(described: &Bound<'py, PyAny>, depth: usize) -> PyResult<Vec<Member<'py>>> {
    let described: Vec<Bound<'py, PyTuple>> = described.extract()?;
    let depth = deeper(depth)?;
    let member = |member: &Bound<'py, PyTuple>| match member.len() {
        2 => {
            let (name, value) = member.extract()?;
            Ok(Member::Value(name, value))
        }
        3 => {
            let (name, inner, may_be_null): (_, Bound<'py, PyAny>, _) = member.extract()?;
            Ok(Member::Object(name, members(&inner, depth)?, may_be_null))
        }
        _ => {
            let (name, key, by_key, many) = member.extract()?;
            Ok(Member::Related(name, key, by_key, many))
        }
    };
    described.iter().map(member).collect()
}

/// The item that has a name: of equal names, the last.
pub fn item<'a>(
    py: Python<'_>,
    entries: &'a [(Py<PyString>, Item)],
    name: &Bound<'_, PyString>,
) -> PyResult<&'a Item> {
    let name = name.to_str()?;
    for (other, item) in entries.iter().rev() {
        if other.bind(py).to_str()? == name {
            return Ok(item);
        }
    }
    Err(Error::NoSuchName(name.to_owned()).into())
}
