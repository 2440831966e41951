//! What `datetime` has: dates, times of day, moments and intervals.

use std::fmt::Write;

use pyo3::prelude::*;
use pyo3::types::{
    PyDate, PyDateAccess, PyDateTime, PyDelta, PyTime, PyTimeAccess, PyTzInfo, PyTzInfoAccess,
};

use super::{Refusal, Written, shown};

pub fn date(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    let date = value.cast_exact::<PyDate>().map_err(|_| Refusal::Unknown)?;
    day(date, out)
}

/// A time of day. With a time zone it would be of another type.
pub fn time(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    let time = value.cast_exact::<PyTime>().map_err(|_| Refusal::Unknown)?;
    if time.get_tzinfo().is_some() {
        return Err(Refusal::Unknown);
    }
    clock(time, out)
}

/// Whether a moment says no time zone.
pub fn is_naive(value: &Bound<'_, PyAny>) -> Result<bool, Refusal> {
    Ok(moment(value)?.get_tzinfo().is_none())
}

/// A moment that says no time zone.
pub fn timestamp(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    let moment = moment(value)?;
    if moment.get_tzinfo().is_some() {
        return Err(Refusal::Unknown);
    }
    day(moment, out)?;
    out.push(' ');
    clock(moment, out)
}

/// A moment that says its time zone.
pub fn timestamptz(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    let moment = moment(value)?;
    let py = moment.py();
    let zone = moment.get_tzinfo().ok_or(Refusal::Unknown)?;
    let utc = PyTzInfo::utc(py).map_err(|error| Refusal::of(py, error))?;
    if zone.is(utc) {
        day(moment, out)?;
        out.push(' ');
        clock(moment, out)?;
        out.push_str("+00:00");
        return Ok(());
    }
    let mut has_offset = false;
    shown(value, &mut |text| {
        // A zone may know no offset, and the moment is naive then.
        has_offset = text.get(19..).is_some_and(|rest| rest.contains(['+', '-']));
        out.push_str(text);
    })?;
    has_offset.then_some(()).ok_or(Refusal::Unknown)
}

/// An interval as psycopg writes it for every `IntervalStyle` but one.
pub fn interval(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    let interval = value
        .cast_exact::<PyDelta>()
        .map_err(|_| Refusal::Unknown)?;
    shown(interval, &mut |text| {
        // With days it has a space, and a comma, which PostgreSQL does not need.
        let quote = if text.contains(' ') { "\"" } else { "" };
        out.push_str(quote);
        text.split(',').for_each(|part| out.push_str(part));
        out.push_str(quote);
    })
}

fn moment<'a, 'py>(value: &'a Bound<'py, PyAny>) -> Result<&'a Bound<'py, PyDateTime>, Refusal> {
    value
        .cast_exact::<PyDateTime>()
        .map_err(|_| Refusal::Unknown)
}

fn day(date: &impl PyDateAccess, out: &mut String) -> Written {
    let (year, month, day) = (date.get_year(), date.get_month(), date.get_day());
    write!(out, "{year:04}-{month:02}-{day:02}").map_err(|_| Refusal::Unknown)
}

fn clock(time: &impl PyTimeAccess, out: &mut String) -> Written {
    let (hour, minute, second) = (time.get_hour(), time.get_minute(), time.get_second());
    let written = match time.get_microsecond() {
        0 => write!(out, "{hour:02}:{minute:02}:{second:02}"),
        fraction => write!(out, "{hour:02}:{minute:02}:{second:02}.{fraction:06}"),
    };
    written.map_err(|_| Refusal::Unknown)
}
