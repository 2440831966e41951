//! `interval` in the `postgres` style, with years and months counted in days as psycopg does.

use pyo3::prelude::*;
use pyo3::types::PyDelta;

use super::{Decoded, digits, time};

const DAYS_IN_YEAR: i32 = 365;
const DAYS_IN_MONTH: i32 = 30;

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    let Some((days, seconds, microseconds)) = parse(wire) else {
        return Ok(None);
    };
    // A span that Python does not have is the driver's to refuse.
    Ok(PyDelta::new(py, days, seconds, microseconds, true)
        .ok()
        .map(Bound::into_any))
}

/// Read `1 year 2 mons -3 days +04:05:06.7`, any part of which may be missing.
fn parse(wire: &[u8]) -> Option<(i32, i32, i32)> {
    let mut days = 0_i32;
    let mut words = wire.split(|byte| *byte == b' ');
    while let Some(word) = words.next() {
        if word.contains(&b':') {
            let (seconds, microseconds) = clock(word)?;
            return words
                .next()
                .is_none()
                .then_some((days, seconds, microseconds));
        }
        let unit = match words.next()? {
            b"year" | b"years" => DAYS_IN_YEAR,
            b"mon" | b"mons" => DAYS_IN_MONTH,
            b"day" | b"days" => 1,
            _ => return None,
        };
        days = days.checked_add(signed(word)?.checked_mul(unit)?)?;
    }
    Some((days, 0, 0))
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
