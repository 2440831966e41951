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

/// The value of one hexadecimal digit. A table: branches on random digits took thrice as long.
#[inline]
pub fn nibble(digit: u8) -> Option<u8> {
    let value = VALUES.get(usize::from(digit))?;
    (*value < 16).then_some(*value)
}

/// The value of each byte as a hexadecimal digit, 16 where it is none.
#[expect(clippy::indexing_slicing, reason = "it is the compiler that runs this")]
static VALUES: [u8; 256] = {
    let mut values = [16; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};
