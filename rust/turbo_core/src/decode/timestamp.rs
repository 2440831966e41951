//! `timestamp` and `timestamp with time zone`: `datetime.datetime`.

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDateAccess, PyDateTime, PyTimeAccess, PyTzInfo, PyTzInfoAccess};

use super::{Decoded, Failure};
use crate::wire::timestamp::Timestamp;

/// Where and how the moments of `timestamp with time zone` are shown.
pub struct Zone {
    /// The session's time zone, `None` for UTC.
    pub zone: Option<Py<PyTzInfo>>,
    /// What the values say their time zone is, `None` for nothing.
    pub tzinfo: Option<Py<PyTzInfo>>,
}

pub fn value(py: Python<'_>, timestamp: Timestamp) -> Decoded<'_> {
    Ok(build(py, timestamp, None)?.into_any())
}

impl Zone {
    /// Make a value of a moment in UTC.
    pub fn value<'py>(&self, py: Python<'py>, utc: Timestamp) -> Decoded<'py> {
        let tzinfo = self.tzinfo.as_ref().map(|tzinfo| tzinfo.bind(py));
        let Some(zone) = self.zone.as_ref().map(|zone| zone.bind(py)) else {
            return Ok(build(py, utc, tzinfo)?.into_any());
        };
        // Near the first and the last year that Python has, this may fail, and is left to the driver.
        let local = zone
            .call_method1(intern!(py, "fromutc"), (build(py, utc, Some(zone))?,))
            .map_err(|error| {
                let is_out_of_range = error.is_instance_of::<PyOverflowError>(py)
                    || error.is_instance_of::<PyValueError>(py);
                match is_out_of_range {
                    true => Failure::Unknown,
                    false => Failure::Raised(error),
                }
            })?
            .cast_into_exact::<PyDateTime>()
            .map_err(|_| Failure::Unknown)?;
        if tzinfo.is_some_and(|tzinfo| local.get_tzinfo().is_some_and(|own| own.is(tzinfo))) {
            return Ok(local.into_any());
        }
        let replaced = PyDateTime::new_with_fold(
            py,
            local.get_year(),
            local.get_month(),
            local.get_day(),
            local.get_hour(),
            local.get_minute(),
            local.get_second(),
            local.get_microsecond(),
            tzinfo,
            local.get_fold(),
        );
        Ok(replaced?.into_any())
    }
}

#[inline]
fn build<'py>(
    py: Python<'py>,
    Timestamp { date, time }: Timestamp,
    tzinfo: Option<&Bound<'py, PyTzInfo>>,
) -> Result<Bound<'py, PyDateTime>, Failure> {
    // A time that there is not is the driver's to refuse.
    PyDateTime::new(
        py,
        date.year,
        date.month,
        date.day,
        time.hour,
        time.minute,
        time.second,
        time.microsecond,
        tzinfo,
    )
    .map_err(|_| Failure::Unknown)
}
