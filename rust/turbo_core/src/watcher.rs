//! Notices that a class is modified: a method is replaced, by whatever tool, at whatever time.
//!
//! CPython's type watchers tell. Comparing thirty methods by identity takes 0.9 µs, and it would have
//! to be done before each statement; this takes nothing then.

use std::ffi::c_int;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

type Callback = extern "C" fn(*mut ffi::PyTypeObject) -> c_int;

// CPython has them since 3.12; PyO3 does not declare them.
unsafe extern "C" {
    fn PyType_AddWatcher(callback: Callback) -> c_int;
    fn PyType_Watch(watcher: c_int, class: *mut ffi::PyObject) -> c_int;
}

static ON_MODIFIED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static WATCHER: PyOnceLock<c_int> = PyOnceLock::new();

/// Called by CPython with the GIL held, before the modification is visible.
extern "C" fn modified(_class: *mut ffi::PyTypeObject) -> c_int {
    // SAFETY: CPython calls watchers with the GIL held.
    let py = unsafe { Python::assume_attached() };
    if let Some(on_modified) = ON_MODIFIED.get(py)
        && let Err(error) = on_modified.call0(py)
    {
        error.write_unraisable(py, None);
    }
    0
}

/// Have a function without arguments called when a watched class, or a base of one, is modified.
///
/// It must not use the class. Raises `RuntimeError` where there is such a function already.
#[pyfunction]
pub fn on_class_modified(py: Python<'_>, function: Py<PyAny>) -> PyResult<()> {
    ON_MODIFIED
        .set(py, function)
        .map_err(|_| PyRuntimeError::new_err("There is such a function already."))
}

/// Watch a class, and return whether its next modification will be told of. `CPython` 3.13 tells of a
/// thousand for each class.
///
/// Of modifications that follow on each other, without an attribute of the class being looked up in
/// between, only the first is told of.
#[pyfunction]
pub fn watch_class(py: Python<'_>, class_: &Bound<'_, PyType>) -> PyResult<bool> {
    let watcher = *WATCHER.get_or_try_init(py, || {
        // SAFETY: the function lives as long as the process.
        match unsafe { PyType_AddWatcher(modified) } {
            -1 => Err(PyErr::fetch(py)),
            watcher => Ok(watcher),
        }
    })?;
    // A class is told of only while CPython caches look-ups in it: it does from the first on.
    class_.hasattr(intern!(py, "_is_watched"))?;
    // SAFETY: the watcher was added above, and the class is a type, of which a number is read.
    let (watched, version) = unsafe {
        (
            PyType_Watch(watcher, class_.as_ptr()),
            (*class_.as_type_ptr()).tp_version_tag,
        )
    };
    match watched {
        -1 => Err(PyErr::fetch(py)),
        _ => Ok(version != 0),
    }
}
