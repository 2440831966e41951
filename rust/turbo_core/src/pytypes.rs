//! The Python objects that Rust reaches back for, each imported once, and calls of CPython that PyO3
//! does not offer. They spared a narrow instance a fifth of its time, and a UUID two thirds.

use std::ffi::c_int;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

/// A class whose bare instances can be made without running any of its code.
pub struct Bare(Py<PyType>, ffi::allocfunc);

impl Bare {
    /// Accept a class that has `object.__new__()`, so its instances need nothing but their memory.
    pub fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        // SAFETY: slots and flags of a class that is held, and of `object`, are read.
        let (new, object_new, alloc, is_abstract) = unsafe {
            let object = &raw const ffi::PyBaseObject_Type;
            let class = class.as_type_ptr();
            let is_abstract = ffi::PyType_HasFeature(class, ffi::Py_TPFLAGS_IS_ABSTRACT) != 0;
            (
                (*class).tp_new,
                (*object).tp_new,
                (*class).tp_alloc,
                is_abstract,
            )
        };
        // A class written in Python inherits the slot, or has one that calls its __new__().
        let is_bare = new.map(|new| new as usize) == object_new.map(|new| new as usize);
        match alloc {
            Some(alloc) if is_bare && !is_abstract => Ok(Self(class.clone().unbind(), alloc)),
            _ => {
                let name = class.name()?;
                Err(PyTypeError::new_err(format!(
                    "{name} has a __new__() of its own, or is abstract"
                )))
            }
        }
    }

    /// Whether an object is an instance of this class, and of no other.
    #[inline]
    pub fn makes(&self, object: &Bound<'_, PyAny>) -> bool {
        object.get_type().is(self.0.bind(object.py()))
    }

    /// What `object.__new__(class)` returns. Calling that takes three times as long.
    #[inline]
    pub fn make<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.0.bind(py).as_type_ptr();
        // SAFETY: `new()` has seen that `object.__new__()` makes the instances of this class, and
        // all it does with a class that is not abstract is this.
        unsafe { Bound::from_owned_ptr_or_err(py, (self.1)(class, 0)) }
    }
}

/// A descriptor by which a class stores, as one named in `__slots__`.
pub struct Slot(Py<PyAny>, ffi::descrsetfunc);

impl Slot {
    /// Find the descriptor of a class that stores under a name.
    fn new(class: &Bound<'_, PyType>, name: &str) -> PyResult<Self> {
        let descriptor = class.getattr(name)?;
        // SAFETY: a slot of the type of an object that is held is read.
        let set = unsafe { (*ffi::Py_TYPE(descriptor.as_ptr())).tp_descr_set };
        match set {
            Some(set) => Ok(Self(descriptor.unbind(), set)),
            None => Err(PyTypeError::new_err(format!(
                "{name} is not stored in a slot"
            ))),
        }
    }

    /// Store without looking for the descriptor, and past a `__setattr__()` that forbids it.
    #[inline]
    pub fn set<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        // SAFETY: the function is that of the descriptor's own type, which checks the instance.
        let status = unsafe { (self.1)(self.0.as_ptr(), instance.as_ptr(), value.as_ptr()) };
        stored(instance.py(), status)
    }
}

/// Store an attribute as `object.__setattr__()` does, whatever the class has of its own.
#[inline]
pub fn set_attribute<'py>(
    instance: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    // SAFETY: three objects that are held; the function takes references of its own.
    let status =
        unsafe { ffi::PyObject_GenericSetAttr(instance.as_ptr(), name.as_ptr(), value.as_ptr()) };
    stored(instance.py(), status)
}

/// The outcome of a function of CPython's that stores.
#[inline]
fn stored(py: Python<'_>, status: c_int) -> PyResult<()> {
    match status {
        0 => Ok(()),
        _ => Err(PyErr::fetch(py)),
    }
}

/// The `__dict__` of a bare instance, without asking its class for a descriptor of that name.
#[inline]
pub fn attributes<'py>(instance: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: an object that is held. Where its class has no dict, there is an exception.
    let attributes = unsafe {
        let dict = ffi::PyObject_GenericGetDict(instance.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(instance.py(), dict)?
    };
    Ok(attributes.cast_into()?)
}

/// `json.JSONDecodeError`.
pub fn json_decode_error<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
    static CELL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CELL.import(py, "json", "JSONDecodeError")
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

/// `uuid.UUID`, and what an instance of it holds.
pub struct Uuid {
    pub class: Bare,
    pub int: Slot,
    pub is_safe: Slot,
    /// What a UUID made from anything but a generator carries.
    pub unknown: Py<PyAny>,
}

/// `uuid.UUID`.
pub fn uuid(py: Python<'_>) -> PyResult<&Uuid> {
    static CELL: PyOnceLock<Uuid> = PyOnceLock::new();
    CELL.get_or_try_init(py, || {
        let module = py.import("uuid")?;
        let class = module.getattr("UUID")?.cast_into::<PyType>()?;
        Ok(Uuid {
            class: Bare::new(&class)?,
            int: Slot::new(&class, "int")?,
            is_safe: Slot::new(&class, "is_safe")?,
            unknown: module.getattr("SafeUUID")?.getattr("unknown")?.unbind(),
        })
    })
}

/// What `tuple.__new__(class, items)` returns for a subclass of tuple. Calling that takes four times
/// as long.
pub fn tuple_of<'py, const N: usize>(
    class: &Bound<'py, PyType>,
    items: [Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    if class.is(py.get_type::<PyTuple>()) || !class.is_subclass_of::<PyTuple>()? {
        let items = PyTuple::new(py, items)?;
        return tuple_new(py)?.call1((class, items));
    }
    // SAFETY: the class is a tuple's, so its instances have room for as many items as are asked
    // for, which are null until they are set, and take the references.
    unsafe {
        let class = class.as_type_ptr();
        let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let tuple = Bound::from_owned_ptr_or_err(py, alloc(class, N as ffi::Py_ssize_t))?;
        for (index, item) in (0..).zip(items) {
            ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index, item.into_ptr());
        }
        Ok(tuple)
    }
}

/// `tuple.__new__`, which makes a named tuple of a tuple as it is.
pub fn tuple_new<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    builtin_method(py, &CELL, "tuple", intern!(py, "__new__"))
}

/// `object.__new__`, which makes an instance without running code of its class.
pub fn object_new<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    builtin_method(py, &CELL, "object", intern!(py, "__new__"))
}

/// `dict.fromkeys`, which takes the hashes of another dict's keys as they are.
pub fn dict_fromkeys<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    builtin_method(py, &CELL, "dict", intern!(py, "fromkeys"))
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
