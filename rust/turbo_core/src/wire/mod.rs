//! The formats in which PostgreSQL sends values, read into plain data.
//!
//! There is no Python in here: `text()` and `binary()` of each kind can be fuzzed by themselves,
//! and take any bytes. What `text()` does not recognise it answers with `None`.

pub mod array;
pub mod boolean;
pub mod bytea;
pub mod date;
pub mod float;
pub mod hstore;
pub mod int;
pub mod interval;
pub mod numeric;
pub mod range;
pub mod time;
pub mod timestamp;
pub mod uuid;

/// Why a value was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It may be a value all the same: infinity, a date before Christ, another style.
    Unknown,
    /// No value of this type looks like that.
    Malformed,
}

pub type Read<T> = Result<T, Refusal>;

/// The bytes of a value in binary format, read from front to back.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(wire: &'a [u8]) -> Self {
        Self(wire)
    }

    pub fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Refusal::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        fixed(self.take(N)?)
    }

    pub fn i32(&mut self) -> Read<i32> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    /// A number of things that must not be negative.
    pub fn count(&mut self) -> Read<usize> {
        usize::try_from(self.i32()?).map_err(|_| Refusal::Malformed)
    }

    /// A value behind its length, `None` where the length says NULL.
    pub fn value(&mut self) -> Read<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| Refusal::Malformed)?;
                self.take(length).map(Some)
            }
        }
    }

    /// Refuse bytes that are left.
    pub fn end(self) -> Read<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Malformed)
        }
    }
}

/// The value, if it has the `length` in bytes, where there is one.
pub fn of_length(wire: &[u8], length: Option<usize>) -> Read<&[u8]> {
    match length {
        Some(length) if length != wire.len() => Err(Refusal::Malformed),
        _ => Ok(wire),
    }
}

/// The whole of a value that has one length.
pub fn fixed<const N: usize>(wire: &[u8]) -> Read<[u8; N]> {
    wire.try_into().map_err(|_| Refusal::Malformed)
}

/// The number that a run of ASCII digits spells, if digits is all there is.
#[inline]
pub fn digits(text: &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    Some(number)
}
