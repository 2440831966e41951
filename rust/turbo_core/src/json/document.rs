//! `json` and `jsonb`: what `json.dumps()` writes of what `json.loads()` reads.

use std::ops::Range;

use super::{number, text, unknown};
use crate::wire::{Read, Refusal};

/// Deeper than this is left to Python, since the stack is not endless.
const MAX_DEPTH: usize = 100;

/// The least number of digits that Python may be told to refuse as too many for an `int`.
const MAX_DIGITS: usize = 640;

/// Check a document and write it: letters in ASCII, and numbers with a point or an exponent as
/// the `float` that they are for Python. What is unusual is declined, and no JSON is.
pub fn document(wire: &[u8], out: &mut String) -> Read<()> {
    let mut reader = Reader {
        rest: std::str::from_utf8(wire).map_err(unknown)?,
        keys: Vec::new(),
    };
    reader.value(out, 0)?;
    reader.skip_space();
    reader.rest.is_empty().then_some(()).ok_or(Refusal::Unknown)
}

struct Reader<'a> {
    rest: &'a str,
    /// Where the keys of the objects that are open stand in what is written.
    keys: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, out: &mut String, depth: usize) -> Read<()> {
        if depth > MAX_DEPTH {
            return Err(Refusal::Unknown);
        }
        self.skip_space();
        match self.rest.as_bytes() {
            [b'"', ..] => self.string(out),
            [b'{', ..] => self.object(out, depth + 1),
            [b'[', ..] => self.array(out, depth + 1),
            [b'-' | b'0'..=b'9', ..] => self.number(out),
            _ => {
                let literal = ["null", "true", "false"]
                    .into_iter()
                    .find(|literal| self.skip(literal))
                    .ok_or(Refusal::Unknown)?;
                out.push_str(literal);
                Ok(())
            }
        }
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Read<()> {
        self.expect("{")?;
        out.push('{');
        let outer = self.keys.len();
        self.skip_space();
        while !self.skip("}") {
            if self.keys.len() > outer {
                self.expect(",")?;
                out.push_str(", ");
                self.skip_space();
            }
            let start = out.len();
            self.string(out)?;
            self.keys.push(start..out.len());
            self.skip_space();
            self.expect(":")?;
            out.push_str(": ");
            self.value(out, depth)?;
            self.skip_space();
        }
        out.push('}');
        // Of equal keys, Python has the place of the first and the value of the last.
        let keys = self.keys.get_mut(outer..).unwrap_or_default();
        keys.sort_unstable_by_key(|key| out.get(key.clone()));
        let are_equal = |pair: &[Range<usize>]| match pair {
            [one, other] => out.get(one.clone()) == out.get(other.clone()),
            _ => false,
        };
        if keys.windows(2).any(are_equal) {
            return Err(Refusal::Unknown);
        }
        self.keys.truncate(outer);
        Ok(())
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Read<()> {
        self.expect("[")?;
        out.push('[');
        let mut is_first = true;
        self.skip_space();
        while !self.skip("]") {
            if !is_first {
                self.expect(",")?;
                out.push_str(", ");
            }
            is_first = false;
            self.value(out, depth)?;
            self.skip_space();
        }
        out.push(']');
        Ok(())
    }

    fn string(&mut self, out: &mut String) -> Read<()> {
        self.expect("\"")?;
        out.push('"');
        loop {
            let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            text::escape(self.take_while(|byte| !is_end(byte)), out);
            if self.skip("\"") {
                out.push('"');
                return Ok(());
            }
            self.expect("\\")?;
            let letter = self.escaped()?;
            text::escape(letter.encode_utf8(&mut [0; 4]), out);
        }
    }

    /// Read what stands behind a backslash. A surrogate without the other is declined.
    fn escaped(&mut self) -> Read<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next().ok_or(Refusal::Unknown)?;
        self.rest = letters.as_str();
        Ok(match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut units = vec![self.hex()?];
                if matches!(units.as_slice(), [0xd800..=0xdbff]) {
                    self.expect("\\u")?;
                    units.push(self.hex()?);
                }
                let decoded = char::decode_utf16(units).next();
                decoded.and_then(Result::ok).ok_or(Refusal::Unknown)?
            }
            _ => return Err(Refusal::Unknown),
        })
    }

    fn hex(&mut self) -> Read<u16> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(Refusal::Unknown)?;
        self.rest = rest;
        // Rust would take a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::Unknown);
        }
        u16::from_str_radix(digits, 16).map_err(unknown)
    }

    fn number(&mut self, out: &mut String) -> Read<()> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let number = self.take_while(is_part);
        let digits = number.strip_prefix('-').unwrap_or(number);
        let is_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (digits, None),
        };
        let (whole, decimals) = match mantissa.split_once('.') {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (mantissa, None),
        };
        let is_number = is_digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && decimals.is_none_or(is_digits)
            && exponent
                .is_none_or(|text| is_digits(text.strip_prefix(['-', '+']).unwrap_or(text)));
        if !is_number || (digits == "0" && number != "0") || whole.len() > MAX_DIGITS {
            return Err(Refusal::Unknown);
        }
        if digits.len() == whole.len() {
            out.push_str(number);
            return Ok(());
        }
        number::float(number.parse().map_err(|_| Refusal::Unknown)?, out)
    }

    /// Take all bytes up to the first that a function refuses, which has to be of ASCII.
    fn take_while(&mut self, is_taken: impl Fn(&u8) -> bool) -> &'a str {
        let length = self.rest.bytes().position(|byte| !is_taken(&byte));
        let (taken, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn skip(&mut self, expected: &str) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, expected: &str) -> Read<()> {
        self.skip(expected).then_some(()).ok_or(Refusal::Unknown)
    }
}
