//! `int`, for the three integer types.

use std::fmt::Write;

use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::{Refusal, Written};

pub fn int(value: &Bound<'_, PyAny>, min: i64, max: i64, out: &mut String) -> Written {
    let number = number(value)?;
    // The server's refusal of any other number is Django's to ask for.
    if number < min || number > max {
        return Err(Refusal::Unknown);
    }
    digits(number, out)
}

/// Read an `int`, but no `bool`, that fits.
pub fn number(value: &Bound<'_, PyAny>) -> Result<i64, Refusal> {
    let value = value.cast_exact::<PyInt>().map_err(|_| Refusal::Unknown)?;
    value
        .extract()
        .map_err(|error| Refusal::of(value.py(), error))
}

pub fn digits(number: i64, out: &mut String) -> Written {
    write!(out, "{number}").map_err(|_| Refusal::Unknown)
}
