//! What is done when the state of an instance is deleted: its `fields_cache` is cleared, by a method
//! of Django's, which has one be made where there is none.
//!
//! That took 2,400 instructions, or 1,400 where there is one: as many as to make the instance.

use std::ptr;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use crate::inline_values::Places;
use crate::pytypes::{Bare, attributes, set_attribute};

struct Method {
    class: Py<PyType>,
    djangos: Py<PyAny>,
    /// Where a state has its `fields_cache`.
    places: Places,
    descriptor: Py<PyAny>,
}

static METHOD: PyOnceLock<Method> = PyOnceLock::new();

/// Return a method that does what `djangos` does as `__del__()` of the class of states.
///
/// It is `djangos` itself where it is not known how `CPython` keeps attributes, and if another one
/// was given before.
#[pyfunction]
pub fn state_deleter<'py>(
    class_: &Bound<'py, PyType>,
    djangos: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class_.py();
    let method = METHOD.get_or_try_init(py, || Method::new(class_, djangos))?;
    let is_for_it = method.class.is(class_) && method.djangos.is(djangos);
    Ok(if is_for_it && method.places.is_known() {
        method.descriptor.bind(py).clone()
    } else {
        djangos.clone()
    })
}

impl Method {
    fn new<'py>(class: &Bound<'py, PyType>, djangos: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = class.py();
        let state = Bare::new(class)?.make(py)?;
        let cache = PyDict::new(py).into_any();
        set_attribute(&state, intern!(py, "fields_cache"), &cache)?;
        let places = Places::default();
        places.learn(&state, 0, std::iter::once(&cache));
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: c"__del__".as_ptr(),
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunction: delete,
            },
            ml_flags: ffi::METH_NOARGS,
            ml_doc: ptr::null(),
        }));
        // SAFETY: the definition lives as long as the process, and its function takes what the
        // flag says. A descriptor calls it with instances of the class alone.
        let descriptor = unsafe {
            let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
            Bound::from_owned_ptr_or_err(py, descriptor)?
        };
        Ok(Self {
            class: class.clone().unbind(),
            djangos: djangos.clone().unbind(),
            places,
            descriptor: descriptor.unbind(),
        })
    }

    fn delete(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = state.py();
        if state.get_type().is(self.class.bind(py)) {
            let cache = match self.places.get(state) {
                Some(cache) => cache,
                // It has a dict by now.
                None => attributes(state)?.get_item(intern!(py, "fields_cache"))?,
            };
            let Some(cache) = cache else {
                return Ok(());
            };
            if let Ok(cache) = cache.cast_exact::<PyDict>() {
                cache.clear();
                return Ok(());
            }
        }
        self.djangos.bind(py).call1((state,)).map(drop)
    }
}

/// Called by `CPython` with the GIL held, for a state that is about to be deleted.
unsafe extern "C" fn delete(
    state: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: methods are called with the GIL held, and with an instance that the caller holds.
    let (py, state) = unsafe {
        let py = Python::assume_attached();
        (py, Bound::from_borrowed_ptr(py, state))
    };
    let done = METHOD
        .get(py)
        .map_or(Ok(()), |method| method.delete(&state));
    match done {
        Ok(()) => py.None().into_ptr(),
        Err(error) => {
            error.restore(py);
            ptr::null_mut()
        }
    }
}
