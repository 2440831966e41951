//! `uuid`: `uuid.UUID`.

use pyo3::prelude::*;

use super::Decoded;
use crate::pytypes;

/// `UUID.__init__` takes 2 µs to arrive at these two slots.
pub fn value(py: Python<'_>, number: u128) -> Decoded<'_> {
    let known = pytypes::uuid(py)?;
    let uuid = known.class.make(py)?;
    let number = number.into_pyobject(py).map_err(PyErr::from)?;
    known.int.set(&uuid, &number)?;
    known.is_safe.set(&uuid, known.unknown.bind(py))?;
    Ok(uuid)
}
