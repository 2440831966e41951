//! `uuid.UUID`.

use std::fmt::Write;

use pyo3::intern;
use pyo3::prelude::*;

use super::{Refusal, Written};
use crate::pytypes;

pub fn uuid(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    let py = value.py();
    let refused = |error| Refusal::of(py, error);
    let known = pytypes::uuid(py).map_err(refused)?;
    if !known.class.makes(value) {
        return Err(Refusal::Unknown);
    }
    let number = value.getattr(intern!(py, "int")).map_err(refused)?;
    let number: u128 = number.extract().map_err(refused)?;
    write!(out, "{number:032x}").map_err(|_| Refusal::Unknown)
}
