//! `timestamp` and `timestamp with time zone` in the ISO style.

use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyTzInfo};

use super::{Decoded, date, time};

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    Ok(build(py, wire, None))
}

/// Read a value of a session whose time zone is UTC, and give it the time zone that is asked for.
pub fn decode_utc<'py>(
    py: Python<'py>,
    wire: &[u8],
    tzinfo: Option<&Bound<'py, PyTzInfo>>,
) -> Decoded<'py> {
    Ok(wire
        .strip_suffix(b"+00")
        .and_then(|wall| build(py, wall, tzinfo)))
}

fn build<'py>(
    py: Python<'py>,
    wire: &[u8],
    tzinfo: Option<&Bound<'py, PyTzInfo>>,
) -> Option<Bound<'py, PyAny>> {
    let (day_part, time_part) = wire.split_at_checked(10)?;
    let (year, month, day) = date::parse(day_part)?;
    let (hour, minute, second, microsecond) = time::parse(time_part.strip_prefix(b" ")?)?;
    // Years that Python does not have are the driver's to refuse.
    PyDateTime::new(
        py,
        year,
        month,
        day,
        hour,
        minute,
        second,
        microsecond,
        tzinfo,
    )
    .ok()
    .map(Bound::into_any)
}
