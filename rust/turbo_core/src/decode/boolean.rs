//! `boolean`: `bool`.

use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::Decoded;

pub fn value(py: Python<'_>, truth: bool) -> Decoded<'_> {
    Ok(PyBool::new(py, truth).to_owned().into_any())
}
