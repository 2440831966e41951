//! Model instances: filled directly where that cannot be observed, by `from_db()` otherwise.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType, PyWeakrefReference};

use crate::column::check_index;
use crate::error::deeper;
use crate::inline_values::Places;
use crate::join::{Join, Joining};
use crate::pytypes::{Bare, attributes, set_attribute};
use crate::rows::{Row, Values, template};
use crate::source::Source;

/// How one model instance is made of a row, with those that `select_related()` adds to it.
///
/// `fields` pairs attribute names with columns, in the order in which they are to be stored.
/// Without `from_db`, a bare instance of `model` gets a bare `state_class` with the `state`
/// attributes and then the fields, through its `__dict__` where `through_dict` is set. With
/// `from_db`, that is called with (db, attribute names, values).
/// `pk` is the column that must not be NULL for there to be an instance. `related` holds
/// (instance, local, remote): how each caches the other, as the name of an entry of `fields_cache`,
/// as a function that is called with (instance, value), or `None` for not at all. `peers` is the list that is to hold
/// a weak reference to each instance.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Instance {
    model: Py<PyType>,
    fields: Vec<(Py<PyString>, usize)>,
    way: Way,
    pk: Option<usize>,
    related: Vec<Related>,
    annotations: Vec<(Py<PyString>, usize)>,
    peers: Option<Py<PyList>>,
    depth: usize,
}

/// How the values get into an instance.
enum Way {
    Fill(Fill),
    FromDb(FromDb),
}

/// What a bare instance gets besides the values.
struct Fill {
    model: Bare,
    state_class: Bare,
    state: Vec<(Py<PyString>, Py<PyAny>)>,
    store: Store,
    /// Where an instance has its state and its fields, the state its attributes, and a
    /// `fields_cache` behind these.
    places: Places,
    state_places: Places,
    cache_places: Places,
}

/// Where the attributes of an instance go.
enum Store {
    /// Each to its inline value, which CPython has in every instance of the class.
    Inline,
    /// To the `__dict__` over the inline values, past any descriptor.
    Dict,
    /// To a copy of a dict that has all their names, where there are more than inline values.
    Copy(Py<PyDict>),
}

/// The inline values that CPython has for an instance, besides `_state`. For one more attribute it
/// makes a dict of all: 0.6 µs, and another 750 bytes.
const INLINE_VALUES: usize = 29;

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
        model: Bound<'_, PyType>,
        fields: Vec<(Py<PyString>, usize)>,
        state_class: Bound<'_, PyType>,
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
        let py = model.py();
        let way = match from_db {
            None => Way::Fill(Fill {
                model: Bare::new(&model)?,
                state_class: Bare::new(&state_class)?,
                state,
                store: match (fields.len() + annotations.len(), through_dict) {
                    (INLINE_VALUES.., _) => {
                        let names = fields.iter().map(|(name, _)| name.bind(py));
                        let names = std::iter::once(intern!(py, "_state")).chain(names);
                        Store::Copy(template(py, names)?)
                    }
                    (_, true) => Store::Dict,
                    (_, false) => Store::Inline,
                },
                places: Places::default(),
                state_places: Places::default(),
                cache_places: Places::default(),
            }),
            Some(call) => Way::FromDb(FromDb {
                call,
                db: db.unwrap_or_else(|| py.None()),
                names: PyList::new(py, fields.iter().map(|(name, _)| name))?.unbind(),
                as_list: values_as_list,
            }),
        };
        let depth = related.iter().map(|(instance, ..)| instance.get().depth);
        Ok(Self {
            depth: deeper(depth.max().unwrap_or(0))?,
            model: model.unbind(),
            fields,
            way,
            pk,
            related: related
                .into_iter()
                .map(|related| Related::new(py, related))
                .collect(),
            annotations,
            peers,
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.way {
            Way::Fill(fill) => {
                for (_, value) in &fill.state {
                    visit.call(value)?;
                }
            }
            Way::FromDb(from_db) => visit.call(&from_db.call)?,
        }
        for related in &self.related {
            visit.call(&related.instance)?;
            for setter in [&related.local, &related.remote] {
                if let Setter::Call(set) = setter {
                    visit.call(set)?;
                }
            }
        }
        visit.call(&self.model)?;
        visit.call(&self.peers)
    }

    /// Whether instances are filled directly, without `from_db()`.
    #[getter]
    fn direct(&self) -> bool {
        matches!(self.way, Way::Fill(_))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let way = if self.direct() { "direct" } else { "from_db" };
        let model = self.model.bind(py).name()?;
        Ok(format!(
            "<Instance {model} {way} fields={} related={}>",
            self.fields.len(),
            self.related.len()
        ))
    }
}

impl Instance {
    /// Whether no code of the model's own runs when an instance is made, here and below.
    pub fn is_native(&self) -> bool {
        self.direct()
            && self
                .related
                .iter()
                .all(|related| related.is_native() && related.instance.get().is_native())
    }

    /// Refuse references to columns that the plan does not have, here and below.
    pub fn check(&self, columns: usize) -> PyResult<()> {
        let named = self.fields.iter().chain(&self.annotations);
        for index in named.map(|(_, index)| index).chain(&self.pk) {
            check_index(*index, columns)?;
        }
        self.related
            .iter()
            .try_for_each(|related| related.instance.get().check(columns))
    }

    /// The column of the attribute that a join is by, if instances are filled directly.
    pub fn key_column(&self, py: Python<'_>, join: &Join) -> PyResult<Option<usize>> {
        if !self.is_native() {
            return Ok(None);
        }
        for (name, index) in self.fields.iter().chain(&self.annotations) {
            if join.is_by(py, name)? {
                return Ok(Some(*index));
            }
        }
        Ok(None)
    }

    /// Make the instance of a row, or `None` where its primary key is NULL. It may be joined by the
    /// value of a column. `values` is a buffer.
    pub fn build<'py, S: Source<'py>>(
        &self,
        row: &Row<'_, 'py, S>,
        join: Option<&mut Joining<'_, 'py>>,
        values: &mut Values<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = join.as_ref().map(|join| join.column);
        let Some(mut built) = self.built(row, wanted, values)? else {
            return Ok(row.py.None().into_bound(row.py));
        };
        if let (Some(join), Some(key)) = (join, built.wanted.take()) {
            join.add(&mut built, key)?;
        }
        Ok(built.instance)
    }

    /// The instance of a row, with the value of a column that is `wanted`.
    fn built<'py, S: Source<'py>>(
        &self,
        row: &Row<'_, 'py, S>,
        wanted: Option<usize>,
        values: &mut Values<'py>,
    ) -> PyResult<Option<Built<'_, 'py>>> {
        let py = row.py;
        let key = match self.pk.map(|index| Key::read(row, index)).transpose()? {
            Some(Key::Null) => {
                self.convert(row)?;
                return Ok(None);
            }
            key => key.unwrap_or(Key::Unread),
        };
        let mut built = match &self.way {
            Way::Fill(fill) => fill.make(&self.fields, row, &key, wanted, values)?,
            Way::FromDb(from_db) => from_db.make(&self.fields, row, &key)?,
        };
        if let Some(peers) = &self.peers {
            let peers = peers.bind(py);
            peers.append(PyWeakrefReference::new(&built.instance)?)?;
            built.state()?.setattr(intern!(py, "peers"), peers)?;
        }
        for related in &self.related {
            built.is_ours &= related.is_native();
            match related.instance.get().built(row, None, values)? {
                None => {
                    let none = py.None().into_bound(py);
                    related.local.set(&mut built, &none)?;
                }
                Some(mut other) => {
                    other.is_ours &= related.is_native();
                    related.local.set(&mut built, &other.instance)?;
                    related.remote.set(&mut other, &built.instance)?;
                }
            }
            if !related.is_native() {
                row.source.python_ran();
            }
        }
        for (name, index) in &self.annotations {
            let value = row.value(*index)?;
            built.instance.setattr(name.bind(py), &value)?;
            if wanted == Some(*index) {
                built.wanted = Some(value);
            }
            if !self.direct() {
                row.source.python_ran();
            }
        }
        Ok(Some(built))
    }

    /// Run the converters of a row's columns although there is no instance, as Django does.
    #[cold]
    fn convert<'py, S: Source<'py>>(&self, row: &Row<'_, 'py, S>) -> PyResult<()> {
        for (_, index) in &self.fields {
            if Some(*index) != self.pk && row.converts(*index) {
                row.value(*index)?;
            }
        }
        self.related
            .iter()
            .try_for_each(|related| related.instance.get().convert(row))
    }
}

impl Fill {
    /// Store what `Model.__init__()` and `Model.from_db()` store, in their order.
    fn make<'py, S: Source<'py>>(
        &self,
        fields: &[(Py<PyString>, usize)],
        row: &Row<'_, 'py, S>,
        key: &Key<'py>,
        wanted: Option<usize>,
        values: &mut Values<'py>,
    ) -> PyResult<Built<'_, 'py>> {
        let py = row.py;
        let mut found = None;
        // They are read before there is an instance, since code may run that could get hold of it.
        values.clear();
        for (_, index) in fields {
            let value = key.value(row, *index)?;
            if wanted == Some(*index) {
                found = Some(value.clone());
            }
            values.push(value);
        }
        let state = self.make_state(py)?;
        let instance = self.model.make(py)?;
        match self.places.room(&instance, 0) {
            Some(room) => room.store(std::iter::once(state.clone()).chain(values.drain(..))),
            None => self.store(&instance, &state, fields, values)?,
        }
        Ok(Built {
            wanted: found,
            cache_places: Some((&self.cache_places, self.state.len())),
            ..Built::new(instance, Some(state))
        })
    }

    fn make_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let state = self.state_class.make(py)?;
        let values = self.state.iter().map(|(_, value)| value.bind(py));
        if let Some(room) = self.state_places.room(&state, 0) {
            room.store(values.cloned());
            return Ok(state);
        }
        for (name, value) in &self.state {
            set_attribute(&state, name.bind(py), value.bind(py))?;
        }
        self.state_places.learn(&state, 0, values);
        Ok(state)
    }

    /// Store the attributes of an instance by their names.
    fn store<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        state: &Bound<'py, PyAny>,
        fields: &[(Py<PyString>, usize)],
        values: &Values<'py>,
    ) -> PyResult<()> {
        let py = instance.py();
        let names = fields.iter().map(|(name, _)| name.bind(py));
        let named = std::iter::once((intern!(py, "_state"), state)).chain(names.zip(values));
        let attributes = match &self.store {
            Store::Inline => {
                for (name, value) in named.clone() {
                    set_attribute(instance, name, value)?;
                }
                None
            }
            Store::Dict => Some(attributes(instance)?),
            Store::Copy(template) => Some(template.bind(py).copy()?),
        };
        if let Some(attributes) = attributes {
            for (name, value) in named.clone() {
                attributes.set_item(name, value)?;
            }
            if let Store::Copy(_) = self.store {
                // Not PyObject_GenericSetDict(), which in 3.13 leaves the inline values in place.
                set_attribute(instance, intern!(py, "__dict__"), &attributes)?;
            }
        }
        let stored = named.map(|(_, value)| value);
        self.places.learn(instance, 0, stored);
        Ok(())
    }
}

impl FromDb {
    fn make<'py, S: Source<'py>>(
        &self,
        fields: &[(Py<PyString>, usize)],
        row: &Row<'_, 'py, S>,
        key: &Key<'py>,
    ) -> PyResult<Built<'static, 'py>> {
        let py = row.py;
        let values = fields
            .iter()
            .map(|(_, index)| key.value(row, *index))
            .collect::<PyResult<Vec<_>>>()?;
        let values = if self.as_list {
            PyList::new(py, values)?.into_any()
        } else {
            PyTuple::new(py, values)?.into_any()
        };
        let arguments = (self.db.bind(py), self.names.bind(py), values);
        let instance = self.call.bind(py).call1(arguments)?;
        row.source.python_ran();
        Ok(Built::new(instance, None))
    }
}

/// The primary key, whose value says whether there is an instance, and how far it was read.
enum Key<'py> {
    Null,
    Unread,
    /// The column and its converted value: converters run once for a row.
    Converted(usize, Bound<'py, PyAny>),
}

impl<'py> Key<'py> {
    fn read<S: Source<'py>>(row: &Row<'_, 'py, S>, index: usize) -> PyResult<Self> {
        if !row.converts(index) {
            let is_null = row.source.is_null(row.index, index)?;
            return Ok(if is_null { Self::Null } else { Self::Unread });
        }
        let value = row.value(index)?;
        Ok(match value.is_none() {
            true => Self::Null,
            false => Self::Converted(index, value),
        })
    }

    /// The value of a column, which may be that of the key.
    #[inline]
    fn value<S: Source<'py>>(
        &self,
        row: &Row<'_, 'py, S>,
        index: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Converted(key, value) if *key == index => Ok(value.clone()),
            _ => row.value(index),
        }
    }
}

/// An instance whose relations are being set.
pub struct Built<'a, 'py> {
    pub instance: Bound<'py, PyAny>,
    /// Its `_state`, once it was made or read.
    state: Option<Bound<'py, PyAny>>,
    /// Whether only this module can have stored a `fields_cache` in the state.
    is_ours: bool,
    cache: Option<Bound<'py, PyDict>>,
    /// Where a bare state has a `fields_cache`, behind so many attributes.
    cache_places: Option<(&'a Places, usize)>,
    /// The value of the column that was wanted.
    wanted: Option<Bound<'py, PyAny>>,
}

impl<'py> Built<'_, 'py> {
    /// Wrap an instance with its bare state, or one that the model's own code has made.
    fn new(instance: Bound<'py, PyAny>, state: Option<Bound<'py, PyAny>>) -> Self {
        Self {
            is_ours: state.is_some(),
            instance,
            state,
            cache: None,
            cache_places: None,
            wanted: None,
        }
    }

    fn state(&mut self) -> PyResult<&Bound<'py, PyAny>> {
        let state = match self.state.take() {
            Some(state) => state,
            None => self
                .instance
                .getattr(intern!(self.instance.py(), "_state"))?,
        };
        Ok(self.state.insert(state))
    }

    /// Whether its state may have a `fields_cache`.
    pub fn may_have_cached(&self) -> bool {
        self.cache.is_some() || !self.is_ours
    }

    /// Have its state, which has none, get a `fields_cache`.
    pub fn set_cache(&mut self, cache: &Bound<'py, PyDict>) -> PyResult<()> {
        let name = intern!(self.instance.py(), "fields_cache");
        let places = self.cache_places;
        let state = self.state()?;
        if let Some(room) = places.and_then(|(places, before)| places.room(state, before)) {
            room.store(std::iter::once(cache.clone().into_any()));
            return Ok(());
        }
        state.setattr(name, cache)?;
        if let Some((places, before)) = places {
            places.learn(state, before, std::iter::once(cache.as_any()));
        }
        Ok(())
    }

    /// The `fields_cache` of its state.
    pub fn cache(&mut self) -> PyResult<&Bound<'py, PyDict>> {
        let py = self.instance.py();
        let name = intern!(py, "fields_cache");
        let cache = match self.cache.take() {
            Some(cache) => cache,
            // A descriptor written in Python would make it.
            None if self.is_ours => {
                let cache = PyDict::new(py);
                self.set_cache(&cache)?;
                cache
            }
            None => self.state()?.getattr(name)?.cast_into::<PyDict>()?,
        };
        Ok(self.cache.insert(cache))
    }
}

impl Related {
    fn new(py: Python<'_>, (instance, local, remote): RelatedArgument) -> Self {
        Self {
            instance,
            local: Setter::new(py, local),
            remote: Setter::new(py, remote),
        }
    }

    /// Whether the relation is set without a call of Python code.
    fn is_native(&self) -> bool {
        let calls = |setter: &Setter| matches!(setter, Setter::Call(_));
        !calls(&self.local) && !calls(&self.remote)
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

    fn set<'py>(&self, built: &mut Built<'_, 'py>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = value.py();
        match self {
            Self::Nothing => Ok(()),
            Self::Cache(name) => built.cache()?.set_item(name.bind(py), value),
            Self::Call(set) => set.bind(py).call1((&built.instance, value)).map(drop),
        }
    }
}
