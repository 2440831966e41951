//! A value in SQL, as psycopg's client cursor writes it: a number or a truth as it is, all else in
//! quotes, with a cast to its type.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyBytes, PyDict, PyTuple};

use super::parameter::{INT4, INT8, NUMERIC, cast_to, parameter};
use super::{Kind, Refusal, Written, text};
use crate::error::Error;

/// Writes the values of a statement into its SQL.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Literals(Vec<DumpedClass>);

/// A class whose values are written natively while `dumper` is registered for it.
pub(super) struct DumpedClass {
    class: Py<PyAny>,
    dumper: Py<PyAny>,
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
    /// The class of a value, if it is written natively.
    #[inline]
    pub(super) fn dumped(
        &self,
        value: &Bound<'_, PyAny>,
        dumpers: &Bound<'_, PyDict>,
    ) -> Result<&DumpedClass, Refusal> {
        let class = value.get_type();
        let dumped = self.0.iter().find(|dumped| dumped.class.is(&class));
        let dumped = dumped.ok_or(Refusal::Unknown)?;
        match dumpers.get_item(class) {
            Ok(Some(registered)) if dumped.dumper.is(&registered) => Ok(dumped),
            Ok(_) => Err(Refusal::Unknown),
            Err(error) => Err(Refusal::of(value.py(), error)),
        }
    }

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
        Kind::Text => string(text::text(value)?, out),
        _ => match parameter(kind, value, out)? {
            INT4 | INT8 | NUMERIC => {
                // Two signs in a row begin a comment.
                if out.starts_with('-') {
                    out.insert(0, ' ');
                }
                Ok(())
            }
            oid => {
                out.insert(0, '\'');
                out.push_str("'::");
                out.push_str(cast_to(oid).ok_or(Refusal::Unknown)?);
                Ok(())
            }
        },
    }
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
