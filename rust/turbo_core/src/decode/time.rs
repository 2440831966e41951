//! `time` without time zone: `datetime.time`.

use pyo3::prelude::*;
use pyo3::types::PyTime;

use super::{Decoded, Failure};
use crate::wire::time::Time;

pub fn value(py: Python<'_>, time: Time) -> Decoded<'_> {
    // 24:00:00 is a time in PostgreSQL and none in Python: the driver's to refuse.
    match PyTime::new(
        py,
        time.hour,
        time.minute,
        time.second,
        time.microsecond,
        None,
    ) {
        Ok(time) => Ok(time.into_any()),
        Err(_) => Err(Failure::Unknown),
    }
}
