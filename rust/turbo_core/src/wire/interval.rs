//! `interval`: the `postgres` style, and its three parts. Years and months are counted in days, as
//! psycopg does.

use super::time::{self, MICROSECONDS_IN_DAY};
use super::{Bytes, Read, Refusal, digits};

const DAYS_IN_YEAR: i32 = 365;
const DAYS_IN_MONTH: i32 = 30;

/// A span as Python counts it. The parts may have any sign, and be of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub days: i32,
    pub seconds: i32,
    pub microseconds: i32,
}

/// Read `1 year 2 mons -3 days +04:05:06.7`, any part of which may be missing.
pub fn text(wire: &[u8]) -> Option<Interval> {
    let mut days = 0_i32;
    let mut words = wire.split(|byte| *byte == b' ');
    while let Some(word) = words.next() {
        if word.contains(&b':') {
            let (seconds, microseconds) = clock(word)?;
            return words.next().is_none().then_some(Interval {
                days,
                seconds,
                microseconds,
            });
        }
        let unit = match words.next()? {
            b"year" | b"years" => DAYS_IN_YEAR,
            b"mon" | b"mons" => DAYS_IN_MONTH,
            b"day" | b"days" => 1,
            _ => return None,
        };
        days = days.checked_add(signed(word)?.checked_mul(unit)?)?;
    }
    Some(Interval {
        days,
        seconds: 0,
        microseconds: 0,
    })
}

/// Read microseconds, days and months.
pub fn binary(wire: &[u8]) -> Read<Interval> {
    let mut bytes = Bytes::new(wire);
    let microseconds = i64::from_be_bytes(bytes.fixed()?);
    let days = bytes.i32()?;
    let months = bytes.i32()?;
    bytes.end()?;
    let interval = || {
        // Towards zero, the years as the months.
        let months = (months / 12)
            .checked_mul(DAYS_IN_YEAR)?
            .checked_add((months % 12).checked_mul(DAYS_IN_MONTH)?)?;
        let days = i64::from(days.checked_add(months)?);
        Some(Interval {
            days: i32::try_from(days + microseconds / MICROSECONDS_IN_DAY).ok()?,
            seconds: i32::try_from(microseconds % MICROSECONDS_IN_DAY / 1_000_000).ok()?,
            microseconds: i32::try_from(microseconds % 1_000_000).ok()?,
        })
    };
    interval().ok_or(Refusal::Unknown)
}

/// Read `-04:05:06.7` into seconds and microseconds of one sign. The hours have any number of digits.
fn clock(word: &[u8]) -> Option<(i32, i32)> {
    let (sign, rest) = split_sign(word);
    let colon = rest.iter().position(|byte| *byte == b':')?;
    let (hours, [b':', m1, m2, b':', s1, s2, fraction @ ..]) = rest.split_at_checked(colon)?
    else {
        return None;
    };
    if hours.is_empty() {
        return None;
    }
    let seconds = i32::try_from(digits(hours)?).ok()?.checked_mul(3600)?;
    let seconds = seconds.checked_add(i32::try_from(digits(&[*m1, *m2])?).ok()? * 60)?;
    let seconds = seconds.checked_add(i32::try_from(digits(&[*s1, *s2])?).ok()?)?;
    let microseconds = i32::try_from(time::microseconds(fraction)?).ok()?;
    Some((sign * seconds, sign * microseconds))
}

fn signed(word: &[u8]) -> Option<i32> {
    let (sign, rest) = split_sign(word);
    if rest.is_empty() {
        return None;
    }
    i32::try_from(digits(rest)?).ok()?.checked_mul(sign)
}

fn split_sign(word: &[u8]) -> (i32, &[u8]) {
    match word {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, word),
    }
}
