//! `smallint`, `integer`, `bigint` and `oid`.

use pyo3::prelude::*;

use super::Decoded;

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    match parse(wire) {
        Some(number) => Ok(Some(number.into_pyobject(py)?.into_any())),
        None => Ok(None),
    }
}

fn parse(wire: &[u8]) -> Option<i64> {
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
