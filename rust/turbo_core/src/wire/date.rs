//! `date`: the ISO style, and days since 2000. Years 1 to 9999, those that Python has.

use super::{Read, Refusal, digits, fixed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    pub year: i32,
    pub month: u8,
    pub day: u8,
}

impl Date {
    /// Whether there is such a day, in a year that Python has.
    pub fn exists(self) -> bool {
        to_days(self).and_then(from_days) == Some(self)
    }
}

/// Days from 0000-03-01, where the count of a year's days is simplest, to 2000-01-01.
const EPOCH: i64 = 730_425;
const DAYS_IN_400_YEARS: i64 = 146_097;
const DAYS_IN_100_YEARS: i64 = 36_524;
const DAYS_IN_4_YEARS: i64 = 1_461;
const DAYS_IN_YEAR: i64 = 365;

/// Read `YYYY-MM-DD`; that there is such a day is left to Python.
#[inline]
pub fn text(wire: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = wire else {
        return None;
    };
    Some(Date {
        year: digits(&[*y1, *y2, *y3, *y4])?.try_into().ok()?,
        month: digits(&[*m1, *m2])?.try_into().ok()?,
        day: digits(&[*d1, *d2])?.try_into().ok()?,
    })
}

pub fn binary(wire: &[u8]) -> Read<Date> {
    let days = i32::from_be_bytes(fixed(wire)?);
    from_days(days.into()).ok_or(Refusal::Unknown)
}

/// The date so many days after 2000-01-01, if Python has it.
pub fn from_days(days: i64) -> Option<Date> {
    let days = days.checked_add(EPOCH)?;
    let era = days.div_euclid(DAYS_IN_400_YEARS);
    let day_of_era = days.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / (DAYS_IN_4_YEARS - 1)
        + day_of_era / DAYS_IN_100_YEARS
        - day_of_era / (DAYS_IN_400_YEARS - 1))
        / DAYS_IN_YEAR;
    let day_of_year =
        day_of_era - (DAYS_IN_YEAR * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months counted from March.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if !(1..=9999).contains(&year) {
        return None;
    }
    Some(Date {
        year: year.try_into().ok()?,
        month: month.try_into().ok()?,
        day: day.try_into().ok()?,
    })
}

/// The days from 2000-01-01 to a date, whose month has to be one.
pub fn to_days(date: Date) -> Option<i64> {
    let month = i64::from(date.month);
    if !(1..=12).contains(&month) {
        return None;
    }
    let year = i64::from(date.year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + i64::from(date.day) - 1;
    let day_of_era =
        year_of_era * DAYS_IN_YEAR + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * DAYS_IN_400_YEARS + day_of_era - EPOCH)
}
