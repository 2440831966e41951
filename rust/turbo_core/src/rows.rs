//! One row, and the shapes that are not model instances: tuples, named tuples, dicts, flat values.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::column::Column;
use crate::error::Error;
use crate::pytypes;
use crate::source::Source;

/// Values on their way into an object: one buffer for all rows.
pub type Values<'py> = Vec<Bound<'py, PyAny>>;

/// A row of a source, seen through the plan's columns.
pub struct Row<'a, 'py, S> {
    pub py: Python<'py>,
    pub source: &'a S,
    pub columns: &'a [Py<Column>],
    pub label: &'a str,
    pub index: usize,
}

impl<'py, S: Source<'py>> Row<'_, 'py, S> {
    /// The value of a column. An exception carries a note about where it arose.
    #[inline]
    pub fn value(&self, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let columns = self.columns.len();
        let column = self
            .columns
            .get(index)
            .ok_or(Error::NoSuchColumn { index, columns })?
            .get();
        self.source
            .value(self.index, index, column)
            .map_err(|failure| column.error(self.py, failure, self.label, index, self.index))
    }

    /// Whether Python code is called for the values of a column.
    pub fn converts(&self, index: usize) -> bool {
        let column = self.columns.get(index);
        column.is_some_and(|column| column.get().converts())
    }

    /// The value of an item: `values_list(flat=True)`.
    pub fn item(&self, item: &Item) -> PyResult<Bound<'py, PyAny>> {
        match item {
            Item::Column(index) => self.value(*index),
            Item::Group(indexes) => {
                let values = indexes.iter().map(|index| self.value(*index));
                let values = values.collect::<PyResult<Vec<_>>>()?;
                Ok(PyTuple::new(self.py, values)?.into_any())
            }
        }
    }

    /// A tuple of items: `values_list()`.
    pub fn tuple(
        &self,
        items: &[Item],
        values: &mut Values<'py>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        values.clear();
        for item in items {
            values.push(self.item(item)?);
        }
        let tracked = values.iter().any(is_tracked);
        let tuple = PyTuple::new(self.py, values.drain(..))?;
        if !tracked {
            untrack(&tuple);
        }
        Ok(tuple)
    }

    /// The tuple as it is under another class: `values_list(named=True)`.
    pub fn named_tuple(
        &self,
        items: &[Item],
        class: &Py<PyType>,
        values: &mut Values<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        pytypes::tuple_new(self.py)?.call1((class.bind(self.py), self.tuple(items, values)?))
    }

    /// A dict with its keys in the order of the names: `values()`. A copy of one with the same
    /// keys never has to grow.
    pub fn dict(
        &self,
        entries: &[(Py<PyString>, Item)],
        template: &Py<PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dict = template.bind(self.py).copy()?;
        for (name, item) in entries {
            dict.set_item(name.bind(self.py), self.item(item)?)?;
        }
        Ok(dict.into_any())
    }
}

/// A dict with these keys, in their order, to be copied and filled for each row.
pub fn template<'a, 'py: 'a>(
    py: Python<'py>,
    names: impl Iterator<Item = &'a Bound<'py, PyString>>,
) -> PyResult<Py<PyDict>> {
    let template = PyDict::new(py);
    for name in names {
        template.set_item(name, py.None())?;
    }
    Ok(template.unbind())
}

/// Whether the garbage collector looks at an object.
fn is_tracked(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: it reads the header of an object that is held.
    unsafe { ffi::PyObject_GC_IsTracked(object.as_ptr()) != 0 }
}

/// Spare the garbage collector a tuple of which no cycle can start.
///
/// The collector does the same to such a tuple when it first meets it, which for 34,000 of them
/// took a quarter of the time of the whole query.
fn untrack(tuple: &Bound<'_, PyTuple>) {
    // SAFETY: the tuple is new and held here alone. It is immutable, and holds nothing that is
    // tracked, so no cycle can ever go through it.
    unsafe { ffi::PyObject_GC_UnTrack(tuple.as_ptr().cast()) }
}

/// One value of a row: a column, or the columns of a composite key as a tuple.
#[derive(FromPyObject)]
pub enum Item {
    Column(usize),
    Group(Vec<usize>),
}

impl Item {
    /// The columns that the item reads.
    pub fn indexes(&self) -> &[usize] {
        match self {
            Self::Column(index) => std::slice::from_ref(index),
            Self::Group(indexes) => indexes,
        }
    }
}
