//! libpq's `PGresult`, read where psycopg keeps it.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use pyo3::intern;
use pyo3::prelude::*;

use super::Source;
use crate::column::Column;
use crate::decode::Decoded;
use crate::error::Error;
use crate::libpq::{LibPq, libpq};

/// Where psycopg says that its result is.
pub fn address_in(owner: &Bound<'_, PyAny>) -> PyResult<*const c_void> {
    let address: Option<usize> = owner
        .getattr(intern!(owner.py(), "pgresult_ptr"))?
        .extract()?;
    match address {
        Some(address) if address != 0 => Ok(address as *const c_void),
        _ => Err(Error::ResultCleared.into()),
    }
}

/// A result, held by the Python object that owns it.
pub struct PgResult<'py> {
    libpq: &'static LibPq,
    result: *const c_void,
    rows: usize,
    owner: Bound<'py, PyAny>,
    /// Whether Python code has run since it was last seen that the result is there.
    python_ran: Cell<bool>,
}

impl<'py> PgResult<'py> {
    /// Open a `psycopg.pq.PGresult` that has at least these columns, in their formats.
    pub fn new(owner: Bound<'py, PyAny>, columns: &[Py<Column>]) -> PyResult<Self> {
        let libpq = libpq()?;
        let result = address_in(&owner)?;
        // SAFETY: psycopg says that its result lives at this address, and it does as long as
        // `owner` is held and not cleared, which `wire()` asks again after Python code has run.
        let (rows, found) = unsafe { ((libpq.ntuples)(result), (libpq.nfields)(result)) };
        let rows = usize::try_from(rows).map_err(|_| Error::ResultCleared)?;
        let found = usize::try_from(found).map_err(|_| Error::ResultCleared)?;
        if found < columns.len() {
            return Err(Error::TooFewColumns {
                expected: columns.len(),
                found,
            }
            .into());
        }
        for (index, column) in (0..).zip(columns) {
            // SAFETY: as above; libpq checks the index.
            let is_binary = unsafe { (libpq.fformat)(result, index) != 0 };
            if is_binary != column.get().is_binary() {
                return Err(Error::WrongFormat { is_binary }.into());
            }
        }
        Ok(Self {
            libpq,
            result,
            rows,
            owner,
            python_ran: Cell::new(false),
        })
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    /// The wire text of a value, `None` where it is NULL.
    #[inline]
    pub fn wire(&self, row: usize, index: usize) -> PyResult<Option<&[u8]>> {
        if self.python_ran.replace(false) && address_in(&self.owner)? != self.result {
            return Err(Error::ResultCleared.into());
        }
        let (Ok(row), Ok(index)) = (c_int::try_from(row), c_int::try_from(index)) else {
            return Err(Error::ResultCleared.into());
        };
        // SAFETY: `result` is alive as in `new()`. libpq checks row and column itself, and answers
        // an index that does not exist with length 0 and "is null".
        let (length, null) = unsafe {
            let length = (self.libpq.getlength)(self.result, row, index);
            (
                length,
                length == 0 && (self.libpq.getisnull)(self.result, row, index) != 0,
            )
        };
        if null {
            return Ok(None);
        }
        // SAFETY: as above; the value is not NULL.
        let start = unsafe { (self.libpq.getvalue)(self.result, row, index) };
        let length = usize::try_from(length).map_err(|_| Error::ResultCleared)?;
        if start.is_null() {
            return Err(Error::ResultCleared.into());
        }
        debug_assert!(row >= 0 && index >= 0);
        // SAFETY: libpq keeps `length` bytes at `start`, unchanged until the result is cleared.
        Ok(Some(unsafe {
            std::slice::from_raw_parts(start.cast::<u8>(), length)
        }))
    }
}

impl<'py> Source<'py> for PgResult<'py> {
    fn is_null(&self, row: usize, index: usize) -> PyResult<bool> {
        Ok(self.wire(row, index)?.is_none())
    }

    #[inline]
    fn value(&self, row: usize, index: usize, column: &Column) -> Decoded<'py> {
        let py = self.owner.py();
        match self.wire(row, index)? {
            Some(wire) => column.read(py, wire, &self.python_ran),
            None => {
                self.python_ran.set(column.converts());
                column.null(py)
            }
        }
    }

    fn python_ran(&self) {
        self.python_ran.set(true);
    }
}
