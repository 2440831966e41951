//! Where rows come from: the driver's result as it was received, or tuples it has made.

pub mod pgresult;
pub mod tuples;

use pyo3::prelude::*;

use crate::column::Column;
use crate::decode::Decoded;

/// Rows that can be read value by value.
pub trait Source<'py> {
    /// Whether a value is NULL, as the driver sees it.
    fn is_null(&self, row: usize, index: usize) -> PyResult<bool>;

    /// Take note that Python code has run, which may have done anything to where the rows are.
    fn python_ran(&self) {}

    /// Read the value of a row and a column, decoded and converted as the column says.
    fn value(&self, row: usize, index: usize, column: &Column) -> Decoded<'py>;
}
