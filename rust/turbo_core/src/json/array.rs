//! Arrays of any type, in arrays where there are more dimensions.

use std::slice::Iter;

use pyo3::prelude::*;

use crate::decode::Decoder;
use crate::wire::array::{self, Token, Tokens};
use crate::wire::{Read, Refusal};

pub fn text(
    py: Python<'_>,
    wire: &[u8],
    element: &Decoder,
    delimiter: u8,
    out: &mut String,
) -> Read<()> {
    let mut is_first = true;
    for token in Tokens::new(wire, delimiter) {
        let token = token?;
        if !is_first && token != Token::Close {
            out.push_str(", ");
        }
        is_first = token == Token::Open;
        match token {
            Token::Open => out.push('['),
            Token::Close => out.push(']'),
            Token::Null => out.push_str("null"),
            Token::Item(item) => element.write_json(py, &item, out)?,
        }
    }
    Ok(())
}

pub fn binary(
    py: Python<'_>,
    wire: &[u8],
    element: &Decoder,
    oid: u32,
    out: &mut String,
) -> Read<()> {
    let array = array::binary(wire)?;
    if array.element_oid != oid {
        return Err(Refusal::Malformed);
    }
    dimension(py, &array.lengths, &mut array.elements.iter(), element, out)
}

/// Write the elements of the outermost dimension of several, or nothing if there is none.
fn dimension(
    py: Python<'_>,
    lengths: &[usize],
    elements: &mut Iter<'_, Option<&[u8]>>,
    element: &Decoder,
    out: &mut String,
) -> Read<()> {
    out.push('[');
    let (length, inner) = lengths.split_first().unwrap_or((&0, &[]));
    for index in 0..*length {
        if index > 0 {
            out.push_str(", ");
        }
        if !inner.is_empty() {
            dimension(py, inner, elements, element, out)?;
        } else if let Some(Some(item)) = elements.next() {
            element.write_json(py, item, out)?;
        } else {
            out.push_str("null");
        }
    }
    out.push(']');
    Ok(())
}
