//! `time` without time zone.

use pyo3::prelude::*;
use pyo3::types::PyTime;

use super::{Decoded, digits};

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    let Some((hour, minute, second, microsecond)) = parse(wire) else {
        return Ok(None);
    };
    // 24:00:00 is a time in PostgreSQL and none in Python: the driver's to refuse.
    Ok(PyTime::new(py, hour, minute, second, microsecond, None)
        .ok()
        .map(Bound::into_any))
}

/// Read `HH:MM:SS` with up to six digits behind the point; the ranges are left to Python.
pub fn parse(wire: &[u8]) -> Option<(u8, u8, u8, u32)> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, fraction @ ..] = wire else {
        return None;
    };
    Some((
        digits(&[*h1, *h2])?.try_into().ok()?,
        digits(&[*m1, *m2])?.try_into().ok()?,
        digits(&[*s1, *s2])?.try_into().ok()?,
        microseconds(fraction)?,
    ))
}

/// Read a fraction of a second: nothing, or a point and one to six digits.
pub fn microseconds(fraction: &[u8]) -> Option<u32> {
    let digits_only = match fraction {
        [] => return Some(0),
        [b'.', rest @ ..] => rest,
        _ => return None,
    };
    let missing = 6_usize
        .checked_sub(digits_only.len())
        .filter(|missing| *missing < 6)?;
    digits(digits_only)?.checked_mul(10_u32.pow(u32::try_from(missing).ok()?))
}
