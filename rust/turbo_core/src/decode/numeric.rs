//! `numeric`.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::Decoded;
use crate::pytypes;

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    let Ok(text) = PyString::from_bytes(py, wire) else {
        return Ok(None);
    };
    pytypes::decimal(py)?.call1((text,)).map(Some)
}
