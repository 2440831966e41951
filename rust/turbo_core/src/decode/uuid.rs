//! `uuid`: `uuid.UUID`.

use pyo3::intern;
use pyo3::prelude::*;

use super::Decoded;
use crate::pytypes;

/// `UUID.__init__` takes 2 µs to arrive at these two slots, and forbids setting them.
pub fn value(py: Python<'_>, number: u128) -> Decoded<'_> {
    let uuid = pytypes::uuid(py)?.make(py)?;
    let number = number.into_pyobject(py).map_err(PyErr::from)?;
    pytypes::set_attribute(&uuid, intern!(py, "int"), &number)?;
    pytypes::set_attribute(&uuid, intern!(py, "is_safe"), pytypes::uuid_is_safe(py)?)?;
    Ok(uuid)
}
