//! Whether a result is read as the one that a plan was made for: by its types, by the session that
//! has sent it, and by the loaders that are registered.

use std::ffi::{CStr, CString, c_int};

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::libpq::libpq;
use crate::pgconn::address;
use crate::source::pgresult::address_in;

type Parameter = (CString, Option<CString>);

/// What a result has to be like.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Fit {
    types: Vec<u32>,
    /// The names of the session's parameters, and their values.
    session: Vec<Parameter>,
    /// By the types that they load; `None` where there is none.
    loaders: Vec<(Py<PyAny>, Py<PyAny>)>,
}

#[pymethods]
impl Fit {
    #[new]
    fn new(
        types: Vec<u32>,
        session: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        loaders: Vec<(Py<PyAny>, Py<PyAny>)>,
    ) -> PyResult<Self> {
        let text = |bytes| {
            CString::new(bytes).map_err(|_| PyValueError::new_err("a parameter has a zero byte"))
        };
        let parameter = |(name, value): (Vec<u8>, Option<Vec<u8>>)| -> PyResult<Parameter> {
            Ok((text(name)?, value.map(text).transpose()?))
        };
        Ok(Self {
            types,
            session: session
                .into_iter()
                .map(parameter)
                .collect::<PyResult<_>>()?,
            loaders,
        })
    }

    /// Return whether a result of a connection of psycopg's is like that, and in text format.
    fn fits(
        &self,
        pgconn: &Bound<'_, PyAny>,
        pgresult: &Bound<'_, PyAny>,
        registered: &Bound<'_, PyDict>,
    ) -> PyResult<bool> {
        Ok(self.has_types(pgresult)?
            && self.has_session(pgconn)?
            && self.has_loaders(registered)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for (oid, loader) in &self.loaders {
            visit.call(oid)?;
            visit.call(loader)?;
        }
        Ok(())
    }
}

impl Fit {
    fn has_types(&self, pgresult: &Bound<'_, PyAny>) -> PyResult<bool> {
        let libpq = libpq()?;
        let result = address_in(pgresult)?;
        // SAFETY: psycopg says that its result lives at this address, and it does while `pgresult`
        // is held and the GIL is. libpq checks the index of a column.
        unsafe {
            if usize::try_from((libpq.nfields)(result)).ok() != Some(self.types.len()) {
                return Ok(false);
            }
            // A result has all its columns in one format.
            if !self.types.is_empty() && (libpq.fformat)(result, 0) != 0 {
                return Ok(false);
            }
            Ok((0 as c_int..)
                .zip(&self.types)
                .all(|(index, oid)| (libpq.ftype)(result, index) == *oid))
        }
    }

    fn has_session(&self, pgconn: &Bound<'_, PyAny>) -> PyResult<bool> {
        let libpq = libpq()?;
        let connection = address(pgconn)?;
        Ok(self.session.iter().all(|(name, value)| {
            // SAFETY: psycopg says that its connection lives at this address, and it does while
            // the GIL is held. The name ends with a zero byte, as the text does that libpq keeps
            // until the next message is received.
            unsafe {
                let found = (libpq.parameter_status)(connection, name.as_ptr());
                match value {
                    Some(value) => !found.is_null() && CStr::from_ptr(found) == value.as_c_str(),
                    None => found.is_null(),
                }
            }
        }))
    }

    fn has_loaders(&self, registered: &Bound<'_, PyDict>) -> PyResult<bool> {
        for (oid, loader) in &self.loaders {
            let same = match registered.get_item(oid)? {
                Some(found) => found.is(loader),
                None => loader.is_none(registered.py()),
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
