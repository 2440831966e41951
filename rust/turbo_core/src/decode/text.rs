//! `text`, `varchar`, `char`, `name`, and whatever else a text loader is registered for: `str`.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{Decoded, Failure};

#[inline]
pub fn value<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    match PyString::from_bytes(py, wire) {
        Ok(text) => Ok(text.into_any()),
        Err(_) => Err(Failure::Unknown),
    }
}
