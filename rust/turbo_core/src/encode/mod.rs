//! From Python values to PostgreSQL's text of an array, or to literals in SQL, a file for each kind
//! that takes one.
//!
//! The text of a value is what psycopg's own dumper makes of it, once Django's field has prepared
//! it. Only values of exactly the class that a kind is for are written: any other, even of a
//! subclass, is declined, and dumped by Django and psycopg.

mod array;
mod float;
mod int;
mod json;
mod literal;
mod moment;
mod numeric;
mod parameter;
mod text;
mod uuid;

pub use literal::Literals;
pub use parameter::Parameters;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyString};

use crate::error::Error;

/// The outcome of writing one value.
type Written = Result<(), Refusal>;

/// Why a value is not written.
enum Refusal {
    /// It is declined, and dumped by Django and psycopg.
    Unknown,
    /// What is no `Exception` was raised: an interrupt.
    Raised(PyErr),
}

impl Refusal {
    /// An exception of a value's own code is Django's to raise: it runs the same code.
    fn of(py: Python<'_>, error: PyErr) -> Self {
        match error.is_instance_of::<PyException>(py) {
            true => Self::Unknown,
            false => Self::Raised(error),
        }
    }
}

/// A native writer of the values of one field, for many instances at once.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Encoder {
    kind: Kind,
    #[pyo3(get)]
    name: String,
}

enum Kind {
    Bool,
    Date,
    Float,
    /// From the least to the largest.
    Int(i64, i64),
    Interval,
    Jsonb,
    Numeric,
    Text,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
}

impl Kind {
    fn named(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "bool" => Self::Bool,
            "date" => Self::Date,
            "float" => Self::Float,
            "int2" => Self::Int(i16::MIN.into(), i16::MAX.into()),
            "int4" => Self::Int(i32::MIN.into(), i32::MAX.into()),
            "int8" => Self::Int(i64::MIN, i64::MAX),
            "interval" => Self::Interval,
            "jsonb" => Self::Jsonb,
            "numeric" => Self::Numeric,
            "text" => Self::Text,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            "uuid" => Self::Uuid,
            _ => return Err(Error::UnknownEncoder(name.to_owned())),
        })
    }
}

#[pymethods]
impl Encoder {
    #[new]
    fn new(name: &str) -> PyResult<Self> {
        Ok(Self {
            kind: Kind::named(name)?,
            name: name.to_owned(),
        })
    }

    /// Write an array of what each of the dicts has under a name, or return `None` if one is declined.
    fn array(
        &self,
        rows: &Bound<'_, PyList>,
        name: &Bound<'_, PyString>,
    ) -> PyResult<Option<String>> {
        match self.write_all(rows, name) {
            Ok(array) => Ok(Some(array)),
            Err(Refusal::Unknown) => Ok(None),
            Err(Refusal::Raised(error)) => Err(error),
        }
    }
}

impl Encoder {
    fn write_all(
        &self,
        rows: &Bound<'_, PyList>,
        name: &Bound<'_, PyString>,
    ) -> Result<String, Refusal> {
        let mut out = String::with_capacity(rows.len().saturating_mul(16));
        // What a value is written to where its text may have to be quoted.
        let mut scratch = String::new();
        out.push('{');
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let row = row.cast_exact::<PyDict>().map_err(|_| Refusal::Unknown)?;
            match row.get_item(name) {
                Ok(Some(value)) if value.is_none() => out.push_str("NULL"),
                Ok(Some(value)) => self.write(&value, &mut out, &mut scratch)?,
                // A deferred field.
                Ok(None) => return Err(Refusal::Unknown),
                Err(error) => return Err(Refusal::of(rows.py(), error)),
            }
        }
        out.push('}');
        Ok(out)
    }

    #[inline]
    fn write(&self, value: &Bound<'_, PyAny>, out: &mut String, scratch: &mut String) -> Written {
        match &self.kind {
            Kind::Bool => {
                let value = value.cast_exact::<PyBool>().map_err(|_| Refusal::Unknown)?;
                out.push(if value.is_true() { 't' } else { 'f' });
                Ok(())
            }
            Kind::Date => moment::date(value, out),
            Kind::Float => float::float(value, out),
            Kind::Int(min, max) => int::int(value, *min, *max, out),
            Kind::Interval => moment::interval(value, out),
            Kind::Jsonb => {
                scratch.clear();
                json::json(value, scratch, 0)?;
                array::element(scratch, out)
            }
            Kind::Numeric => numeric::numeric(value, out),
            Kind::Text => array::element(text::text(value)?, out),
            Kind::Time => moment::time(value, out),
            Kind::Timestamp => array::quoted(out, |out| moment::timestamp(value, out)),
            Kind::TimestampTz => array::quoted(out, |out| moment::timestamptz(value, out)),
            Kind::Uuid => uuid::uuid(value, out),
        }
    }
}

/// Write what `str()` makes of a value, which may run code of its own, that of a time zone.
fn shown(value: &Bound<'_, PyAny>, out: &mut impl FnMut(&str)) -> Written {
    let shown = value.str().map_err(|e| Refusal::of(value.py(), e))?;
    out(shown.to_str().map_err(|_| Refusal::Unknown)?);
    Ok(())
}
