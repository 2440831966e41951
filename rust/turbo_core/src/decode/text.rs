//! `text`, `varchar`, `char`, `name`, and whatever else a text loader is registered for.

use pyo3::prelude::*;
use pyo3::types::PyString;

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Option<Bound<'py, PyAny>> {
    PyString::from_bytes(py, wire).ok().map(Bound::into_any)
}
