//! The querysets of related managers that hold what was prefetched: one for each instance.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};

use crate::join::with_keys;
use crate::pytypes::{Bare, dict_fromkeys, object_new, set_attribute, tuple_new};

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
    /// To be copied: with the names of what is an instance's own, too.
    attributes: Py<PyDict>,
    chain_class: Py<PyType>,
    entry: Py<PyAny>,
    values: Py<PyTuple>,
    deferred: Option<(Py<PyType>, Py<PyAny>)>,
    /// A dict with the field: to look for it once more would call its `__hash__()`.
    known: Option<Py<PyDict>>,
    has_hints: bool,
    fetch_modes: bool,
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
        let template = attributes.copy()?;
        for name in [
            "_cached",
            "_hints",
            "_known_related_objects",
            "_result_cache",
        ] {
            if !template.contains(name)? {
                template.set_item(PyString::intern(py, name), py.None())?;
            }
        }
        Ok(Self {
            bare: Bare::new(&class_).ok(),
            class: class_.unbind(),
            attributes: template.unbind(),
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
            let queryset = self.make(&instance, &key, &results)?;
            instance
                .getattr(intern!(py, "_prefetched_objects_cache"))?
                .set_item(cache_name, queryset)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.class)?;
        visit.call(&self.attributes)?;
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
        results: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = instance.py();
        let queryset = match &self.bare {
            Some(bare) => bare.make(py)?,
            None => object_new(py)?.call1((self.class.bind(py),))?,
        };
        let own = self.attributes.bind(py).copy()?;
        own.set_item(intern!(py, "_result_cache"), results)?;
        own.set_item(intern!(py, "_cached"), self.chain(instance, key)?)?;
        if self.has_hints {
            let hints = PyDict::new(py);
            hints.set_item(intern!(py, "instance"), instance)?;
            own.set_item(intern!(py, "_hints"), hints)?;
        }
        if self.fetch_modes {
            // It is the default one, which an instance without any has from now on.
            instance
                .getattr(intern!(py, "_state"))?
                .getattr(intern!(py, "fetch_mode"))?;
        }
        let known = intern!(py, "_known_related_objects");
        if let Some(field) = &self.known {
            let objects = PyDict::new(py);
            objects.set_item(key, instance)?;
            own.set_item(known, dict_fromkeys(py)?.call1((field.bind(py), objects))?)?;
        } else if self.has_hints {
            own.set_item(known, PyDict::new(py))?;
        }
        set_attribute(&queryset, intern!(py, "__dict__"), &own)?;
        Ok(queryset)
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
                let items = PyTuple::new(py, [value, second.bind(py)])?;
                tuple_new(py)?.call1((class.bind(py), items))?
            }
            None => value.clone(),
        };
        let before = self.values.bind(py);
        let values = PyTuple::new(py, before.iter().chain([value]).collect::<Vec<_>>())?;
        let items = PyTuple::new(py, [self.entry.bind(py), values.as_any()])?;
        self.chain_class.bind(py).call1((items,))
    }
}
