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
        [b'-', number @ ..] | number => {
            let mut parts = number.split(|byte| *byte == b'.');
            let is_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
            parts.next().is_some_and(is_digits)
                && parts.next().is_none_or(is_digits)
                && parts.next().is_none()
        }
    }
}

pub fn binary(wire: &[u8]) -> Read<String> {
    let mut bytes = Bytes::new(wire);
    let count = usize::from(u16::from_be_bytes(bytes.fixed()?));
    let weight = i32::from(i16::from_be_bytes(bytes.fixed()?));
    let sign = u16::from_be_bytes(bytes.fixed()?);
    let scale = u16::from_be_bytes(bytes.fixed()?);
    let mut groups = Vec::with_capacity(count.min(wire.len()));
    for _ in 0..count {
        match u16::from_be_bytes(bytes.fixed()?) {
            group @ 0..=9999 => groups.push(group),
            _ => return Err(Refusal::Malformed),
        }
    }
    bytes.end()?;
    let sign = match sign {
        NAN => return Ok("NaN".to_owned()),
        INFINITY => return Ok("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Ok("-Infinity".to_owned()),
        POSITIVE => "",
        // There is one zero.
        NEGATIVE if groups.iter().any(|group| *group != 0) => "-",
        _ => return Err(Refusal::Malformed),
    };
    // The first digit stands before the last place that there is.
    if (weight + 2) * 4 + i32::from(scale) < 1 {
        return Err(Refusal::Malformed);
    }
    Ok(spelled(sign, &groups, weight, scale.into()))
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
