//! The Python objects that Rust reaches back for, each imported once.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// A class whose bare instances can be made without running any of its code.
pub struct Bare(Py<PyType>);

impl Bare {
    /// Accept a class that has `object.__new__()`, so its instances need nothing but their memory.
    pub fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        // SAFETY: slots and flags of a class that is held, and of `object`, are read.
        let (new, object_new, is_abstract) = unsafe {
            let object = &raw const ffi::PyBaseObject_Type;
            let class = class.as_type_ptr();
            let is_abstract = ffi::PyType_HasFeature(class, ffi::Py_TPFLAGS_IS_ABSTRACT) != 0;
            ((*class).tp_new, (*object).tp_new, is_abstract)
        };
        // A class written in Python inherits the slot, or has one that calls its __new__().
        let is_bare = new.map(|new| new as usize) == object_new.map(|new| new as usize);
        if is_bare && !is_abstract {
            Ok(Self(class.clone().unbind()))
        } else {
            let name = class.name()?;
            Err(PyTypeError::new_err(format!(
                "{name} has a __new__() of its own, or is abstract"
            )))
        }
    }

    /// What `object.__new__(class)` returns. Calling that takes three times as long.
    #[inline]
    pub fn make<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.0.bind(py).as_type_ptr();
        // SAFETY: `new()` has seen that `object.__new__()` makes the instances of this class, and
        // all it does with a class that is not abstract is this.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(class, 0)) }
    }
}

/// `object.__setattr__(instance, name, value)`, which stores where a class forbids it.
#[inline]
pub fn set_attribute<'py>(
    instance: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    // SAFETY: three objects that are held; the function takes references of its own.
    let failed = unsafe {
        ffi::PyObject_GenericSetAttr(instance.as_ptr(), name.as_ptr(), value.as_ptr()) != 0
    };
    if failed {
        Err(PyErr::fetch(instance.py()))
    } else {
        Ok(())
    }
}

/// `decimal.Decimal`.
pub fn decimal<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
    static CELL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CELL.import(py, "decimal", "Decimal")
}

/// `psycopg.types.range.Range`.
pub fn range<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
    static CELL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CELL.import(py, "psycopg.types.range", "Range")
}

/// `psycopg.types.multirange.Multirange`.
pub fn multirange<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
    static CELL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CELL.import(py, "psycopg.types.multirange", "Multirange")
}

/// `uuid.UUID`.
pub fn uuid(py: Python<'_>) -> PyResult<&Bare> {
    static CELL: PyOnceLock<Bare> = PyOnceLock::new();
    CELL.get_or_try_init(py, || {
        Bare::new(py.import("uuid")?.getattr("UUID")?.cast::<PyType>()?)
    })
}

/// `uuid.SafeUUID.unknown`, what a UUID made from anything but a generator carries.
pub fn uuid_is_safe<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CELL.get_or_try_init(py, || {
        let class = py.import("uuid")?.getattr("SafeUUID")?;
        Ok::<_, PyErr>(class.getattr("unknown")?.unbind())
    })
    .map(|value| value.bind(py))
}

/// `tuple.__new__`, which makes a named tuple of a tuple as it is.
pub fn tuple_new<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    builtin_method(py, &CELL, "tuple", intern!(py, "__new__"))
}

fn builtin_method<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    class: &str,
    name: &Bound<'py, PyString>,
) -> PyResult<&'py Bound<'py, PyAny>> {
    cell.get_or_try_init(py, || {
        Ok::<_, PyErr>(
            py.import("builtins")?
                .getattr(class)?
                .getattr(name)?
                .unbind(),
        )
    })
    .map(|value| value.bind(py))
}
