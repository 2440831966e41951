//! `numeric`: `decimal.Decimal`.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{Decoded, Failure};
use crate::pytypes;
use crate::wire;

pub fn text<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    match std::str::from_utf8(wire) {
        Ok(text) if wire::numeric::is_text(wire) => value(py, text),
        _ => Err(Failure::Unknown),
    }
}

pub fn binary<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    value(py, &wire::numeric::binary(wire)?)
}

fn value<'py>(py: Python<'py>, text: &str) -> Decoded<'py> {
    Ok(pytypes::decimal(py)?.call1((PyString::new(py, text),))?)
}
