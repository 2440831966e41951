//! `timestamp` and `timestamp with time zone`: the ISO style, and microseconds since 2000.

use super::date::{self, Date};
use super::time::{self, MICROSECONDS_IN_DAY, Time};
use super::{Read, Refusal, digits, fixed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    pub date: Date,
    pub time: Time,
}

const SECONDS_IN_DAY: i64 = 86_400;

/// Read `YYYY-MM-DD HH:MM:SS` with a fraction.
#[inline]
pub fn text(wire: &[u8]) -> Option<Timestamp> {
    let (date, rest) = wire.split_at_checked(10)?;
    Some(Timestamp {
        date: date::text(date)?,
        time: time::text(rest.strip_prefix(b" ")?)?,
    })
}

/// Read the same with an offset from UTC behind it, as the time that it is in UTC.
#[inline]
pub fn text_tz(wire: &[u8]) -> Option<Timestamp> {
    if let Some(utc) = wire.strip_suffix(b"+00") {
        return text(utc);
    }
    // The sign stands behind the date and the time without its fraction.
    let sign = wire
        .iter()
        .skip(19)
        .position(|byte| matches!(byte, b'+' | b'-'))?;
    let (local, offset) = wire.split_at_checked(19 + sign)?;
    shifted(text(local)?, -seconds_east(offset)?)
}

pub fn binary(wire: &[u8]) -> Read<Timestamp> {
    let microseconds = i64::from_be_bytes(fixed(wire)?);
    let date = date::from_days(microseconds.div_euclid(MICROSECONDS_IN_DAY));
    let time = time::of_day(microseconds.rem_euclid(MICROSECONDS_IN_DAY));
    match (date, time) {
        (Some(date), Some(time)) => Ok(Timestamp { date, time }),
        _ => Err(Refusal::Unknown),
    }
}

/// Read `+HH`, `-HH:MM` or `+HH:MM:SS`.
fn seconds_east(offset: &[u8]) -> Option<i64> {
    let (sign, rest) = match offset {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes, seconds) = match rest {
        [h1, h2] => ([*h1, *h2], [b'0'; 2], [b'0'; 2]),
        [h1, h2, b':', m1, m2] => ([*h1, *h2], [*m1, *m2], [b'0'; 2]),
        [h1, h2, b':', m1, m2, b':', s1, s2] => ([*h1, *h2], [*m1, *m2], [*s1, *s2]),
        _ => return None,
    };
    let seconds = digits(&hours)? * 3600 + digits(&minutes)? * 60 + digits(&seconds)?;
    Some(sign * i64::from(seconds))
}

/// The timestamp so many seconds later, if it exists and Python has it.
fn shifted(timestamp: Timestamp, seconds: i64) -> Option<Timestamp> {
    let Timestamp { date, time } = timestamp;
    // A day that its month does not have would come out as another one.
    if !time.exists() || !date.exists() {
        return None;
    }
    let second_of_day =
        i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second);
    let second_of_day = second_of_day + seconds;
    let days = date::to_days(date)? + second_of_day.div_euclid(SECONDS_IN_DAY);
    let of_day = time::of_day(second_of_day.rem_euclid(SECONDS_IN_DAY) * 1_000_000)?;
    Some(Timestamp {
        date: date::from_days(days)?,
        time: Time {
            microsecond: time.microsecond,
            ..of_day
        },
    })
}
