//! `hstore`: a `dict` of `str`, or `None`, by `str`.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{Decoded, text};
use crate::wire::hstore::Pair;

pub fn value<'py>(py: Python<'py>, pairs: Vec<Pair<'_>>) -> Decoded<'py> {
    let dict = PyDict::new(py);
    for (key, value) in pairs {
        let value = match value {
            Some(value) => text::value(py, &value)?,
            None => py.None().into_bound(py),
        };
        dict.set_item(text::value(py, &key)?, value)?;
    }
    Ok(dict.into_any())
}
