//! `date`: `datetime.date`.

use pyo3::prelude::*;
use pyo3::types::PyDate;

use super::{Decoded, Failure};
use crate::wire::date::Date;

pub fn value(py: Python<'_>, date: Date) -> Decoded<'_> {
    // A day that there is not is the driver's to refuse.
    match PyDate::new(py, date.year, date.month, date.day) {
        Ok(date) => Ok(date.into_any()),
        Err(_) => Err(Failure::Unknown),
    }
}
