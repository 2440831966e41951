//! Related objects on their way to the instances that they were prefetched for, joined by a key.

use pyo3::exceptions::PyKeyError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString};

use crate::error::Error;
use crate::instance::Built;
use crate::pytypes::attributes;

/// Groups related objects by key while they are made, and has each refer to its instance.
///
/// The attribute `name` of a related object holds its key. With a `cache_name`, the object caches
/// the one of `instances` that has its key under that name, unless it has cached one already and
/// `keeps` it. Without groups, there need not be one.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Join {
    name: Py<PyString>,
    instances: Py<PyDict>,
    cache_name: Option<Py<PyString>>,
    keeps: bool,
    groups: Option<Py<PyDict>>,
}

#[pymethods]
impl Join {
    #[new]
    #[pyo3(signature = (name, instances, cache_name=None, *, keeps=false, groups=true))]
    fn new(
        py: Python<'_>,
        name: Py<PyString>,
        instances: Py<PyDict>,
        cache_name: Option<Py<PyString>>,
        keeps: bool,
        groups: bool,
    ) -> Self {
        Self {
            name,
            instances,
            cache_name,
            keeps,
            groups: groups.then(|| PyDict::new(py).unbind()),
        }
    }

    /// The related objects by key, a list for each.
    #[getter]
    fn groups<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        match &self.groups {
            Some(groups) => groups.bind(py).clone(),
            None => PyDict::new(py),
        }
    }

    /// Have instances `start` to `stop` cache their first related object, or `None`.
    ///
    /// The attribute `name` of an instance's `__dict__` holds its key.
    fn give_one(
        &self,
        instances: &Bound<'_, PyList>,
        name: &Bound<'_, PyString>,
        cache_name: &Bound<'_, PyString>,
        start: usize,
        stop: usize,
    ) -> PyResult<()> {
        let py = instances.py();
        let groups = self.groups(py);
        for each in with_keys(instances, name, start, stop)? {
            let (instance, key) = each?;
            let group = groups.get_item(key)?;
            let first = match group {
                Some(group) => group.cast::<PyList>()?.get_item(0)?,
                None => py.None().into_bound(py),
            };
            let state = attributes(&instance.getattr(intern!(py, "_state"))?)?;
            fields_cache(&state)?.set_item(cache_name, first)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.instances)?;
        visit.call(&self.groups)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Join by {:?}>", self.name.bind(py).to_string_lossy())
    }
}

impl Join {
    /// Whether an attribute is the one that holds the key.
    pub fn is_by(&self, py: Python<'_>, name: &Py<PyString>) -> PyResult<bool> {
        self.name.bind(py).as_any().eq(name.bind(py))
    }

    /// Store the instance that has a key in a `fields_cache`.
    fn store<'py>(
        &self,
        cache: &Bound<'py, PyDict>,
        name: &Bound<'py, PyString>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        match self.instances.bind(key.py()).get_item(key)? {
            Some(instance) => cache.set_item(name, instance),
            None if self.groups.is_none() => Ok(()),
            None => Err(PyKeyError::new_err(key.clone().unbind())),
        }
    }
}

/// A join of the rows of one result, by the values of a column.
pub struct Joining<'a, 'py> {
    join: &'a Join,
    pub column: usize,
    last: Option<Last<'py>>,
}

/// What the key of the row before stands for: most rows follow on another one of their instance.
struct Last<'py> {
    key: Bound<'py, PyAny>,
    group: Option<Bound<'py, PyList>>,
    /// Whether it was the key of several rows.
    is_repeated: bool,
    /// A `fields_cache` with the instance alone, to be copied.
    cache: Option<Bound<'py, PyDict>>,
}

impl Last<'_> {
    /// Whether another key is the same, if they are compared without a call of Python code.
    fn has(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let is_exact =
            key.is_exact_instance_of::<PyInt>() || key.is_exact_instance_of::<PyString>();
        Ok(is_exact && self.key.get_type().is(key.get_type()) && self.key.eq(key)?)
    }
}

impl<'a, 'py> Joining<'a, 'py> {
    pub fn new(join: &'a Join, column: usize) -> Self {
        Self {
            join,
            column,
            last: None,
        }
    }

    /// Add a related object that was just made, with its key.
    pub fn add(&mut self, built: &mut Built<'_, 'py>, key: Bound<'py, PyAny>) -> PyResult<()> {
        match self.last.take() {
            Some(mut last) if last.has(&key)? => {
                last.is_repeated = true;
                if let Some(group) = &last.group {
                    group.append(&built.instance)?;
                }
                self.cache(built, last)
            }
            _ => {
                let last = Last {
                    group: self.add_to_group(built, &key)?,
                    key,
                    is_repeated: false,
                    cache: None,
                };
                self.cache(built, last)
            }
        }
    }

    /// Add a related object to the list that is of its key, and return that.
    fn add_to_group(
        &self,
        built: &Built<'_, 'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = key.py();
        let Some(groups) = &self.join.groups else {
            return Ok(None);
        };
        let groups = groups.bind(py);
        let group = match groups.get_item(key)? {
            Some(group) => {
                let group = group.cast_into::<PyList>()?;
                group.append(&built.instance)?;
                group
            }
            None => {
                let group = PyList::new(py, [&built.instance])?;
                groups.set_item(key, &group)?;
                group
            }
        };
        Ok(Some(group))
    }

    /// Have a related object cache its instance.
    fn cache(&mut self, built: &mut Built<'_, 'py>, mut last: Last<'py>) -> PyResult<()> {
        if let Some(name) = &self.join.cache_name {
            let name = name.bind(built.instance.py());
            if built.may_have_cached() {
                let cache = built.cache()?;
                if !(self.join.keeps && cache.contains(name)?) {
                    self.join.store(cache, name, &last.key)?;
                }
            } else if let Some(cache) = &last.cache {
                built.set_cache(&cache.copy()?)?;
            } else {
                let cache = PyDict::new(name.py());
                self.join.store(&cache, name, &last.key)?;
                built.set_cache(&cache)?;
                if last.is_repeated {
                    last.cache = Some(cache.copy()?);
                }
            }
        }
        self.last = Some(last);
        Ok(())
    }
}

/// The instances `start` to `stop` of a list, each with what its `__dict__` has under a name.
///
/// It is an error if the list has fewer.
pub fn with_keys<'a, 'py>(
    instances: &'a Bound<'py, PyList>,
    name: &'a Bound<'py, PyString>,
    start: usize,
    stop: usize,
) -> PyResult<impl Iterator<Item = PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> + 'a> {
    let rows = instances.len();
    if start > stop || stop > rows {
        return Err(Error::NoSuchRows { start, stop, rows }.into());
    }
    Ok((start..stop).map(move |index| {
        let instance = instances.get_item(index)?;
        match attributes(&instance)?.get_item(name)? {
            Some(key) => Ok((instance, key)),
            None => Err(PyKeyError::new_err(name.clone().unbind())),
        }
    }))
}

/// The `fields_cache` of a state, which is made where a descriptor of Django's would make it.
fn fields_cache<'py>(state: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let py = state.py();
    let name = intern!(py, "fields_cache");
    if let Some(cache) = state.get_item(name)? {
        return Ok(cache.cast_into()?);
    }
    let cache = PyDict::new(py);
    state.set_item(name, &cache)?;
    Ok(cache)
}
