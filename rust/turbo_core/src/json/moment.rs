//! Dates, times, and spans of time. Seconds have three decimals, those of a span six, or none.

use std::fmt::Write;

use pyo3::prelude::*;
use pyo3::types::PyTzInfo;

use crate::decode::Zone;
use crate::wire::date::Date;
use crate::wire::interval::Interval;
use crate::wire::time::{MICROSECONDS_IN_DAY, Time};
use crate::wire::timestamp::Timestamp;
use crate::wire::{Read, Refusal};

/// The spans that Python has are of less days, to either side.
const MAX_DAYS: i128 = 999_999_999;

/// What stands behind a moment whose values are not converted to a time zone.
pub fn utc_suffix(py: Python<'_>, zone: &Zone) -> Option<&'static str> {
    match (&zone.zone, &zone.tzinfo) {
        (None, None) => Some(""),
        (None, Some(tzinfo)) if PyTzInfo::utc(py).is_ok_and(|utc| utc.is(tzinfo)) => Some("Z"),
        _ => None,
    }
}

pub fn timestamp(timestamp: Timestamp, suffix: &str, out: &mut String) -> Read<()> {
    let Timestamp { date, time } = timestamp;
    if !date.exists() || !time.exists() {
        return Err(Refusal::Unknown);
    }
    out.push('"');
    day(date, out);
    out.push('T');
    clock(time, out);
    out.push_str(suffix);
    out.push('"');
    Ok(())
}

pub fn date(date: Date, out: &mut String) -> Read<()> {
    if !date.exists() {
        return Err(Refusal::Unknown);
    }
    out.push('"');
    day(date, out);
    out.push('"');
    Ok(())
}

pub fn time(time: Time, out: &mut String) -> Read<()> {
    if !time.exists() {
        return Err(Refusal::Unknown);
    }
    out.push('"');
    clock(time, out);
    out.push('"');
    Ok(())
}

/// Write a span as Django's `duration_iso_string()` does.
pub fn interval(interval: Interval, out: &mut String) -> Read<()> {
    let day = i128::from(MICROSECONDS_IN_DAY);
    let span = i128::from(interval.days) * day
        + i128::from(interval.seconds) * 1_000_000
        + i128::from(interval.microseconds);
    if !(-MAX_DAYS * day..(MAX_DAYS + 1) * day).contains(&span) {
        return Err(Refusal::Unknown);
    }
    let sign = if span < 0 { "-" } else { "" };
    let span = span.abs();
    let (days, seconds, microseconds) = (span / day, span % day / 1_000_000, span % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Nothing can fail that is written to a String.
    let _ = write!(out, "\"{sign}P{days}DT{hours:02}H{minutes:02}M{seconds:02}");
    if microseconds > 0 {
        let _ = write!(out, ".{microseconds:06}");
    }
    out.push_str("S\"");
    Ok(())
}

fn day(date: Date, out: &mut String) {
    digits(date.year.unsigned_abs(), 4, out);
    out.push('-');
    digits(date.month.into(), 2, out);
    out.push('-');
    digits(date.day.into(), 2, out);
}

fn clock(time: Time, out: &mut String) {
    digits(time.hour.into(), 2, out);
    out.push(':');
    digits(time.minute.into(), 2, out);
    out.push(':');
    digits(time.second.into(), 2, out);
    if time.microsecond > 0 {
        out.push('.');
        digits(time.microsecond / 1000, 3, out);
    }
}

/// Write a number of so many digits.
fn digits(number: u32, count: u32, out: &mut String) {
    for place in (0..count).rev() {
        let digit = (number / 10_u32.pow(place) % 10) as u8;
        out.push(char::from(b'0' + digit));
    }
}
