//! `text`, `varchar`, `char`, `name`, and whatever else a text loader is registered for: `str`.

use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{Decoded, Failure};

#[inline]
pub fn value<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    // CPython has one object for each shorter text.
    if wire.len() > 1 && wire.is_ascii() {
        return Ok(ascii(py, wire)?);
    }
    match PyString::from_bytes(py, wire) {
        Ok(text) => Ok(text.into_any()),
        Err(_) => Err(Failure::Unknown),
    }
}

/// Copy ASCII into a new text: what the decoder of UTF-8 does, in half the time.
#[inline]
fn ascii<'py>(py: Python<'py>, ascii: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let length = ascii.len() as ffi::Py_ssize_t;
    // SAFETY: the text is new and held here alone, and has room for so many ASCII characters,
    // which are one byte each.
    unsafe {
        let text = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(length, 127))?;
        let data = ffi::PyUnicode_1BYTE_DATA(text.as_ptr());
        ptr::copy_nonoverlapping(ascii.as_ptr(), data, ascii.len());
        Ok(text)
    }
}
