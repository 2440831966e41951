//! What `json.dumps()` writes of dicts, lists, tuples, texts, numbers, truths and `None`.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::{Refusal, Written, int, shown, text};
use crate::json::text::string;

/// How deep a value may be nested, since the stack is not endless, and a value may hold itself.
const MAX_DEPTH: usize = 100;

pub fn json(value: &Bound<'_, PyAny>, out: &mut String, depth: usize) -> Written {
    if depth > MAX_DEPTH {
        return Err(Refusal::Unknown);
    }
    if value.is_exact_instance_of::<PyString>() {
        return letters(value, out);
    }
    if value.is_none() {
        out.push_str("null");
        return Ok(());
    }
    if let Ok(truth) = value.cast_exact::<PyBool>() {
        out.push_str(if truth.is_true() { "true" } else { "false" });
        return Ok(());
    }
    if value.is_exact_instance_of::<PyInt>() {
        return int::digits(int::number(value)?, out);
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        // JSON has no others.
        return match number.value().is_finite() {
            true => shown(value, &mut |digits| out.push_str(digits)),
            false => Err(Refusal::Unknown),
        };
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return object(dict, out, depth + 1);
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return array(list.iter(), out, depth + 1);
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return array(tuple.iter(), out, depth + 1);
    }
    Err(Refusal::Unknown)
}

fn object(dict: &Bound<'_, PyDict>, out: &mut String, depth: usize) -> Written {
    out.push('{');
    for (index, (name, value)) in dict.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        letters(&name, out)?;
        out.push_str(": ");
        json(&value, out, depth)?;
    }
    out.push('}');
    Ok(())
}

fn array<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    out: &mut String,
    depth: usize,
) -> Written {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        json(&item, out, depth)?;
    }
    out.push(']');
    Ok(())
}

fn letters(value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    let text = text::text(value)?;
    // PostgreSQL refuses it.
    if text.contains('\0') {
        return Err(Refusal::Unknown);
    }
    string(text, out);
    Ok(())
}
