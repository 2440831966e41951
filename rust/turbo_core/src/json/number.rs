//! Numbers, and the UUID, which is one.

use std::borrow::Cow;
use std::fmt::Write;

use super::text::hex;
use super::unknown;
use crate::wire::numeric::is_text;
use crate::wire::{Read, Refusal};

pub fn int(number: i64, out: &mut String) {
    // Nothing can fail that is written to a String.
    let _ = write!(out, "{number}");
}

/// Write a number as `repr()` of Python's `float` does.
pub fn float(number: f64, out: &mut String) -> Read<()> {
    if !number.is_finite() {
        out.push_str(match number {
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => "NaN",
        });
        return Ok(());
    }
    // The shortest digits, with an exponent where Python has one, too.
    let shown = format!("{number:?}");
    let Some((digits, exponent)) = shown.split_once('e') else {
        out.push_str(&even(number, &shown, 0));
        return Ok(());
    };
    let exponent = exponent.parse().map_err(unknown)?;
    out.push_str(&even(number, digits, exponent));
    let sign = if exponent < 0 { '-' } else { '+' };
    // Nothing can fail that is written to a String.
    let _ = write!(out, "e{sign}{:02}", exponent.abs());
    Ok(())
}

/// The digits, or, if others as short are as near to the number, those of the two that end evenly.
///
/// Rust may round up there. Below a power of two, where numbers lie closer, the others may be
/// another number.
fn even(number: f64, digits: &str, exponent: i32) -> Cow<'_, str> {
    if is_tie(number, digits, exponent) {
        let mut others = digits.to_owned();
        if let Some(odd @ ('1' | '3' | '5' | '7' | '9')) = others.pop() {
            others.push(char::from(odd as u8 - 1));
            if format!("{others}e{exponent}").parse() == Ok(number) {
                return Cow::Owned(others);
            }
        }
    }
    Cow::Borrowed(digits)
}

/// Whether a number is halfway between its shortest digits and others as short.
///
/// It is if the last digit counts ten to the power of `place`, and the number is an odd multiple of
/// two to the power of `place - 1`.
fn is_tie(number: f64, digits: &str, exponent: i32) -> bool {
    let decimals = match digits.split_once('.') {
        None | Some((_, "0")) => 0,
        Some((_, decimals)) => decimals.len() as i32,
    };
    let place = exponent - decimals;
    let bits = number.to_bits();
    let biased = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    // A number without its own leading bit is a multiple of the smallest.
    let (mantissa, power) = match biased {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, biased - 1075),
    };
    place <= 0 && mantissa != 0 && power + mantissa.trailing_zeros() as i32 == place - 1
}

/// Write a number as `str()` of Python's `Decimal` does, unless that has an exponent.
pub fn numeric(text: &str, out: &mut String) -> Read<()> {
    if !is_text(text.as_bytes()) || !is_plain(text) {
        return Err(Refusal::Unknown);
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
    Ok(())
}

/// Whether `Decimal()` and `str()` leave a number as it is.
fn is_plain(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    match number.split_once('.').unwrap_or((number, "")) {
        // Python counts the digits from the first that is not zero, and has an exponent for a
        // seventh place.
        ("0", decimals) => {
            let zeros = decimals.bytes().take_while(|byte| *byte == b'0').count();
            zeros < 6 || (zeros == 6 && decimals.len() == 6)
        }
        (whole, _) => !whole.starts_with('0'),
    }
}

/// Write a UUID: formatting it as five numbers took four times as long.
pub fn uuid(number: u128, out: &mut String) {
    out.push('"');
    for (index, byte) in number.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        hex(byte, out);
    }
    out.push('"');
}
