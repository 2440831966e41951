//! Whatever bytes a server sends, a parser answers: with a value that keeps its promises, or with
//! a refusal. Tests and libFuzzer feed `read()`; a broken promise is a panic.
//!
//! `corpus/wire` holds values as a server sends them, by type and format, and as `found-…` what
//! led libFuzzer further. What a longer `make fuzz` adds is brought down to what is worth keeping by
//! `cargo fuzz run wire corpus/wire ../../../target/corpus -- -set_cover_merge=1 -use_counters=0`.

#![forbid(unsafe_code)]

#[path = "../../src/wire/mod.rs"]
pub mod wire;

use wire::array::{Token, Tokens};
use wire::date::{self, Date};
use wire::range::Range;
use wire::time::{self, Time};
use wire::timestamp::{self, Timestamp};

/// Read a value as a value of every type, in both formats.
pub fn read(wire: &[u8]) {
    numbers(wire);
    bytes(wire);
    moments(wire);
    spans(wire);
    arrays(wire);
    for delimiter in [b',', b';', b'{', b'"'] {
        array_tokens(wire, delimiter);
    }
    ranges(wire);
    pairs(wire);
}

fn numbers(wire: &[u8]) {
    let _ = (wire::boolean::text(wire), wire::boolean::binary(wire));
    let _ = (wire::int::text(wire), wire::float::text(wire));
    let widths = |accepted: bool, widths: &[usize]| {
        assert!(!accepted || widths.contains(&wire.len()), "of this length");
    };
    widths(wire::boolean::binary(wire).is_ok(), &[1]);
    widths(wire::int::binary(wire).is_ok(), &[2, 4, 8]);
    widths(wire::int::binary_oid(wire).is_ok(), &[4]);
    widths(wire::float::binary(wire).is_ok(), &[4, 8]);
    if let Ok(text) = wire::numeric::binary(wire) {
        assert!(wire::numeric::is_text(text.as_bytes()), "not a number");
    }
    if wire::numeric::is_text(wire) {
        assert!(wire.is_ascii());
    }
}

fn bytes(wire: &[u8]) {
    if let Some(pairs) = wire::bytea::text(wire) {
        assert_eq!(pairs.len() * 2 + 2, wire.len());
        for pair in pairs {
            let _ = wire::bytea::byte(*pair);
        }
    }
    let _ = wire::uuid::text(wire);
    assert_eq!(wire::uuid::binary(wire).is_ok(), wire.len() == 16);
}

fn moments(wire: &[u8]) {
    let _ = (date::text(wire), time::text(wire), timestamp::text(wire));
    date::binary(wire).into_iter().for_each(assert_date);
    time::binary(wire).into_iter().for_each(assert_time);
    let utc = timestamp::text_tz(wire);
    // What came in UTC is taken as it is: Python refuses the days that there are not.
    if !wire.ends_with(b"+00") {
        utc.into_iter().for_each(assert_timestamp);
    }
    timestamp::binary(wire)
        .into_iter()
        .for_each(assert_timestamp);
}

fn assert_timestamp(Timestamp { date, time }: Timestamp) {
    assert_date(date);
    assert_time(time);
}

fn assert_date(date: Date) {
    assert!((1..=9999).contains(&date.year), "Python has no such year");
    assert_eq!(date::to_days(date).and_then(date::from_days), Some(date));
}

fn assert_time(time: Time) {
    assert!(time.hour < 24 && time.minute < 60 && time.second < 60);
    assert!(time.microsecond < 1_000_000);
}

fn spans(wire: &[u8]) {
    let binary = wire::interval::binary(wire).ok();
    for interval in wire::interval::text(wire).into_iter().chain(binary) {
        assert!(interval.microseconds.abs() < 1_000_000);
    }
}

fn arrays(wire: &[u8]) {
    if let Ok(array) = wire::array::binary(wire) {
        let count = array.lengths.iter().product::<usize>();
        assert_eq!(array.elements.is_empty(), array.lengths.is_empty());
        assert!(array.elements.is_empty() || array.elements.len() == count);
        assert!(
            !array.lengths.contains(&0),
            "rows cannot be made of nothing"
        );
        assert!(array.lengths.len() <= 6);
    }
}

fn array_tokens(wire: &[u8], delimiter: u8) {
    let mut depth = 0_usize;
    let mut tokens = 0_usize;
    for token in Tokens::new(wire, delimiter) {
        tokens += 1;
        match token {
            Ok(Token::Open) => depth += 1,
            Ok(Token::Close) => depth = depth.checked_sub(1).expect("closed once too often"),
            Ok(Token::Null | Token::Item(_)) => assert!(depth > 0, "outside of the array"),
            Err(_) => return,
        }
        assert!(depth <= 6);
    }
    assert_eq!(depth, 0, "not closed");
    assert!((2..=wire.len()).contains(&tokens), "no end, or no array");
}

fn ranges(wire: &[u8]) {
    let text = wire::range::text(wire).into_iter();
    let binary = wire::range::binary(wire).into_iter();
    for range in text.chain(binary) {
        assert_range(&range);
    }
    let texts = wire::range::multirange_text(wire).into_iter();
    let binaries = wire::range::multirange_binary(wire).into_iter();
    texts
        .chain(binaries)
        .flatten()
        .for_each(|range| assert_range(&range));
}

fn assert_range(range: &Range<'_>) {
    if let Range::Bounds { brackets, .. } = range {
        assert_eq!(brackets.len(), 2);
    }
}

fn pairs(wire: &[u8]) {
    let text = wire::hstore::text(wire).unwrap_or_default();
    // A pair takes seven characters, `""=>""` with what delimits it, and eight bytes in binary.
    assert!(text.len() <= wire.len() / 6);
    let binary = wire::hstore::binary(wire).unwrap_or_default();
    assert!(binary.len() <= wire.len() / 8);
}
