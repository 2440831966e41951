//! What is spelled as PostgreSQL spells it is read as what it was.

mod encoders;

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use turbo_core_fuzz::wire::array::{self, Token, Tokens};
use turbo_core_fuzz::wire::date::{self, Date};
use turbo_core_fuzz::wire::interval::{self, Interval};
use turbo_core_fuzz::wire::range::{self, Range};
use turbo_core_fuzz::wire::time::{self, MICROSECONDS_IN_DAY};
use turbo_core_fuzz::wire::{boolean, bytea, float, hstore, int, numeric, timestamp, uuid};

const FIRST_DAY: i64 = -730_119; // 0001-01-01, from 2000-01-01
const LAST_DAY: i64 = 2_921_939; // 9999-12-31

#[test]
fn every_day_that_python_has() {
    let is_leap = |year: i32| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut day = FIRST_DAY;
    for year in 1..=9999 {
        for month in 1..=12 {
            let days = match month {
                2 => 28 + u8::from(is_leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            for of_month in 1..=days {
                let date = Date {
                    year,
                    month,
                    day: of_month,
                };
                assert_eq!(date::from_days(day), Some(date));
                assert_eq!(date::to_days(date), Some(day));
                day += 1;
            }
        }
    }
    assert_eq!(day - 1, LAST_DAY);
    for outside in [
        FIRST_DAY - 1,
        LAST_DAY + 1,
        i64::MIN,
        i64::MAX,
        i64::MAX - 730_425,
    ] {
        assert_eq!(date::from_days(outside), None);
    }
}

#[test]
fn truths() {
    for (truth, text, binary) in [(true, b"t", [1]), (false, b"f", [0])] {
        assert_eq!(boolean::text(text), Some(truth));
        assert_eq!(boolean::binary(&binary), Ok(truth));
    }
}

#[test]
fn texts_that_only_python_takes_for_numbers() {
    for text in [
        "", "-", "+1", "1.", ".5", "1.2.3", "1..2", "1e5", "1_0", " 1", "nan", "--1",
    ] {
        assert!(!numeric::is_text(text.as_bytes()), "{text}");
    }
}

#[test]
fn texts_that_are_left_to_the_driver() {
    let ints = [
        "",
        "-",
        "--1",
        "+1",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551617",
    ];
    let spans = [
        "2147483647 years",
        "-2147483648 days -1 mons",
        "1 day ago",
        "1",
        "600000:00:00",
    ];
    let times = [
        "12:00:00.",
        "12:00:00.1234567",
        "12:00",
        "12:00:00+01",
        "1:00:00",
    ];
    let moments = [
        "2024-01-01 24:00:00+01",
        "2024-02-30 12:00:00+01",
        "9999-12-31 23:00:00-02",
    ];
    let moments = moments.map(|text| timestamp::text_tz(text.as_bytes()));
    assert_eq!(moments, [None; 3]);
    assert_eq!(ints.map(|text| int::text(text.as_bytes())), [None; 7]);
    assert_eq!(spans.map(|text| interval::text(text.as_bytes())), [None; 5]);
    assert_eq!(times.map(|text| time::text(text.as_bytes())), [None; 5]);
    assert_eq!(
        ["abcd", "\\x0", "\\X00"].map(|text| bytea::text(text.as_bytes())),
        [None; 3]
    );
}

/// A value with a byte behind its end.
fn longer(wire: &[u8]) -> Vec<u8> {
    [wire, b"\0"].concat()
}

/// An array of one to three dimensions: their lengths, and its elements.
fn arrays() -> impl Strategy<Value = (Vec<usize>, Vec<Option<Vec<u8>>>)> {
    vec(1_usize..4, 1..4).prop_flat_map(|lengths| {
        let count = lengths.iter().product::<usize>();
        (Just(lengths), vec(element(), count))
    })
}

/// Bytes that have to be quoted as often as not, or NULL.
fn element() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        Just(Some(b"NULL".to_vec())),
        r#"[a-c0-9,;{}()\[\]"\\ ]{0,6}"#.prop_map(|text| Some(text.into_bytes())),
        vec(any::<u8>(), 0..6).prop_map(Some),
    ]
}

fn bounds() -> impl Strategy<Value = Range<'static>> {
    let brackets = prop::sample::select(["[]", "[)", "(]", "()"].as_slice());
    (element(), element(), brackets).prop_map(|(lower, upper, brackets)| Range::Bounds {
        lower: lower.map(Cow::Owned),
        upper: upper.map(Cow::Owned),
        brackets,
    })
}

fn microseconds(interval: Interval) -> i64 {
    let seconds = i64::from(interval.days) * 86_400 + i64::from(interval.seconds);
    seconds * 1_000_000 + i64::from(interval.microseconds)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(20_000_101),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn integers(number: i64, oid: u32) {
        prop_assert_eq!(int::text(number.to_string().as_bytes()), Some(number));
        prop_assert_eq!(int::binary(&number.to_be_bytes()), Ok(number));
        let [small, medium] = [number as i16 as i64, number as i32 as i64];
        prop_assert_eq!(int::binary(&(small as i16).to_be_bytes()), Ok(small));
        prop_assert_eq!(int::binary(&(medium as i32).to_be_bytes()), Ok(medium));
        prop_assert_eq!(int::binary_oid(&oid.to_be_bytes()), Ok(i64::from(oid)));
        prop_assert_eq!(int::text(oid.to_string().as_bytes()), Some(i64::from(oid)));
    }

    #[test]
    fn numbers_that_are_no_integers(bits: u64, small: f32) {
        let number = f64::from_bits(bits);
        let read = float::binary(&number.to_be_bytes()).map(f64::to_bits);
        prop_assert_eq!(read, Ok(bits));
        let small_read = float::binary(&small.to_be_bytes()).map(f64::to_bits);
        prop_assert_eq!(small_read, Ok(f64::from(small).to_bits()));
        if number.is_finite() {
            for text in [format!("{number}"), format!("{number:e}")] {
                prop_assert_eq!(float::text(text.as_bytes()).map(f64::to_bits), Some(bits));
            }
        }
    }

    #[test]
    fn decimals(text in "-?(0|[1-9][0-9]{0,30}|[1-9]0{1,40})(\\.[0-9]{1,30}|\\.0{1,20}[1-9])?") {
        let is_zero = !text.contains(|character| matches!(character, '1'..='9'));
        let text = if is_zero { text.replace('-', "") } else { text };
        prop_assert!(numeric::is_text(text.as_bytes()));
        prop_assert!(numeric::binary(&longer(&encoders::numeric(&text))).is_err());
        prop_assert_eq!(numeric::binary(&encoders::numeric(&text)), Ok(text));
    }

    #[test]
    fn bytes(value: Vec<u8>) {
        let text = encoders::bytea(&value);
        let pairs = bytea::text(&text).unwrap_or_default();
        let read: Option<Vec<u8>> = pairs.iter().map(|pair| bytea::byte(*pair)).collect();
        prop_assert_eq!(read, Some(value));
    }

    #[test]
    fn uuids(number: u128) {
        prop_assert_eq!(uuid::text(encoders::uuid(number).as_bytes()), Some(number));
        prop_assert_eq!(uuid::binary(&number.to_be_bytes()), Ok(number));
    }

    #[test]
    fn days(day in FIRST_DAY..=LAST_DAY) {
        let date = date::from_days(day).expect("a day that Python has");
        prop_assert_eq!(date::text(encoders::date(date).as_bytes()), Some(date));
        let binary = i32::try_from(day).expect("a day of PostgreSQL").to_be_bytes();
        prop_assert_eq!(date::binary(&binary), Ok(date));
    }

    #[test]
    fn times(microsecond in 0..MICROSECONDS_IN_DAY) {
        let time = time::of_day(microsecond).expect("a time of a day");
        prop_assert_eq!(time::text(encoders::time(time).as_bytes()), Some(time));
        prop_assert_eq!(time::binary(&microsecond.to_be_bytes()), Ok(time));
    }

    #[test]
    fn moments(
        day in FIRST_DAY..=LAST_DAY,
        microsecond in 0..MICROSECONDS_IN_DAY,
        east in -15 * 3600..15 * 3600_i64,
    ) {
        let binary = (day * MICROSECONDS_IN_DAY + microsecond).to_be_bytes();
        let utc = timestamp::binary(&binary).expect("a moment that Python has");
        prop_assert_eq!(utc.date, date::from_days(day).expect("that day"));
        prop_assert_eq!(utc.time, time::of_day(microsecond).expect("that time"));
        prop_assert_eq!(timestamp::text(encoders::timestamp(utc).as_bytes()), Some(utc));
        // The same moment as a session in another time zone is sent it.
        let there = day * MICROSECONDS_IN_DAY + microsecond + east * 1_000_000;
        if let Ok(local) = timestamp::binary(&there.to_be_bytes()) {
            let text = encoders::timestamp(local) + &encoders::offset(east);
            prop_assert_eq!(timestamp::text_tz(text.as_bytes()), Some(utc));
        }
    }

    #[test]
    fn spans(
        months in -12 * 10_000..12 * 10_000_i32,
        days in -1_000_000..1_000_000_i32,
        microsecond in -1_000_000_000_000_000..1_000_000_000_000_000_i64,
    ) {
        let text = encoders::interval(months, days, microsecond);
        let binary =
            [&microsecond.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat();
        let expected = i64::from(months / 12 * 365 + months % 12 * 30 + days)
            * MICROSECONDS_IN_DAY
            + microsecond;
        prop_assert_eq!(interval::binary(&binary).map(microseconds), Ok(expected));
        prop_assert!(interval::binary(&longer(&binary)).is_err());
        prop_assert_eq!(interval::text(text.as_bytes()).map(microseconds), Some(expected));
    }

    #[test]
    fn lists((lengths, elements) in arrays(), delimiter in prop::sample::select(vec![b',', b';'])) {
        let text = encoders::array(&lengths, &elements, delimiter);
        let tokens: Result<Vec<_>, _> = Tokens::new(&text, delimiter).collect();
        let tokens = tokens.expect("an array");
        let read: Vec<Option<Vec<u8>>> = tokens
            .iter()
            .filter_map(|token| match token {
                Token::Open | Token::Close => None,
                Token::Null => Some(None),
                Token::Item(item) => Some(Some(item.to_vec())),
            })
            .collect();
        prop_assert_eq!(&read, &elements);
        let opened = tokens.iter().filter(|token| **token == Token::Open).count();
        let lists = lengths.iter().rev().skip(1).rev().scan(1, |lists, length| {
            *lists *= length;
            Some(*lists)
        });
        prop_assert_eq!(opened, 1 + lists.sum::<usize>());

        let binary = encoders::binary_array(&lengths, &elements, 25);
        prop_assert!(array::binary(&longer(&binary)).is_err());
        let array = array::binary(&binary).expect("an array");
        prop_assert_eq!((array.element_oid, array.lengths), (25, lengths));
        let read: Vec<_> = array.elements.iter().map(|item| item.map(<[u8]>::to_vec)).collect();
        prop_assert_eq!(read, elements);
    }

    #[test]
    fn spaces_between(ranges in vec(bounds(), 0..4)) {
        for range in ranges.iter().chain([&Range::Empty]) {
            let (text, binary) = (encoders::range(range), encoders::binary_range(range));
            prop_assert!(range::text(&text).as_ref() == Some(range), "{text:?}");
            prop_assert!(range::binary(&binary).as_ref() == Ok(range), "{binary:?}");
            prop_assert!(range::binary(&longer(&binary)).is_err());
        }
        let text = encoders::multirange(&ranges);
        let binary = encoders::binary_multirange(&ranges);
        prop_assert!(range::multirange_text(&text).as_ref() == Some(&ranges), "{text:?}");
        prop_assert!(range::multirange_binary(&longer(&binary)).is_err());
        prop_assert!(range::multirange_binary(&binary) == Ok(ranges), "{binary:?}");
    }

    #[test]
    fn dictionaries(pairs in vec((element(), element()), 0..4)) {
        let pairs: Vec<hstore::Pair<'_>> = pairs
            .into_iter()
            .map(|(key, value)| (Cow::Owned(key.unwrap_or_default()), value.map(Cow::Owned)))
            .collect();
        let (text, binary) = (encoders::hstore(&pairs), encoders::binary_hstore(&pairs));
        prop_assert!(hstore::text(&text).as_ref() == Some(&pairs), "{text:?}");
        prop_assert!(hstore::binary(&longer(&binary)).is_err());
        prop_assert!(hstore::binary(&binary) == Ok(pairs), "{binary:?}");
    }
}
