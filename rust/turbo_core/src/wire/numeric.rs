//! `numeric` in binary: digits of base 10,000, made into the text that PostgreSQL would send.

use super::{Bytes, Read, Refusal};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// Whether a text may be passed on to `Decimal()`, which reads more than PostgreSQL sends.
pub fn is_text(wire: &[u8]) -> bool {
    match wire {
        b"NaN" | b"Infinity" | b"-Infinity" => true,
        [b'-', digits @ ..] | digits => {
            let plain = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
            digits.first().is_some_and(u8::is_ascii_digit) && digits.iter().all(plain)
        }
    }
}

pub fn binary(wire: &[u8]) -> Read<String> {
    let mut bytes = Bytes::new(wire);
    let count = usize::from(u16::from_be_bytes(bytes.fixed()?));
    let weight = i32::from(i16::from_be_bytes(bytes.fixed()?));
    let sign = u16::from_be_bytes(bytes.fixed()?);
    let scale = usize::from(u16::from_be_bytes(bytes.fixed()?));
    let mut groups = Vec::with_capacity(count.min(wire.len()));
    for _ in 0..count {
        match u16::from_be_bytes(bytes.fixed()?) {
            group @ 0..=9999 => groups.push(group),
            _ => return Err(Refusal::Malformed),
        }
    }
    bytes.end()?;
    match sign {
        NAN => Ok("NaN".to_owned()),
        INFINITY => Ok("Infinity".to_owned()),
        NEGATIVE_INFINITY => Ok("-Infinity".to_owned()),
        POSITIVE => Ok(spelled("", &groups, weight, scale)),
        NEGATIVE => Ok(spelled("-", &groups, weight, scale)),
        _ => Err(Refusal::Malformed),
    }
}

/// Spell a number. The first group counts 10,000 to the power of `weight`, and groups that are
/// missing on either side are zero.
fn spelled(sign: &str, groups: &[u16], weight: i32, scale: usize) -> String {
    let group = |position: i32| {
        usize::try_from(weight - position)
            .ok()
            .and_then(|index| groups.get(index))
            .copied()
            .unwrap_or(0)
    };
    let mut text = sign.to_owned();
    for position in (0..=weight.max(0)).rev() {
        if position == weight.max(0) {
            text.push_str(&group(position).to_string());
        } else {
            text.push_str(&format!("{:04}", group(position)));
        }
    }
    if scale > 0 {
        text.push('.');
        let end = text.len() + scale;
        let mut position = -1;
        while text.len() < end {
            text.push_str(&format!("{:04}", group(position)));
            position -= 1;
        }
        text.truncate(end);
    }
    text
}
