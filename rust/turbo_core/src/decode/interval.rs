//! `interval`: `datetime.timedelta`.

use pyo3::prelude::*;
use pyo3::types::PyDelta;

use super::{Decoded, Failure};
use crate::wire::interval::Interval;

pub fn value(py: Python<'_>, interval: Interval) -> Decoded<'_> {
    let Interval {
        days,
        seconds,
        microseconds,
    } = interval;
    // A span that Python does not have is the driver's to refuse.
    match PyDelta::new(py, days, seconds, microseconds, true) {
        Ok(span) => Ok(span.into_any()),
        Err(_) => Err(Failure::Unknown),
    }
}
