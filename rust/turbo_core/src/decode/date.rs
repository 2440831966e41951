//! `date` in the ISO style, years 1 to 9999.

use pyo3::prelude::*;
use pyo3::types::PyDate;

use super::{Decoded, digits};

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    let Some((year, month, day)) = parse(wire) else {
        return Ok(None);
    };
    // A date that Python does not have is the driver's to refuse.
    Ok(PyDate::new(py, year, month, day).ok().map(Bound::into_any))
}

/// Read `YYYY-MM-DD`; the ranges are left to Python.
pub fn parse(wire: &[u8]) -> Option<(i32, u8, u8)> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = wire else {
        return None;
    };
    Some((
        digits(&[*y1, *y2, *y3, *y4])?.try_into().ok()?,
        digits(&[*m1, *m2])?.try_into().ok()?,
        digits(&[*d1, *d2])?.try_into().ok()?,
    ))
}
