//! `real` and `double precision`: `float`.

use pyo3::prelude::*;
use pyo3::types::PyFloat;

use super::Decoded;

pub fn value(py: Python<'_>, number: f64) -> Decoded<'_> {
    Ok(PyFloat::new(py, number).into_any())
}
