//! Ranges and multiranges of any type: psycopg's `Range` and `Multirange`.

use std::borrow::Cow;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::{Decoded, Decoder, all};
use crate::pytypes;
use crate::wire::range::Range;

pub fn value<'py>(py: Python<'py>, range: &Range<'_>, subtype: &Decoder) -> Decoded<'py> {
    let class = pytypes::range(py)?;
    let bound = |bound: &Option<Cow<'_, [u8]>>| match bound {
        Some(wire) => subtype.decode(py, wire),
        None => Ok(py.None().into_bound(py)),
    };
    match range {
        Range::Empty => {
            let none = py.None();
            Ok(class.call1((&none, &none, intern!(py, "[)"), true))?)
        }
        Range::Bounds {
            lower,
            upper,
            brackets,
        } => {
            let mut bounds = all([lower, upper].into_iter().map(bound))?.into_iter();
            Ok(class.call1((bounds.next(), bounds.next(), *brackets))?)
        }
    }
}

pub fn values<'py>(py: Python<'py>, ranges: &[Range<'_>], subtype: &Decoder) -> Decoded<'py> {
    let ranges = all(ranges.iter().map(|range| value(py, range, subtype)))?;
    Ok(pytypes::multirange(py)?.call1((PyList::new(py, ranges)?,))?)
}
