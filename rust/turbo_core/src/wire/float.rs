//! `real` and `double precision`.

use super::{Read, Refusal, fixed};

pub fn text(wire: &[u8]) -> Option<f64> {
    match wire {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        // Rust reads words, too: "inf", "nan".
        [b'-' | b'0'..=b'9', ..] => {
            let number: f64 = std::str::from_utf8(wire).ok()?.parse().ok()?;
            number.is_finite().then_some(number)
        }
        _ => None,
    }
}

/// A number of 4 or 8 bytes.
pub fn binary(wire: &[u8]) -> Read<f64> {
    match wire.len() {
        4 => Ok(f32::from_be_bytes(fixed(wire)?).into()),
        8 => Ok(f64::from_be_bytes(fixed(wire)?)),
        _ => Err(Refusal::Malformed),
    }
}
