//! The querysets of related managers that hold what was prefetched: one for each instance.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};

use crate::inline_values::Places;
use crate::join::with_keys;
use crate::pytypes::{Bare, attributes, dict_fromkeys, object_new, tuple_of};

/// Gives instances the querysets of their related objects: bare ones with the attributes that all
/// have, and those of an instance.
///
/// `attributes` are those of all. A queryset's `_cached` is a `chain_class` of `entry` and the
/// `values`, with another one behind them: with a `field`, the instance, otherwise its key; with
/// `deferred`, a class and a second item, that is in a tuple of them. With a `field`, the queryset
/// knows the instance by it; with `has_hints`, its hints are its own, and so is what it knows.
/// `fetch_modes` says that Django asks each instance for its mode.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct RelatedQuerysets {
    class: Py<PyType>,
    /// What makes them without a call, unless the class has a `__new__()` of its own.
    bare: Option<Bare>,
    /// With the names of what is an instance's own.
    attributes: Vec<(Py<PyString>, Attribute)>,
    /// Where a queryset has its attributes.
    places: Places,
    chain_class: Py<PyType>,
    entry: Py<PyAny>,
    values: Py<PyTuple>,
    deferred: Option<(Py<PyType>, Py<PyAny>)>,
    /// A dict with the field: to look for it once more would call its `__hash__()`.
    known: Option<Py<PyDict>>,
    has_hints: bool,
    fetch_modes: bool,
}

/// What a queryset has as an attribute.
enum Attribute {
    Shared(Py<PyAny>),
    Chain,
    Hints,
    Known,
    Results,
}

/// What is an instance's own, and the name of the attribute. There is none where all share it.
struct Own<'py> {
    chain: Bound<'py, PyAny>,
    hints: Option<Bound<'py, PyAny>>,
    known: Option<Bound<'py, PyAny>>,
    results: Bound<'py, PyAny>,
}

#[pymethods]
impl RelatedQuerysets {
    #[new]
    #[pyo3(signature = (
        class_, attributes, chain_class, entry, values, *,
        deferred=None, field=None, has_hints=false, fetch_modes=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, to Python")]
    fn new(
        py: Python<'_>,
        class_: Bound<'_, PyType>,
        attributes: Bound<'_, PyDict>,
        chain_class: Py<PyType>,
        entry: Py<PyAny>,
        values: Py<PyTuple>,
        deferred: Option<(Py<PyType>, Py<PyAny>)>,
        field: Option<Py<PyAny>>,
        has_hints: bool,
        fetch_modes: bool,
    ) -> PyResult<Self> {
        let known = field.map(|field| {
            let known = PyDict::new(py);
            known.set_item(field, py.None()).map(|()| known.unbind())
        });
        let mut named = Vec::with_capacity(attributes.len() + 4);
        for (name, value) in &attributes {
            named.push((
                name.cast_into::<PyString>()?,
                Attribute::Shared(value.unbind()),
            ));
        }
        for (name, is_own, own) in [
            ("_cached", true, Attribute::Chain),
            ("_hints", has_hints, Attribute::Hints),
            (
                "_known_related_objects",
                known.is_some() || has_hints,
                Attribute::Known,
            ),
            ("_result_cache", true, Attribute::Results),
        ] {
            let name = PyString::intern(py, name);
            let mut others = named.iter_mut();
            match others.find(|(other, _)| name.as_any().eq(other).unwrap_or(false)) {
                Some((_, attribute)) if is_own => *attribute = own,
                Some(_) => {}
                None if is_own => named.push((name, own)),
                None => named.push((name, Attribute::Shared(py.None()))),
            }
        }
        Ok(Self {
            bare: Bare::new(&class_).ok(),
            class: class_.unbind(),
            attributes: named
                .into_iter()
                .map(|(name, attribute)| (name.unbind(), attribute))
                .collect(),
            places: Places::default(),
            chain_class,
            entry,
            values,
            deferred,
            known: known.transpose()?,
            has_hints,
            fetch_modes,
        })
    }

    /// Have instances `start` to `stop` cache a queryset each, with the list of `groups` that is of
    /// their key: what their `__dict__` has under `name`.
    fn give(
        &self,
        instances: &Bound<'_, PyList>,
        groups: &Bound<'_, PyDict>,
        name: &Bound<'_, PyString>,
        cache_name: &Bound<'_, PyString>,
        start: usize,
        stop: usize,
    ) -> PyResult<()> {
        let py = instances.py();
        for each in with_keys(instances, name, start, stop)? {
            let (instance, key) = each?;
            let results = match groups.get_item(&key)? {
                Some(group) => group,
                None => PyList::empty(py).into_any(),
            };
            let queryset = self.make(&instance, &key, results)?;
            instance
                .getattr(intern!(py, "_prefetched_objects_cache"))?
                .set_item(cache_name, queryset)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.class)?;
        for (_, attribute) in &self.attributes {
            if let Attribute::Shared(value) = attribute {
                visit.call(value)?;
            }
        }
        visit.call(&self.chain_class)?;
        visit.call(&self.entry)?;
        visit.call(&self.values)?;
        if let Some((class, second)) = &self.deferred {
            visit.call(class)?;
            visit.call(second)?;
        }
        visit.call(&self.known)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "<RelatedQuerysets {}>",
            self.class.bind(py).name()?
        ))
    }
}

impl RelatedQuerysets {
    /// Make the queryset of an instance.
    fn make<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
        results: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = instance.py();
        if self.fetch_modes {
            // It is the default one, which an instance without any has from now on.
            instance
                .getattr(intern!(py, "_state"))?
                .getattr(intern!(py, "fetch_mode"))?;
        }
        let own = Own {
            chain: self.chain(instance, key)?,
            hints: self.hints(instance)?,
            known: self.known(instance, key)?,
            results,
        };
        let queryset = match &self.bare {
            Some(bare) => bare.make(py)?,
            None => object_new(py)?.call1((self.class.bind(py),))?,
        };
        let values = self
            .attributes
            .iter()
            .map(|(_, attribute)| own.value(attribute, py));
        if let Some(room) = self.places.room(&queryset, 0) {
            room.store(values);
            return Ok(queryset);
        }
        let values = values.collect::<Vec<_>>();
        let stored = attributes(&queryset)?;
        for ((name, _), value) in self.attributes.iter().zip(&values) {
            stored.set_item(name.bind(py), value)?;
        }
        self.places.learn(&queryset, 0, values.iter());
        Ok(queryset)
    }

    fn hints<'py>(&self, instance: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.has_hints {
            return Ok(None);
        }
        let py = instance.py();
        let hints = PyDict::new(py);
        hints.set_item(intern!(py, "instance"), instance)?;
        Ok(Some(hints.into_any()))
    }

    fn known<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = instance.py();
        let objects = PyDict::new(py);
        let Some(field) = &self.known else {
            return Ok(self.has_hints.then(|| objects.into_any()));
        };
        objects.set_item(key, instance)?;
        let known = dict_fromkeys(py)?.call1((field.bind(py), objects))?;
        Ok(Some(known))
    }

    /// The chain that stands for its query.
    fn chain<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = instance.py();
        let value = match &self.known {
            Some(_) => instance,
            None => key,
        };
        let value = match &self.deferred {
            Some((class, second)) => {
                let items = [value.clone(), second.bind(py).clone()];
                tuple_of(class.bind(py), items)?
            }
            None => value.clone(),
        };
        let before = self.values.bind(py);
        let values = PyTuple::new(py, before.iter().chain([value]).collect::<Vec<_>>())?;
        let items = [self.entry.bind(py).clone(), values.into_any()];
        tuple_of(self.chain_class.bind(py), items)
    }
}

impl<'py> Own<'py> {
    /// The value of an attribute.
    fn value(&self, attribute: &Attribute, py: Python<'py>) -> Bound<'py, PyAny> {
        let own = match attribute {
            Attribute::Shared(value) => return value.bind(py).clone(),
            Attribute::Chain => Some(&self.chain),
            Attribute::Results => Some(&self.results),
            Attribute::Hints => self.hints.as_ref(),
            Attribute::Known => self.known.as_ref(),
        };
        match own {
            Some(own) => own.clone(),
            None => py.None().into_bound(py),
        }
    }
}
