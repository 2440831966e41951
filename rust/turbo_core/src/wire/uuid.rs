//! `uuid`.

use super::bytea::nibble;
use super::{Read, fixed};

/// Read 8-4-4-4-12 hexadecimal digits.
pub fn text(wire: &[u8]) -> Option<u128> {
    if wire.len() != 36 {
        return None;
    }
    let mut number = 0_u128;
    for (position, byte) in wire.iter().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
        } else {
            number = number << 4 | u128::from(nibble(*byte)?);
        }
    }
    Some(number)
}

pub fn binary(wire: &[u8]) -> Read<u128> {
    Ok(u128::from_be_bytes(fixed(wire)?))
}
