//! Arrays, of any depth: `{1,NULL,"a \"b\""}`, and a header with the elements behind it.

use std::borrow::Cow;

use super::{Bytes, Read, Refusal};

/// PostgreSQL's own limit.
const MAX_DIMENSIONS: usize = 6;

/// What the text of an array is made of.
#[derive(Debug, PartialEq, Eq)]
pub enum Token<'a> {
    Open,
    Close,
    Null,
    Item(Cow<'a, [u8]>),
}

/// The tokens of an array's text, in an order that makes an array, or an end with a refusal.
pub struct Tokens<'a> {
    rest: &'a [u8],
    delimiter: u8,
    depth: usize,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Start,
    AfterOpen,
    AfterItem,
    End,
}

impl<'a> Tokens<'a> {
    /// Begin to read. Bounds other than the usual ones (`[0:1]={…}`) are skipped.
    pub fn new(wire: &'a [u8], delimiter: u8) -> Self {
        let rest = match wire {
            [b'[', ..] => wire
                .iter()
                .position(|byte| *byte == b'=')
                .and_then(|equals| wire.get(equals + 1..))
                .unwrap_or_default(),
            _ => wire,
        };
        Self {
            rest,
            delimiter,
            depth: 0,
            state: State::Start,
        }
    }

    fn token(&mut self) -> Read<Token<'a>> {
        if self.state == State::AfterItem {
            match self.rest {
                [b'}', rest @ ..] => return Ok(self.close(rest)),
                [byte, rest @ ..] if *byte == self.delimiter => self.rest = rest,
                _ => return Err(Refusal::Unknown),
            }
        }
        match self.rest {
            [b'{', rest @ ..] if self.depth < MAX_DIMENSIONS => {
                self.rest = rest;
                self.depth += 1;
                self.state = State::AfterOpen;
                Ok(Token::Open)
            }
            [b'}', rest @ ..] if self.state == State::AfterOpen => Ok(self.close(rest)),
            _ if self.depth == 0 => Err(Refusal::Unknown),
            [b'"', rest @ ..] => self.quoted(rest),
            _ => self.unquoted(),
        }
    }

    fn close(&mut self, rest: &'a [u8]) -> Token<'a> {
        self.rest = rest;
        self.depth -= 1;
        self.state = if self.depth == 0 {
            State::End
        } else {
            State::AfterItem
        };
        Token::Close
    }

    fn quoted(&mut self, text: &'a [u8]) -> Read<Token<'a>> {
        let (item, rest) = unescaped(text).ok_or(Refusal::Unknown)?;
        self.rest = rest;
        self.state = State::AfterItem;
        Ok(Token::Item(item))
    }

    fn unquoted(&mut self) -> Read<Token<'a>> {
        let ends = |byte: &u8| *byte == self.delimiter || matches!(byte, b'{' | b'}');
        let length = self.rest.iter().position(ends).ok_or(Refusal::Unknown)?;
        let (item, rest) = self.rest.split_at(length);
        // PostgreSQL quotes whatever might be mistaken for something else.
        let is_odd = |byte: &u8| matches!(byte, b'"' | b'\\') || byte.is_ascii_whitespace();
        if item.is_empty() || item.iter().any(is_odd) {
            return Err(Refusal::Unknown);
        }
        self.rest = rest;
        self.state = State::AfterItem;
        Ok(match item {
            b"NULL" => Token::Null,
            _ => Token::Item(Cow::Borrowed(item)),
        })
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Read<Token<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::End {
            return (!self.rest.is_empty()).then(|| {
                self.rest = &[];
                Err(Refusal::Unknown)
            });
        }
        let token = self.token();
        if token.is_err() {
            self.rest = &[];
            self.state = State::End;
        }
        Some(token)
    }
}

/// Read to the closing quote, and return what stood before it, and the rest behind it.
pub fn unescaped(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let special = |text: &[u8]| text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    let (item, mut rest) = text.split_at_checked(special(text)?)?;
    if let [b'"', rest @ ..] = rest {
        return Some((Cow::Borrowed(item), rest));
    }
    let mut item = item.to_vec();
    loop {
        match rest {
            [b'\\', escaped @ (b'"' | b'\\'), behind @ ..] => {
                item.push(*escaped);
                let (plain, behind) = behind.split_at_checked(special(behind)?)?;
                item.extend_from_slice(plain);
                rest = behind;
            }
            [b'"', behind @ ..] => return Some((Cow::Owned(item), behind)),
            _ => return None,
        }
    }
}

/// An array in binary format.
pub struct Binary<'a> {
    /// The type of the elements.
    pub element_oid: u32,
    /// The lengths of its dimensions, the outermost first; none if it is empty.
    pub lengths: Vec<usize>,
    /// The elements, the last dimension's running fastest. `None` is NULL.
    pub elements: Vec<Option<&'a [u8]>>,
}

pub fn binary(wire: &[u8]) -> Read<Binary<'_>> {
    let mut bytes = Bytes::new(wire);
    let dimensions = bytes.count()?;
    let _has_nulls = bytes.i32()?;
    let element_oid = u32::from_be_bytes(bytes.fixed()?);
    if dimensions > MAX_DIMENSIONS {
        return Err(Refusal::Malformed);
    }
    let mut lengths = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        lengths.push(bytes.count()?);
        let _lower_bound = bytes.i32()?;
    }
    let count = match lengths.as_slice() {
        [] => Some(0),
        lengths => lengths
            .iter()
            .try_fold(1_usize, |count, length| count.checked_mul(*length)),
    };
    // Each element takes four bytes at least, and a dimension of nothing is none.
    let count = count
        .filter(|count| *count <= wire.len() / 4 && (*count > 0 || lengths.is_empty()))
        .ok_or(Refusal::Malformed)?;
    let elements = (0..count)
        .map(|_| bytes.value())
        .collect::<Read<Vec<_>>>()?;
    bytes.end()?;
    Ok(Binary {
        element_oid,
        lengths,
        elements,
    })
}
