//! Ranges and multiranges of any type: `[1,"2 ""x"")`, and flags with the bounds behind them.

use std::borrow::Cow;

use super::{Bytes, Read, Refusal};

#[derive(Debug, PartialEq, Eq)]
pub enum Range<'a> {
    Empty,
    Bounds {
        lower: Option<Cow<'a, [u8]>>,
        upper: Option<Cow<'a, [u8]>>,
        /// Which bounds are inclusive, as Python's and SQL's notation has it: `[)`.
        brackets: &'static str,
    },
}

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

pub fn text(wire: &[u8]) -> Option<Range<'_>> {
    if wire == b"empty" {
        return Some(Range::Empty);
    }
    match bounds(wire)? {
        (range, []) => Some(range),
        _ => None,
    }
}

/// Read the ranges of a multirange, which are never empty.
pub fn multirange_text(wire: &[u8]) -> Option<Vec<Range<'_>>> {
    let mut ranges = Vec::new();
    if wire == b"{}" {
        return Some(ranges);
    }
    let mut rest = wire.strip_prefix(b"{")?;
    loop {
        let (range, behind) = bounds(rest)?;
        ranges.push(range);
        match behind {
            [b'}'] => return Some(ranges),
            [b',', behind @ ..] => rest = behind,
            _ => return None,
        }
    }
}

pub fn binary(wire: &[u8]) -> Read<Range<'_>> {
    let mut bytes = Bytes::new(wire);
    let [flags] = bytes.fixed()?;
    let is_set = |flag: u8| flags & flag != 0;
    let range = if is_set(EMPTY) {
        Range::Empty
    } else {
        let mut bound = |infinite: u8| match is_set(infinite) {
            true => Ok(None),
            false => bytes
                .value()?
                .map(Cow::Borrowed)
                .map(Some)
                .ok_or(Refusal::Malformed),
        };
        Range::Bounds {
            lower: bound(LOWER_INFINITE)?,
            upper: bound(UPPER_INFINITE)?,
            brackets: brackets(is_set(LOWER_INCLUSIVE), is_set(UPPER_INCLUSIVE)),
        }
    };
    bytes.end()?;
    Ok(range)
}

pub fn multirange_binary(wire: &[u8]) -> Read<Vec<Range<'_>>> {
    let mut bytes = Bytes::new(wire);
    let count = bytes.count()?;
    let mut ranges = Vec::new();
    for _ in 0..count {
        ranges.push(binary(bytes.value()?.ok_or(Refusal::Malformed)?)?);
    }
    bytes.end()?;
    Ok(ranges)
}

fn brackets(lower_inclusive: bool, upper_inclusive: bool) -> &'static str {
    match (lower_inclusive, upper_inclusive) {
        (true, true) => "[]",
        (true, false) => "[)",
        (false, true) => "(]",
        (false, false) => "()",
    }
}

/// Read one range that is not empty, and return what stands behind it.
fn bounds(wire: &[u8]) -> Option<(Range<'_>, &[u8])> {
    let (lower_inclusive, rest) = match wire {
        [b'[', rest @ ..] => (true, rest),
        [b'(', rest @ ..] => (false, rest),
        _ => return None,
    };
    let (lower, rest) = bound(rest)?;
    let (upper, rest) = bound(rest.strip_prefix(b",")?)?;
    let (upper_inclusive, rest) = match rest {
        [b']', rest @ ..] => (true, rest),
        [b')', rest @ ..] => (false, rest),
        _ => return None,
    };
    let range = Range::Bounds {
        lower,
        upper,
        brackets: brackets(lower_inclusive, upper_inclusive),
    };
    Some((range, rest))
}

/// A bound, `None` where there is none, and what stands behind it.
type Bound<'a> = (Option<Cow<'a, [u8]>>, &'a [u8]);

fn bound(wire: &[u8]) -> Option<Bound<'_>> {
    if let [b'"', text @ ..] = wire {
        let (item, rest) = undoubled(text)?;
        return Some((Some(item), rest));
    }
    let ends = |byte: &u8| matches!(byte, b',' | b')' | b']');
    let (item, rest) = wire.split_at_checked(wire.iter().position(ends)?)?;
    // PostgreSQL quotes whatever might be mistaken for something else.
    let is_odd = |byte: &u8| {
        matches!(byte, b'"' | b'\\' | b'(' | b'[' | b'{' | b'}') || byte.is_ascii_whitespace()
    };
    if item.iter().any(is_odd) {
        return None;
    }
    let item = (!item.is_empty()).then_some(Cow::Borrowed(item));
    Some((item, rest))
}

/// Read to the closing quote. Quotes and backslashes before it are doubled.
fn undoubled(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let special = |text: &[u8]| text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    let (plain, mut rest) = text.split_at_checked(special(text)?)?;
    let mut item = Cow::Borrowed(plain);
    loop {
        match rest {
            [b'"', b'"', behind @ ..] | [b'\\', b'\\', behind @ ..] => {
                let item = item.to_mut();
                item.extend(rest.first());
                let (plain, behind) = behind.split_at_checked(special(behind)?)?;
                item.extend_from_slice(plain);
                rest = behind;
            }
            [b'"', behind @ ..] => return Some((item, behind)),
            _ => return None,
        }
    }
}
