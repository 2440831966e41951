//! A value in SQL, as psycopg's client cursor writes it: a number or a truth as it is, all else in
//! quotes, with a cast to its type.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyBytes, PyDict, PyTuple};

use super::{Kind, Refusal, Written, float, int, moment, numeric, text, uuid};
use crate::error::Error;

/// Writes the values of a statement into its SQL.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Literals(pub(super) Vec<DumpedClass>);

/// A class whose values are written natively while `dumper` is registered for it.
pub(super) struct DumpedClass {
    pub class: Py<PyAny>,
    pub dumper: Py<PyAny>,
    pub kind: Kind,
}

#[pymethods]
impl Literals {
    #[new]
    fn new(classes: Vec<(Py<PyAny>, Py<PyAny>, String)>) -> PyResult<Self> {
        let classes = classes.into_iter().map(|(class, dumper, name)| {
            let kind = Kind::named(&name)?;
            Ok(DumpedClass {
                class,
                dumper,
                kind,
            })
        });
        Ok(Self(classes.collect::<Result<_, Error>>()?))
    }

    /// Put the values between the pieces of SQL. `dumpers` are those registered, by class.
    fn fill<'py>(
        &self,
        between: &Bound<'py, PyTuple>,
        values: &Bound<'py, PyTuple>,
        dumpers: &Bound<'py, PyDict>,
        dump: &Bound<'py, PyAny>,
        connection: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (pieces, found) = (between.len(), values.len());
        if pieces != found.saturating_add(1) {
            return Err(Error::PiecesAndValues { pieces, found }.into());
        }
        let mut sql = Vec::with_capacity(1024);
        let mut out = String::new();
        let mut values = values.iter_borrowed();
        for piece in between.iter_borrowed() {
            sql.extend_from_slice(piece.extract()?);
            let Some(value) = values.next() else { break };
            out.clear();
            match self.write(&value, dumpers, &mut out) {
                Ok(()) => sql.extend_from_slice(out.as_bytes()),
                Err(Refusal::Unknown) => {
                    // Before 3.3, psycopg makes a bytearray of some.
                    let literal: PyBackedBytes = dump.call1((value, connection))?.extract()?;
                    sql.extend_from_slice(&literal);
                }
                Err(Refusal::Raised(error)) => return Err(error),
            }
        }
        Ok(PyBytes::new(between.py(), &sql))
    }
}

impl Literals {
    #[inline]
    fn write(
        &self,
        value: &Bound<'_, PyAny>,
        dumpers: &Bound<'_, PyDict>,
        out: &mut String,
    ) -> Written {
        if value.is_none() {
            out.push_str("NULL");
            return Ok(());
        }
        literal(&self.dumped(value, dumpers)?.kind, value, out)
    }
}

fn literal(kind: &Kind, value: &Bound<'_, PyAny>, out: &mut String) -> Written {
    match kind {
        Kind::Bool => {
            let value = value.cast_exact::<PyBool>().map_err(|_| Refusal::Unknown)?;
            out.push_str(if value.is_true() { "true" } else { "false" });
            Ok(())
        }
        Kind::Date => cast("date", out, |out| moment::date(value, out)),
        Kind::Float => {
            // Infinity and NaN are in quotes.
            let is_finite = value.extract::<f64>().is_ok_and(f64::is_finite);
            is_finite.then_some(()).ok_or(Refusal::Unknown)?;
            number(out, |out| float::float(value, out))
        }
        // Instances of psycopg's Int2, Int4 and Int8 are not exactly of the class int.
        Kind::Int(..) => {
            let digits = value.extract::<i64>().map_err(|_| Refusal::Unknown)?;
            number(out, |out| int::digits(digits, out))
        }
        Kind::Numeric => {
            number(out, |out| numeric::numeric(value, out))?;
            // Whether exponents are written out depends on psycopg's version.
            (!out.contains('E')).then_some(()).ok_or(Refusal::Unknown)
        }
        Kind::Text => string(text::text(value)?, out),
        Kind::Time => cast("time", out, |out| moment::time(value, out)),
        Kind::Timestamp => cast("timestamp", out, |out| moment::timestamp(value, out)),
        Kind::TimestampTz if moment::is_naive(value)? => {
            cast("timestamp", out, |out| moment::timestamp(value, out))
        }
        Kind::TimestampTz => cast("timestamptz", out, |out| moment::timestamptz(value, out)),
        Kind::Uuid => cast("uuid", out, |out| uuid::uuid(value, out)),
        Kind::Interval | Kind::Jsonb => Err(Refusal::Unknown),
    }
}

/// Write a number, with a space before its sign, since two of those begin a comment.
fn number(out: &mut String, write: impl FnOnce(&mut String) -> Written) -> Written {
    write(out)?;
    if out.starts_with('-') {
        out.insert(0, ' ');
    }
    Ok(())
}

fn cast(name: &str, out: &mut String, write: impl FnOnce(&mut String) -> Written) -> Written {
    out.push('\'');
    write(out)?;
    out.push_str("'::");
    out.push_str(name);
    Ok(())
}

/// Write a text of ASCII. Any other is encoded as the session wants it, and a backslash needs
/// another syntax.
fn string(text: &str, out: &mut String) -> Written {
    if !text
        .bytes()
        .all(|byte| byte.is_ascii() && byte != 0 && byte != b'\\')
    {
        return Err(Refusal::Unknown);
    }
    out.push('\'');
    for (index, part) in text.split('\'').enumerate() {
        if index > 0 {
            out.push_str("''");
        }
        out.push_str(part);
    }
    out.push('\'');
    Ok(())
}
