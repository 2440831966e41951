//! psycopg's connection, as libpq and psycopg know it.

use std::ffi::{CString, c_void};

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::encode::Parameters;
use crate::libpq::libpq;

/// Where psycopg says that its connection is. Raises psycopg's exception for one that is closed.
pub fn address(pgconn: &Bound<'_, PyAny>) -> PyResult<*const c_void> {
    let py = pgconn.py();
    let address: Option<usize> = pgconn.getattr(intern!(py, "pgconn_ptr"))?.extract()?;
    match address {
        Some(address) if address != 0 => Ok(address as *const c_void),
        _ => {
            pgconn.call_method0(intern!(py, "flush"))?;
            Err(PyValueError::new_err("the connection is closed"))
        }
    }
}

/// What psycopg raises where a step has failed.
pub fn failure(pgconn: &Bound<'_, PyAny>, step: &str) -> PyResult<PyErr> {
    let py = pgconn.py();
    let message: String = pgconn
        .call_method0(intern!(py, "get_error_message"))?
        .extract()?;
    let error = py
        .import(intern!(py, "psycopg"))?
        .getattr(intern!(py, "OperationalError"))?;
    let error = error.call1((format!("{step} failed: {message}"),))?;
    Ok(PyErr::from_value(error))
}

/// Leave notifications that have arrived to psycopg.
pub fn notify(pgconn: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = pgconn.py();
    loop {
        let notification = pgconn.call_method0(intern!(py, "notifies"))?;
        if notification.is_none() {
            return Ok(());
        }
        let handler = pgconn.getattr(intern!(py, "notify_handler"))?;
        if !handler.is_none() {
            handler.call1((notification,))?;
        }
    }
}

/// Have libpq send a prepared statement. Return the connection's address, and whether it does.
pub fn send_prepared(
    pgconn: &Bound<'_, PyAny>,
    name: &Bound<'_, PyBytes>,
    parameters: &Parameters,
) -> PyResult<(*const c_void, bool)> {
    let connection = address(pgconn)?;
    let name = zero_terminated(name)?;
    let texts = parameters.pointers();
    // SAFETY: psycopg says that its connection lives at this address, and it does while the GIL is
    // held. There are as many pointers as parameters, each null or to a text that ends with a zero
    // byte and lives as long as the parameters; libpq copies them. Without types, lengths and
    // formats, all are text, and so are the results.
    let is_sent = unsafe {
        (libpq()?.send_query_prepared)(
            connection,
            name.as_ptr(),
            parameters.len(),
            texts.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            0,
        )
    };
    Ok((connection, is_sent == 1))
}

/// The bytes of a text as libpq takes it.
pub fn zero_terminated(text: &Bound<'_, PyBytes>) -> PyResult<CString> {
    CString::new(text.as_bytes()).map_err(|_| PyValueError::new_err("embedded null byte"))
}
