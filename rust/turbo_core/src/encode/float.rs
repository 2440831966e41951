//! `float`, and `int` where Django's `FloatField` makes a `float` of it.

use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

use super::{Refusal, Written, int, shown};

/// Up to here an `int` and the `float` of it have the same digits.
const EXACT: i64 = 1 << 53;

pub fn float(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    if value.is_exact_instance_of::<PyInt>() {
        let number = int::number(value)?;
        if !(-EXACT..=EXACT).contains(&number) {
            return Err(Refusal::Unknown);
        }
        int::digits(number, out)?;
        out.push_str(".0");
        return Ok(());
    }
    let number = value
        .cast_exact::<PyFloat>()
        .map_err(|_| Refusal::Unknown)?;
    // As psycopg writes them; for PostgreSQL they are the same as NaN and Infinity.
    match number.value() {
        number if number.is_nan() => out.push_str("nan"),
        f64::INFINITY => out.push_str("inf"),
        f64::NEG_INFINITY => out.push_str("-inf"),
        _ => return shown(value, &mut |text| out.push_str(text)),
    }
    Ok(())
}
