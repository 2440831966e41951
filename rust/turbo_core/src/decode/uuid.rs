//! `uuid`.

use pyo3::intern;
use pyo3::prelude::*;

use super::Decoded;
use super::bytea::nibble;
use crate::pytypes;

/// `UUID.__init__` takes 2 µs to arrive at these two slots, and forbids setting them.
pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    let Some(number) = parse(wire) else {
        return Ok(None);
    };
    let uuid = pytypes::object_new(py)?.call1((pytypes::uuid(py)?,))?;
    let set = pytypes::object_setattr(py)?;
    set.call1((&uuid, intern!(py, "int"), number))?;
    set.call1((&uuid, intern!(py, "is_safe"), pytypes::uuid_is_safe(py)?))?;
    Ok(Some(uuid))
}

/// Read 8-4-4-4-12 hexadecimal digits.
fn parse(wire: &[u8]) -> Option<u128> {
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
