//! `smallint`, `integer`, `bigint` and `oid`.

use super::{Read, Refusal, fixed};

pub fn text(wire: &[u8]) -> Option<i64> {
    let (negative, text) = match wire {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, wire),
    };
    if text.is_empty() {
        return None;
    }
    let mut number = 0_i64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Downwards, since the lowest bigint has no positive counterpart.
        number = number.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative {
        Some(number)
    } else {
        number.checked_neg()
    }
}

/// A signed number of 2, 4 or 8 bytes.
pub fn binary(wire: &[u8]) -> Read<i64> {
    match wire.len() {
        2 => Ok(i16::from_be_bytes(fixed(wire)?).into()),
        4 => Ok(i32::from_be_bytes(fixed(wire)?).into()),
        8 => Ok(i64::from_be_bytes(fixed(wire)?)),
        _ => Err(Refusal::Malformed),
    }
}

/// The unsigned number of an `oid`.
pub fn binary_oid(wire: &[u8]) -> Read<i64> {
    Ok(u32::from_be_bytes(fixed(wire)?).into())
}
