//! A plan: what a query's rows become. Built and checked once, then only read.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyType};

use crate::column::{Column, check_index};
use crate::error::Error;
use crate::instance::Instance;
use crate::join::{Join, Joining};
use crate::json::{self, Rows};
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
        let source = self.source(pgresult, start, stop)?;
        self.hydrate(py, &source, start, stop, join)
    }

    /// Write rows `start` to `stop` of a result as a part of the JSON array of all rows. With
    /// members, dicts are nested.
    #[pyo3(signature = (pgresult, start, stop, encode, members=None))]
    fn json<'py>(
        &self,
        pgresult: Bound<'py, PyAny>,
        start: usize,
        stop: usize,
        encode: &Bound<'py, PyAny>,
        members: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let py = pgresult.py();
        let rows = self.json_rows(py, members)?;
        let source = self.source(pgresult, start, stop)?;
        let mut out = String::from(if start == 0 { "[" } else { "" });
        for index in start..stop {
            out.push_str(json::separator(index));
            rows.write(&self.row(py, &source, index), encode, &mut out)?;
        }
        out.push_str(if stop == source.len() { "]" } else { "" });
        Ok(PyBytes::new(py, out.as_bytes()))
    }

    /// Write rows `start` to `stop` of a result as JSON, and return what is written by the value
    /// that a row has for a name: rows of the same value with commas between, or the first of
    /// them unless there may be many.
    #[expect(clippy::too_many_arguments, reason = "arguments, to Python")]
    #[pyo3(signature = (pgresult, start, stop, encode, members, name, many=true))]
    fn json_by_key<'py>(
        &self,
        pgresult: Bound<'py, PyAny>,
        start: usize,
        stop: usize,
        encode: &Bound<'py, PyAny>,
        members: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
        many: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = pgresult.py();
        let rows = self.json_rows(py, Some(members))?;
        let key = json::item(py, self.entries()?, name)?;
        let source = self.source(pgresult, start, stop)?;
        let places = PyDict::new(py);
        let mut texts: Vec<String> = Vec::new();
        for index in start..stop {
            let row = self.row(py, &source, index);
            let key = row.item(key)?;
            let place = places.call_method1(intern!(py, "setdefault"), (key, texts.len()));
            source.python_ran();
            let place: usize = place?.extract()?;
            if place == texts.len() {
                texts.push(String::new());
            } else if !many {
                continue;
            }
            if let Some(text) = texts.get_mut(place) {
                text.push_str(json::separator(text.len()));
                rows.write(&row, encode, text)?;
            }
        }
        let by_key = PyDict::new(py);
        for ((key, _), text) in places.iter().zip(texts) {
            by_key.set_item(key, text)?;
        }
        Ok(by_key)
    }

    /// The values that dicts have for a name, in a plan whose rows become them.
    fn flat_by(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> PyResult<Self> {
        let item = match json::item(py, self.entries()?, name)? {
            Item::Column(column) => Item::Column(*column),
            Item::Group(columns) => Item::Group(columns.clone()),
        };
        Self::flat(self.label.clone(), self.columns(py), item)
    }

    /// The names that dicts have, none if rows become anything else.
    #[getter]
    fn names(&self, py: Python<'_>) -> Option<Vec<Py<PyString>>> {
        let entries = self.entries().ok()?;
        let names = entries.iter().map(|(name, _)| name.clone_ref(py));
        Some(names.collect())
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
    fn entries(&self) -> Result<&[(Py<PyString>, Item)], Error> {
        match &self.shape {
            Shape::Dicts(entries, _) => Ok(entries),
            _ => Err(Error::NoNames),
        }
    }

    fn json_rows<'py>(
        &self,
        py: Python<'py>,
        members: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Rows<'_, 'py>> {
        if let Some(members) = members {
            return Rows::nested(py, self.entries()?, json::members(members, 0)?);
        }
        match &self.shape {
            Shape::Instances(_) => Err(Error::InstancesAsJson.into()),
            Shape::Tuples(items) | Shape::NamedTuples(items, _) => Ok(Rows::arrays(items)),
            Shape::Dicts(entries, _) => Rows::objects(py, entries),
            Shape::Flat(item) => Ok(Rows::values(item)),
        }
    }

    fn row<'a, 'py, S>(&'a self, py: Python<'py>, source: &'a S, index: usize) -> Row<'a, 'py, S> {
        Row {
            py,
            source,
            columns: &self.columns,
            label: &self.label,
            index,
        }
    }

    /// Open a result that has to have these rows.
    fn source<'py>(
        &self,
        pgresult: Bound<'py, PyAny>,
        start: usize,
        stop: usize,
    ) -> PyResult<PgResult<'py>> {
        let source = PgResult::new(pgresult, &self.columns)?;
        let rows = source.len();
        match start > stop || stop > rows {
            true => Err(Error::NoSuchRows { start, stop, rows }.into()),
            false => Ok(source),
        }
    }

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
            let row = self.row(py, source, index);
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
