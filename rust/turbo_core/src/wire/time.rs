//! `time` without time zone: `HH:MM:SS` with a fraction, and microseconds.

use super::{Read, Refusal, digits, fixed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub microsecond: u32,
}

impl Time {
    /// Whether Python has such a time.
    pub fn exists(self) -> bool {
        self.hour < 24 && self.minute < 60 && self.second < 60
    }
}

const MICROSECONDS: i64 = 1_000_000;
pub const MICROSECONDS_IN_DAY: i64 = 86_400 * MICROSECONDS;

/// Read `HH:MM:SS` with up to six digits behind the point; the ranges are left to Python.
#[inline]
pub fn text(wire: &[u8]) -> Option<Time> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, fraction @ ..] = wire else {
        return None;
    };
    Some(Time {
        hour: digits(&[*h1, *h2])?.try_into().ok()?,
        minute: digits(&[*m1, *m2])?.try_into().ok()?,
        second: digits(&[*s1, *s2])?.try_into().ok()?,
        microsecond: microseconds(fraction)?,
    })
}

pub fn binary(wire: &[u8]) -> Read<Time> {
    match i64::from_be_bytes(fixed(wire)?) {
        // 24:00:00 is a time in PostgreSQL and none in Python.
        MICROSECONDS_IN_DAY => Err(Refusal::Unknown),
        microseconds => of_day(microseconds).ok_or(Refusal::Malformed),
    }
}

/// The time so many microseconds after midnight.
pub fn of_day(microseconds: i64) -> Option<Time> {
    if !(0..MICROSECONDS_IN_DAY).contains(&microseconds) {
        return None;
    }
    let seconds = microseconds / MICROSECONDS;
    Some(Time {
        hour: (seconds / 3600).try_into().ok()?,
        minute: (seconds / 60 % 60).try_into().ok()?,
        second: (seconds % 60).try_into().ok()?,
        microsecond: (microseconds % MICROSECONDS).try_into().ok()?,
    })
}

/// Read a fraction of a second: nothing, or a point and one to six digits.
#[inline]
pub fn microseconds(fraction: &[u8]) -> Option<u32> {
    let digits_only = match fraction {
        [] => return Some(0),
        [b'.', rest @ ..] => rest,
        _ => return None,
    };
    let missing = 6_usize
        .checked_sub(digits_only.len())
        .filter(|missing| *missing < 6)?;
    digits(digits_only)?.checked_mul(10_u32.pow(u32::try_from(missing).ok()?))
}
