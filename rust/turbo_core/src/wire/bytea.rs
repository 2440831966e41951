//! `bytea` in the hex format, PostgreSQL's default `bytea_output`. In binary it is what it is.

/// The pairs of hexadecimal digits of a value.
pub fn text(wire: &[u8]) -> Option<&[[u8; 2]]> {
    let hex = wire.strip_prefix(b"\\x")?;
    let (pairs, []) = hex.as_chunks::<2>() else {
        return None;
    };
    Some(pairs)
}

/// The byte that a pair of hexadecimal digits stands for.
pub fn byte([high, low]: [u8; 2]) -> Option<u8> {
    Some(nibble(high)? << 4 | nibble(low)?)
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
