//! `bytea`: `bytes`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{Decoded, Failure};
use crate::wire;

pub fn text<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    let pairs = wire::bytea::text(wire).ok_or(Failure::Unknown)?;
    let mut valid = true;
    let bytes = PyBytes::new_with(py, pairs.len(), |buffer| {
        for (byte, pair) in buffer.iter_mut().zip(pairs) {
            match wire::bytea::byte(*pair) {
                Some(read) => *byte = read,
                None => valid = false,
            }
        }
        Ok(())
    })?;
    match valid {
        true => Ok(bytes.into_any()),
        false => Err(Failure::Unknown),
    }
}

pub fn binary<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    Ok(PyBytes::new(py, wire).into_any())
}
