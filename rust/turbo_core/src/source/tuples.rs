//! Row tuples that a driver has loaded, from any cursor.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::Source;
use crate::column::Column;
use crate::decode::Decoded;
use crate::error::Error;

pub struct Tuples<'py> {
    rows: Vec<Bound<'py, PyTuple>>,
}

impl<'py> Tuples<'py> {
    /// Hold the rows of a list. Each must be a tuple with at least as many values as columns.
    pub fn new(rows: &Bound<'py, PyList>, columns: usize) -> PyResult<Self> {
        let rows = rows
            .iter()
            .map(|row| {
                let row = row.cast_into::<PyTuple>()?;
                let found = row.len();
                if found < columns {
                    return Err(Error::TooFewColumns {
                        expected: columns,
                        found,
                    }
                    .into());
                }
                Ok(row)
            })
            .collect::<PyResult<_>>()?;
        Ok(Self { rows })
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

impl<'py> Tuples<'py> {
    fn loaded(&self, row: usize, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let rows = self.rows.len();
        let tuple = self.rows.get(row).ok_or(Error::NoSuchRows {
            start: row,
            stop: row + 1,
            rows,
        })?;
        tuple.get_item(index)
    }
}

impl<'py> Source<'py> for Tuples<'py> {
    fn is_null(&self, row: usize, index: usize) -> PyResult<bool> {
        Ok(self.loaded(row, index)?.is_none())
    }

    fn value(&self, row: usize, index: usize, column: &Column) -> Decoded<'py> {
        column.take(self.loaded(row, index)?)
    }
}
