//! The Python objects that Rust reaches back for, each imported once.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// `decimal.Decimal`.
pub fn decimal<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
    static CELL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CELL.import(py, "decimal", "Decimal")
}

/// `uuid.UUID`.
pub fn uuid<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
    static CELL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CELL.import(py, "uuid", "UUID")
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

/// `object.__new__`, which makes an instance of any class written in Python without running it.
pub fn object_new<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    builtin_method(py, &CELL, "object", intern!(py, "__new__"))
}

/// `object.__setattr__`, which stores where a class forbids it.
pub fn object_setattr<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    builtin_method(py, &CELL, "object", intern!(py, "__setattr__"))
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
