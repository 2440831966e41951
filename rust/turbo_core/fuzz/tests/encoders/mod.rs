//! How PostgreSQL spells values, in as few lines as it takes.

use turbo_core_fuzz::wire::date::Date;
use turbo_core_fuzz::wire::hstore::Pair;
use turbo_core_fuzz::wire::range::Range;
use turbo_core_fuzz::wire::time::Time;
use turbo_core_fuzz::wire::timestamp::Timestamp;

/// The groups of four digits of a decimal number, around its point.
pub fn numeric(text: &str) -> Vec<u8> {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or((0_u16, text), |rest| (0x4000, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let before = whole.len().next_multiple_of(4);
    let after = fraction.len().next_multiple_of(4);
    let padded = format!("{whole:0>before$}{fraction:0<after$}");
    let groups: Vec<u16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| {
            group
                .iter()
                .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
        })
        .collect();
    // Groups of zeros at either end are not sent.
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
    let sent = groups
        .get(leading..groups.len() - trailing)
        .unwrap_or_default();
    let weight = (before / 4) as i16 - 1 - leading as i16;
    let weight = if sent.is_empty() { 0 } else { weight };
    let header = [
        sent.len() as u16,
        weight as u16,
        sign,
        fraction.len() as u16,
    ];
    header
        .iter()
        .chain(sent)
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

pub fn bytea(value: &[u8]) -> Vec<u8> {
    let digits = value.iter().map(|byte| format!("{byte:02x}"));
    format!("\\x{}", digits.collect::<String>()).into_bytes()
}

pub fn uuid(number: u128) -> String {
    let digits = format!("{number:032x}");
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

pub fn date(Date { year, month, day }: Date) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

pub fn time(
    Time {
        hour,
        minute,
        second,
        microsecond,
    }: Time,
) -> String {
    format!("{hour:02}:{minute:02}:{second:02}{}", fraction(microsecond))
}

/// A fraction of a second, without zeros at its end.
fn fraction(microsecond: u32) -> String {
    let digits = format!(".{microsecond:06}");
    digits
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

pub fn timestamp(timestamp: Timestamp) -> String {
    format!("{} {}", date(timestamp.date), time(timestamp.time))
}

/// An offset from UTC, in as few parts as it takes.
pub fn offset(east: i64) -> String {
    let sign = if east < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = parts(east);
    match (minutes, seconds) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn parts(seconds: i64) -> (i64, i64, i64) {
    let seconds = seconds.abs();
    (seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The `postgres` style: parts that are zero are left out, but for the whole.
pub fn interval(months: i32, days: i32, microseconds: i64) -> String {
    let plural = |number: i32| if number == 1 { "" } else { "s" };
    let mut words: Vec<String> = [(months / 12, "year"), (months % 12, "mon"), (days, "day")]
        .into_iter()
        .filter(|(number, _)| *number != 0)
        .map(|(number, unit)| format!("{number} {unit}{}", plural(number)))
        .collect();
    if microseconds != 0 || words.is_empty() {
        let sign = match microseconds {
            ..0 => "-",
            _ if months < 0 || days < 0 => "+",
            _ => "",
        };
        let (hours, minutes, seconds) = parts(microseconds / 1_000_000);
        let fraction = fraction((microseconds.abs() % 1_000_000) as u32);
        words.push(format!(
            "{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"
        ));
    }
    words.join(" ")
}

pub fn array(lengths: &[usize], elements: &[Option<Vec<u8>>], delimiter: u8) -> Vec<u8> {
    let [length, inner @ ..] = lengths else {
        return match elements {
            [None] => b"NULL".to_vec(),
            [Some(element)] => array_element(element),
            _ => unreachable!("an element for each place"),
        };
    };
    let parts: Vec<_> = elements
        .chunks(elements.len() / length)
        .map(|part| array(inner, part, delimiter))
        .collect();
    [b"{", &parts.join(&delimiter)[..], b"}"].concat()
}

fn array_element(element: &[u8]) -> Vec<u8> {
    match element == b"NULL" || needs_quotes(element) {
        true => quote(element, b"\\\\", b"\\\""),
        false => element.to_vec(),
    }
}

/// What PostgreSQL quotes in arrays or in ranges; quotes that need not be there do no harm.
fn needs_quotes(text: &[u8]) -> bool {
    let odd = |byte: &u8| br#"{}[](),;"\"#.contains(byte) || byte.is_ascii_whitespace();
    text.is_empty() || text.iter().any(odd)
}

fn quote(text: &[u8], backslash: &[u8], quote: &[u8]) -> Vec<u8> {
    let inner = text.iter().flat_map(|byte| match byte {
        b'\\' => backslash.to_vec(),
        b'"' => quote.to_vec(),
        _ => vec![*byte],
    });
    [b'"'].into_iter().chain(inner).chain([b'"']).collect()
}

pub fn binary_array(lengths: &[usize], elements: &[Option<Vec<u8>>], oid: u32) -> Vec<u8> {
    let has_nulls = i32::from(elements.iter().any(Option::is_none));
    let mut wire = [
        count(lengths.len()),
        has_nulls.to_be_bytes(),
        oid.to_be_bytes(),
    ]
    .concat();
    for length in lengths {
        wire.extend([count(*length), 1_i32.to_be_bytes()].concat());
    }
    for element in elements {
        wire.extend(binary_value(element.as_deref()));
    }
    wire
}

fn count(number: usize) -> [u8; 4] {
    (number as i32).to_be_bytes()
}

fn binary_value(value: Option<&[u8]>) -> Vec<u8> {
    match value {
        None => (-1_i32).to_be_bytes().to_vec(),
        Some(value) => [&count(value.len())[..], value].concat(),
    }
}

pub fn range(range: &Range<'_>) -> Vec<u8> {
    let Range::Bounds {
        lower,
        upper,
        brackets,
    } = range
    else {
        return b"empty".to_vec();
    };
    let [opening, closing] = [&brackets[..1], &brackets[1..]].map(str::as_bytes);
    let [lower, upper] = [lower, upper].map(|bound| match bound {
        None => Vec::new(),
        Some(bound) if needs_quotes(bound) => quote(bound, b"\\\\", b"\"\""),
        Some(bound) => bound.to_vec(),
    });
    [opening, &lower, b",", &upper, closing].concat()
}

pub fn multirange(ranges: &[Range<'_>]) -> Vec<u8> {
    let ranges: Vec<_> = ranges.iter().map(range).collect();
    [b"{", &ranges.join(&b',')[..], b"}"].concat()
}

pub fn binary_range(range: &Range<'_>) -> Vec<u8> {
    let Range::Bounds {
        lower,
        upper,
        brackets,
    } = range
    else {
        return vec![0x01];
    };
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let mut wire = vec![
        flag(brackets.starts_with('['), 0x02)
            | flag(brackets.ends_with(']'), 0x04)
            | flag(lower.is_none(), 0x08)
            | flag(upper.is_none(), 0x10),
    ];
    for bound in [lower, upper].into_iter().flatten() {
        wire.extend(binary_value(Some(bound)));
    }
    wire
}

pub fn binary_multirange(ranges: &[Range<'_>]) -> Vec<u8> {
    let ranges_wire = ranges
        .iter()
        .map(|range| binary_value(Some(&binary_range(range))));
    [count(ranges.len()).to_vec()]
        .into_iter()
        .chain(ranges_wire)
        .flatten()
        .collect()
}

pub fn hstore(pairs: &[Pair<'_>]) -> Vec<u8> {
    let quoted = |text: &[u8]| quote(text, b"\\\\", b"\\\"");
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| {
            let value = value
                .as_ref()
                .map_or(b"NULL".to_vec(), |value| quoted(value));
            [&quoted(key)[..], b"=>", &value].concat()
        })
        .collect();
    pairs.join(&b", "[..])
}

pub fn binary_hstore(pairs: &[Pair<'_>]) -> Vec<u8> {
    let pairs_wire = pairs
        .iter()
        .map(|(key, value)| [binary_value(Some(key)), binary_value(value.as_deref())].concat());
    [count(pairs.len()).to_vec()]
        .into_iter()
        .chain(pairs_wire)
        .flatten()
        .collect()
}
