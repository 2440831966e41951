//! Arrays of any type: a `list`, of lists where there are more dimensions.

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::{Decoded, Decoder, Failure, all};
use crate::wire::array::{self, Token, Tokens};

pub fn text<'py>(py: Python<'py>, wire: &[u8], element: &Decoder, delimiter: u8) -> Decoded<'py> {
    let mut outer: Vec<Vec<Bound<'py, PyAny>>> = Vec::new();
    let mut items = Vec::new();
    for token in Tokens::new(wire, delimiter) {
        match token? {
            Token::Open => outer.push(std::mem::take(&mut items)),
            Token::Null => items.push(py.None().into_bound(py)),
            Token::Item(item) => items.push(element.decode(py, &item)?),
            Token::Close => {
                let list = PyList::new(py, items)?.into_any();
                items = outer.pop().unwrap_or_default();
                items.push(list);
            }
        }
    }
    items.pop().ok_or(Failure::Unknown)
}

pub fn binary<'py>(py: Python<'py>, wire: &[u8], element: &Decoder, oid: u32) -> Decoded<'py> {
    let array = array::binary(wire)?;
    if array.element_oid != oid {
        return Err(Failure::Malformed);
    }
    let mut items = all(array.elements.into_iter().map(|item| match item {
        Some(item) => element.decode(py, item),
        None => Ok(py.None().into_bound(py)),
    }))?;
    // From the innermost dimension outwards, what belongs together becomes a list.
    for length in array.lengths.iter().skip(1).rev() {
        items = items
            .chunks(*length)
            .map(|row| Ok(PyList::new(py, row)?.into_any()))
            .collect::<PyResult<_>>()?;
    }
    Ok(PyList::new(py, items)?.into_any())
}
