//! `boolean`: `t` or `f`, and one byte.

use super::{Read, Refusal, fixed};

pub fn text(wire: &[u8]) -> Option<bool> {
    match wire {
        b"t" => Some(true),
        b"f" => Some(false),
        _ => None,
    }
}

pub fn binary(wire: &[u8]) -> Read<bool> {
    match fixed(wire)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Refusal::Malformed),
    }
}
