//! An element of an array, quoted where the array would be another without.

use super::{Refusal, Written};

pub fn element(text: &str, out: &mut String) -> Written {
    let mut needs_quotes = text.is_empty() || text.eq_ignore_ascii_case("null");
    let mut needs_escapes = false;
    for byte in text.bytes() {
        match byte {
            // No text of PostgreSQL's has it: Django says so, in the words of the driver.
            0 => return Err(Refusal::Unknown),
            b'"' | b'\\' => needs_escapes = true,
            b'{' | b'}' | b',' | b' ' | b'\t'..=b'\r' => needs_quotes = true,
            _ => {}
        }
    }
    if !needs_quotes && !needs_escapes {
        out.push_str(text);
        return Ok(());
    }
    out.push('"');
    if needs_escapes {
        let mut rest = text;
        while let Some(at) = rest.find(['"', '\\']) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            out.push('\\');
            // Both are one byte long.
            let (escaped, after) = from.split_at(1);
            out.push_str(escaped);
            rest = after;
        }
        out.push_str(rest);
    } else {
        out.push_str(text);
    }
    out.push('"');
    Ok(())
}

/// A text that has spaces, and nothing to escape.
pub fn quoted(out: &mut String, write: impl FnOnce(&mut String) -> Written) -> Written {
    out.push('"');
    write(out)?;
    out.push('"');
    Ok(())
}
