//! Model instances: filled directly where nobody could tell, by `from_db()` otherwise.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType, PyWeakrefReference};

use crate::column::check_index;
use crate::pytypes;
use crate::rows::Row;
use crate::source::Source;

/// How one model instance is made of a row, with the instances that `select_related()` hangs on it.
///
/// `fields` pairs attribute names with columns, in the order in which they are to be stored.
/// Without `from_db`, a bare instance of `model` gets a bare `state_class` with the `state`
/// attributes and then the fields, through its `__dict__` where `through_dict` is set. With
/// `from_db`, that is called with (db, attribute names, values).
/// `pk` is the column that must not be NULL for there to be an instance. `related` holds
/// (instance, local, remote): who caches whom, as the name of a cache entry, as a function that
/// is called with (instance, value), or `None` for not at all. `peers` is the list that is to hold
/// a weak reference to each instance.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Instance {
    model: Py<PyType>,
    fields: Vec<(Py<PyString>, usize)>,
    state_class: Py<PyType>,
    state: Vec<(Py<PyString>, Py<PyAny>)>,
    through_dict: bool,
    from_db: Option<FromDb>,
    pk: Option<usize>,
    related: Vec<Related>,
    annotations: Vec<(Py<PyString>, usize)>,
    peers: Option<Py<PyList>>,
}

/// What `from_db()` is called with besides the values.
struct FromDb {
    call: Py<PyAny>,
    db: Py<PyAny>,
    names: Py<PyList>,
    as_list: bool,
}

type RelatedArgument = (Py<Instance>, Py<PyAny>, Py<PyAny>);

struct Related {
    instance: Py<Instance>,
    local: Setter,
    remote: Setter,
}

enum Setter {
    Nothing,
    Cache(Py<PyString>),
    Call(Py<PyAny>),
}

#[pymethods]
impl Instance {
    #[new]
    #[pyo3(signature = (
        model, fields, *, state_class, state, through_dict=false, from_db=None, db=None,
        values_as_list=false, pk=None, related=Vec::new(), annotations=Vec::new(), peers=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, to Python")]
    fn new(
        py: Python<'_>,
        model: Py<PyType>,
        fields: Vec<(Py<PyString>, usize)>,
        state_class: Py<PyType>,
        state: Vec<(Py<PyString>, Py<PyAny>)>,
        through_dict: bool,
        from_db: Option<Py<PyAny>>,
        db: Option<Py<PyAny>>,
        values_as_list: bool,
        pk: Option<usize>,
        related: Vec<RelatedArgument>,
        annotations: Vec<(Py<PyString>, usize)>,
        peers: Option<Py<PyList>>,
    ) -> PyResult<Self> {
        let from_db = match from_db {
            None => None,
            Some(call) => Some(FromDb {
                call,
                db: db.unwrap_or_else(|| py.None()),
                names: PyList::new(py, fields.iter().map(|(name, _)| name))?.unbind(),
                as_list: values_as_list,
            }),
        };
        let related = related
            .into_iter()
            .map(|(instance, local, remote)| Related {
                instance,
                local: Setter::new(py, local),
                remote: Setter::new(py, remote),
            })
            .collect();
        Ok(Self {
            model,
            fields,
            state_class,
            state,
            through_dict,
            from_db,
            pk,
            related,
            annotations,
            peers,
        })
    }

    /// Whether instances are filled directly, without `from_db()`.
    #[getter]
    fn direct(&self) -> bool {
        self.from_db.is_none()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let way = if self.from_db.is_none() {
            "direct"
        } else {
            "from_db"
        };
        let model = self.model.bind(py).name()?;
        Ok(format!(
            "<Instance {model} {way} fields={} related={}>",
            self.fields.len(),
            self.related.len()
        ))
    }
}

impl Instance {
    /// Whether no Python code runs when an instance is made, here and below.
    pub fn is_native(&self) -> bool {
        let cached = |setter: &Setter| !matches!(setter, Setter::Call(_));
        self.from_db.is_none()
            && self.related.iter().all(|related| {
                related.instance.get().is_native()
                    && cached(&related.local)
                    && cached(&related.remote)
            })
    }

    /// Refuse references to columns that the plan does not have, here and below.
    pub fn check(&self, columns: usize) -> PyResult<()> {
        for (_, index) in self.fields.iter().chain(&self.annotations) {
            check_index(*index, columns)?;
        }
        if let Some(index) = self.pk {
            check_index(index, columns)?;
        }
        self.related
            .iter()
            .try_for_each(|related| related.instance.get().check(columns))
    }

    /// Make the instance of a row, or `None` where its primary key is NULL.
    pub fn build<'py, S: Source<'py>>(
        &self,
        row: &Row<'_, 'py, S>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = row.py;
        if let Some(index) = self.pk
            && row.is_null(index)?
        {
            return Ok(py.None().into_bound(py));
        }
        let instance = match &self.from_db {
            None => self.fill(row)?,
            Some(from_db) => self.call_from_db(from_db, row)?,
        };
        if let Some(peers) = &self.peers {
            let peers = peers.bind(py);
            peers.append(PyWeakrefReference::new(&instance)?)?;
            instance
                .getattr(intern!(py, "_state"))?
                .setattr(intern!(py, "peers"), peers)?;
        }
        for related in &self.related {
            let value = related.instance.get().build(row)?;
            related.local.set(&instance, &value)?;
            if !value.is_none() {
                related.remote.set(&value, &instance)?;
            }
        }
        for (name, index) in &self.annotations {
            instance.setattr(name.bind(py), row.value(*index)?)?;
        }
        Ok(instance)
    }

    /// Store what `Model.__init__()` and `Model.from_db()` store, in their order.
    fn fill<'py, S: Source<'py>>(&self, row: &Row<'_, 'py, S>) -> PyResult<Bound<'py, PyAny>> {
        let py = row.py;
        let state = self.state_class.bind(py).call0()?;
        for (name, value) in &self.state {
            state.setattr(name.bind(py), value.bind(py))?;
        }
        let instance = pytypes::object_new(py)?.call1((self.model.bind(py),))?;
        if self.through_dict {
            let attributes = instance
                .getattr(intern!(py, "__dict__"))?
                .cast_into::<PyDict>()?;
            attributes.set_item(intern!(py, "_state"), state)?;
            for (name, index) in &self.fields {
                attributes.set_item(name.bind(py), row.value(*index)?)?;
            }
        } else {
            instance.setattr(intern!(py, "_state"), state)?;
            for (name, index) in &self.fields {
                instance.setattr(name.bind(py), row.value(*index)?)?;
            }
        }
        Ok(instance)
    }

    fn call_from_db<'py, S: Source<'py>>(
        &self,
        from_db: &FromDb,
        row: &Row<'_, 'py, S>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = row.py;
        let values = self
            .fields
            .iter()
            .map(|(_, index)| row.value(*index))
            .collect::<PyResult<Vec<_>>>()?;
        let values = if from_db.as_list {
            PyList::new(py, values)?.into_any()
        } else {
            PyTuple::new(py, values)?.into_any()
        };
        from_db
            .call
            .bind(py)
            .call1((from_db.db.bind(py), from_db.names.bind(py), values))
    }
}

impl Setter {
    fn new(py: Python<'_>, argument: Py<PyAny>) -> Self {
        if argument.is_none(py) {
            return Self::Nothing;
        }
        match argument.bind(py).cast::<PyString>() {
            Ok(name) => Self::Cache(name.clone().unbind()),
            Err(_) => Self::Call(argument),
        }
    }

    fn set<'py>(&self, instance: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = instance.py();
        match self {
            Self::Nothing => Ok(()),
            Self::Cache(name) => instance
                .getattr(intern!(py, "_state"))?
                .getattr(intern!(py, "fields_cache"))?
                .set_item(name.bind(py), value),
            Self::Call(set) => set.bind(py).call1((instance, value)).map(drop),
        }
    }
}
