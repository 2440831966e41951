//! `bytea` in the hex format, PostgreSQL's default `bytea_output`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Decoded;

pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    let [b'\\', b'x', hex @ ..] = wire else {
        return Ok(None);
    };
    let (pairs, []) = hex.as_chunks::<2>() else {
        return Ok(None);
    };
    let mut valid = true;
    let bytes = PyBytes::new_with(py, pairs.len(), |buffer| {
        for (byte, [high, low]) in buffer.iter_mut().zip(pairs) {
            match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => valid = false,
            }
        }
        Ok(())
    })?;
    Ok(valid.then(|| bytes.into_any()))
}

/// The value of one hexadecimal digit.
pub fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
