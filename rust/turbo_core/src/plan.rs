//! A plan: what a query's rows become. Built and checked once, then only read.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyType};

use crate::column::{Column, check_index};
use crate::error::Error;
use crate::instance::Instance;
use crate::join::{Join, Joining};
use crate::rows::{Item, Row, Values, template};
use crate::source::Source;
use crate::source::pgresult::PgResult;
use crate::source::tuples::Tuples;

/// The shape of a query's rows, and the columns they are made of.
///
/// A plan is made by one of `instances()`, `tuples()`, `dicts()` and `flat()`. An item of a row is
/// the index of a column, or a sequence of them for a composite key. `label` names the query's
/// model in the notes of exceptions.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Plan {
    label: String,
    columns: Vec<Py<Column>>,
    shape: Shape,
}

enum Shape {
    Instances(Py<Instance>),
    Tuples(Vec<Item>),
    NamedTuples(Vec<Item>, Py<PyType>),
    Dicts(Vec<(Py<PyString>, Item)>, Py<PyDict>),
    Flat(Item),
}

#[pymethods]
impl Plan {
    /// Rows become model instances.
    #[staticmethod]
    fn instances(
        label: String,
        columns: Vec<Py<Column>>,
        instance: Py<Instance>,
    ) -> PyResult<Self> {
        instance.get().check(columns.len())?;
        Ok(Self {
            label,
            columns,
            shape: Shape::Instances(instance),
        })
    }

    /// Rows become tuples, or instances of a subclass of tuple.
    #[staticmethod]
    #[pyo3(signature = (label, columns, items, row_class=None))]
    fn tuples(
        label: String,
        columns: Vec<Py<Column>>,
        items: Vec<Item>,
        row_class: Option<Py<PyType>>,
    ) -> PyResult<Self> {
        check_items(&items, columns.len())?;
        let shape = match row_class {
            None => Shape::Tuples(items),
            Some(class) => Shape::NamedTuples(items, class),
        };
        Ok(Self {
            label,
            columns,
            shape,
        })
    }

    /// Rows become dicts, a name for each item.
    #[staticmethod]
    fn dicts(
        py: Python<'_>,
        label: String,
        columns: Vec<Py<Column>>,
        items: Vec<Item>,
        names: Vec<Py<PyString>>,
    ) -> PyResult<Self> {
        check_items(&items, columns.len())?;
        if names.len() != items.len() {
            return Err(Error::NamesAndItems {
                names: names.len(),
                items: items.len(),
            }
            .into());
        }
        let template = template(py, names.iter().map(|name| name.bind(py)))?;
        let entries = names.into_iter().zip(items).collect();
        Ok(Self {
            label,
            columns,
            shape: Shape::Dicts(entries, template),
        })
    }

    /// Rows become the value of one item.
    #[staticmethod]
    fn flat(label: String, columns: Vec<Py<Column>>, item: Item) -> PyResult<Self> {
        check_items(std::slice::from_ref(&item), columns.len())?;
        Ok(Self {
            label,
            columns,
            shape: Shape::Flat(item),
        })
    }

    /// Hydrate rows `start` to `stop` of a `psycopg.pq.PGresult`, and join the instances if that
    /// is possible without a call of Python code.
    #[pyo3(signature = (pgresult, start, stop, join=None))]
    fn hydrate_result<'py>(
        &self,
        pgresult: Bound<'py, PyAny>,
        start: usize,
        stop: usize,
        join: Option<&Bound<'py, Join>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = pgresult.py();
        let source = PgResult::new(pgresult, &self.columns)?;
        let rows = source.len();
        if start > stop || stop > rows {
            return Err(Error::NoSuchRows { start, stop, rows }.into());
        }
        self.hydrate(py, &source, start, stop, join)
    }

    /// Hydrate a list of row tuples as a cursor returns them.
    fn hydrate_rows<'py>(&self, rows: Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
        let source = Tuples::new(&rows, self.columns.len())?;
        self.hydrate(rows.py(), &source, 0, source.len(), None)
    }

    /// The plan's columns, in the order of the result's.
    #[getter]
    fn columns(&self, py: Python<'_>) -> Vec<Py<Column>> {
        self.columns
            .iter()
            .map(|column| column.clone_ref(py))
            .collect()
    }

    /// Whether no Python code but the driver's loaders runs when rows are hydrated.
    #[getter]
    fn is_native(&self) -> bool {
        let shape = match &self.shape {
            Shape::Instances(instance) => instance.get().is_native(),
            _ => true,
        };
        shape && self.columns.iter().all(|column| !column.get().converts())
    }

    /// Whether the instances of its rows can be joined so.
    fn joins(&self, join: &Bound<'_, Join>) -> PyResult<bool> {
        Ok(self.key_column(join.py(), join.get())?.is_some())
    }

    /// What rows become.
    #[getter]
    fn shape(&self) -> &'static str {
        match &self.shape {
            Shape::Instances(_) => "instances",
            Shape::Tuples(_) => "tuples",
            Shape::NamedTuples(..) => "named tuples",
            Shape::Dicts(..) => "dicts",
            Shape::Flat(_) => "flat values",
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Shape::Instances(instance) = &self.shape {
            visit.call(instance)?;
        }
        self.columns
            .iter()
            .try_for_each(|column| visit.call(column))
    }

    fn __repr__(&self) -> String {
        format!(
            "<Plan {} {} columns={}>",
            self.label,
            self.shape(),
            self.columns.len()
        )
    }
}

impl Plan {
    /// The column that a join is by, if instances are filled directly and a decoder reads it.
    fn key_column(&self, py: Python<'_>, join: &Join) -> PyResult<Option<usize>> {
        let Shape::Instances(instance) = &self.shape else {
            return Ok(None);
        };
        let is_decoded = |index: &usize| {
            let column = self.columns.get(*index);
            column.is_some_and(|column| column.get().is_decoded())
        };
        Ok(instance.get().key_column(py, join)?.filter(is_decoded))
    }

    fn hydrate<'py, S: Source<'py>>(
        &self,
        py: Python<'py>,
        source: &S,
        start: usize,
        stop: usize,
        join: Option<&Bound<'py, Join>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut joining = match join {
            Some(join) => {
                let column = self.key_column(py, join.get())?;
                column.map(|column| Joining::new(join.get(), column))
            }
            None => None,
        };
        // Objects are kept in a Vec until the list is made: no list with holes is ever visible.
        let mut objects = Vec::with_capacity(stop - start);
        let mut values = Values::with_capacity(self.columns.len());
        for index in start..stop {
            let row = Row {
                py,
                source,
                columns: &self.columns,
                label: &self.label,
                index,
            };
            objects.push(match &self.shape {
                Shape::Instances(instance) => {
                    instance.get().build(&row, joining.as_mut(), &mut values)?
                }
                Shape::Tuples(items) => row.tuple(items, &mut values)?.into_any(),
                Shape::NamedTuples(items, class) => row.named_tuple(items, class, &mut values)?,
                Shape::Dicts(entries, template) => row.dict(entries, template)?,
                Shape::Flat(item) => row.item(item)?,
            });
        }
        PyList::new(py, objects)
    }
}

fn check_items(items: &[Item], columns: usize) -> Result<(), Error> {
    items
        .iter()
        .flat_map(Item::indexes)
        .try_for_each(|index| check_index(*index, columns))
}
