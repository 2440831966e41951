//! `smallint`, `integer`, `bigint` and `oid`: `int`.

use pyo3::prelude::*;

use super::Decoded;

#[inline]
pub fn value(py: Python<'_>, number: i64) -> Decoded<'_> {
    match number.into_pyobject(py) {
        Ok(number) => Ok(number.into_any()),
        Err(never) => match never {},
    }
}
