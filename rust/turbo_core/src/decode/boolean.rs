//! `boolean`, sent as `t` or `f`.

use pyo3::prelude::*;
use pyo3::types::PyBool;

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Option<Bound<'py, PyAny>> {
    match wire {
        b"t" => Some(PyBool::new(py, true).to_owned().into_any()),
        b"f" => Some(PyBool::new(py, false).to_owned().into_any()),
        _ => None,
    }
}
