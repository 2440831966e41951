//! `real` and `double precision`.

use pyo3::prelude::*;
use pyo3::types::PyFloat;

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Option<Bound<'py, PyAny>> {
    let number: f64 = std::str::from_utf8(wire).ok()?.parse().ok()?;
    Some(PyFloat::new(py, number).into_any())
}
