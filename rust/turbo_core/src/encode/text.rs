//! `str`.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::Refusal;

pub fn text<'a>(value: &'a Bound<'_, PyAny>) -> Result<&'a str, Refusal> {
    let value = value
        .cast_exact::<PyString>()
        .map_err(|_| Refusal::Unknown)?;
    // Half of a surrogate pair has no UTF-8.
    value.to_str().map_err(|_| Refusal::Unknown)
}
