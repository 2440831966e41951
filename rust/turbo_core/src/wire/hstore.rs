//! `hstore`: `"a"=>"1", "b"=>NULL`, and a count with the pairs behind it.

use std::borrow::Cow;

use super::array::unescaped;
use super::{Bytes, Read, Refusal};

/// A key, and its value if that is not NULL.
pub type Pair<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

pub fn text(wire: &[u8]) -> Option<Vec<Pair<'_>>> {
    let mut pairs = Vec::new();
    if wire.is_empty() {
        return Some(pairs);
    }
    let mut rest = wire;
    loop {
        let (key, behind) = unescaped(rest.strip_prefix(b"\"")?)?;
        let behind = behind.strip_prefix(b"=>")?;
        let (value, behind) = match behind.strip_prefix(b"NULL") {
            Some(behind) => (None, behind),
            None => {
                let (value, behind) = unescaped(behind.strip_prefix(b"\"")?)?;
                (Some(value), behind)
            }
        };
        pairs.push((key, value));
        if behind.is_empty() {
            return Some(pairs);
        }
        rest = behind.strip_prefix(b", ")?;
    }
}

pub fn binary(wire: &[u8]) -> Read<Vec<Pair<'_>>> {
    let mut bytes = Bytes::new(wire);
    let count = bytes.count()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let key = bytes.value()?.ok_or(Refusal::Malformed)?;
        pairs.push((Cow::Borrowed(key), bytes.value()?.map(Cow::Borrowed)));
    }
    bytes.end()?;
    Ok(pairs)
}
