//! Texts in printable ASCII, as `json.dumps()` writes them, and `hstore`.

use super::unknown;
use crate::wire::Read;
use crate::wire::hstore::Pair;

/// Write a text as a string.
pub fn string(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

/// Write a text as what stands between the quotes of a string.
pub fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, odd) = rest.split_at(plain_length(rest.as_bytes()));
        out.push_str(plain);
        let mut letters = odd.chars();
        if let Some(letter) = letters.next() {
            escaped(letter, out);
        }
        rest = letters.as_str();
    }
}

/// How many bytes stand for themselves before one that does not. Several are looked at at a time.
fn plain_length(text: &[u8]) -> usize {
    let (chunks, _) = text.as_chunks::<16>();
    let are_plain = |chunk: &&[u8; 16]| chunk.iter().fold(true, |all, byte| all & is_plain(*byte));
    let plain = chunks.iter().take_while(are_plain).count() * 16;
    let rest = text.get(plain..).unwrap_or_default();
    plain + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn escaped(letter: char, out: &mut String) {
    match letter {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        _ => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                out.push_str("\\u");
                for byte in unit.to_be_bytes() {
                    hex(byte, out);
                }
            }
        }
    }
}

/// Write a byte as two hexadecimal digits.
pub fn hex(byte: u8, out: &mut String) {
    for nibble in [byte >> 4, byte & 0xf] {
        let first = if nibble < 10 { b'0' } else { b'a' - 10 };
        out.push(char::from(first + nibble));
    }
}

/// Write the pairs of an `hstore`, whose keys PostgreSQL keeps unique, as an object of strings.
pub fn object(pairs: &[Pair<'_>], out: &mut String) -> Read<()> {
    out.push('{');
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        string(std::str::from_utf8(key).map_err(unknown)?, out);
        out.push_str(": ");
        match value {
            Some(value) => string(std::str::from_utf8(value).map_err(unknown)?, out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(())
}
