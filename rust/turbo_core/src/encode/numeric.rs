//! `decimal.Decimal`, and `int` where Django's `DecimalField` makes a `Decimal` of it.

use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::{Refusal, Written, int, shown};
use crate::pytypes;

pub fn numeric(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    let py = value.py();
    if value.is_exact_instance_of::<PyInt>() {
        return int::digits(int::number(value)?, out);
    }
    let decimal = pytypes::decimal(py).map_err(|error| Refusal::of(py, error))?;
    if !value.get_type().is(decimal) {
        return Err(Refusal::Unknown);
    }
    let mut is_finite = true;
    shown(value, &mut |text| {
        // Infinity, NaN and sNaN have other letters.
        is_finite = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.E".contains(&byte));
        out.push_str(text);
    })?;
    // Django refuses them, in some versions.
    is_finite.then_some(()).ok_or(Refusal::Unknown)
}
