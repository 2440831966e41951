//! Values as parameters of a prepared statement: in text, each with the type that PostgreSQL gives
//! the literal which psycopg's client cursor would write.

use std::ffi::{c_char, c_int};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyBytes, PyDict, PyTuple};

use super::literal::Literals;
use super::{Kind, Refusal, float, int, moment, numeric, text, uuid};

/// The OID of a type. A literal in quotes without a cast has none yet, and nor has NULL.
type Oid = u32;

const UNKNOWN: Oid = 0;
const BOOL: Oid = 16;
pub const INT8: Oid = 20;
pub const INT4: Oid = 23;
pub const NUMERIC: Oid = 1700;

/// The types that psycopg's dumpers cast literals to.
const CASTS: [(&str, Oid); 26] = [
    ("bool", BOOL),
    ("bytea", 17),
    ("text", 25),
    ("json", 114),
    ("cidr", 650),
    ("float4", 700),
    ("float8", 701),
    ("inet", 869),
    ("bool[]", 1000),
    ("int2[]", 1005),
    ("int4[]", 1007),
    ("text[]", 1009),
    ("int8[]", 1016),
    ("float8[]", 1022),
    ("date", 1082),
    ("time", 1083),
    ("timestamp", 1114),
    ("date[]", 1182),
    ("timestamptz", 1184),
    ("timestamptz[]", 1185),
    ("interval", 1186),
    ("numeric[]", 1231),
    ("timetz", 1266),
    ("numeric", NUMERIC),
    ("uuid", 2950),
    ("jsonb", 3802),
];

/// The parameters of a statement: their texts, and their types.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Parameters {
    /// Four bytes for each, in the machine's order.
    #[pyo3(get)]
    types: Py<PyBytes>,
    /// Each but NULL, followed by a zero byte.
    texts: Vec<u8>,
    /// Where each begins, `None` for NULL.
    starts: Vec<Option<usize>>,
    /// Whether every session reads the texts as they are.
    #[pyo3(get)]
    is_ascii: bool,
}

#[pymethods]
impl Parameters {
    /// Return values as parameters, or `None` if one has a literal of an unusual form.
    #[staticmethod]
    fn of(
        literals: &Literals,
        values: &Bound<'_, PyTuple>,
        dumpers: &Bound<'_, PyDict>,
        dump: &Bound<'_, PyAny>,
        connection: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Self>> {
        let mut types = Vec::with_capacity(4 * values.len());
        let mut starts = Vec::with_capacity(values.len());
        let mut texts = String::with_capacity(16 * values.len());
        let mut raw: Vec<u8> = Vec::new();
        for value in values.iter_borrowed() {
            if value.is_none() {
                types.extend_from_slice(&UNKNOWN.to_ne_bytes());
                starts.push(None);
                continue;
            }
            texts.clear();
            let start = raw.len();
            let written = match literals.dumped(&value, dumpers) {
                Ok(dumped) => parameter(&dumped.kind, &value, &mut texts),
                Err(refusal) => Err(refusal),
            };
            let oid = match written {
                Ok(oid) => {
                    raw.extend_from_slice(texts.as_bytes());
                    oid
                }
                Err(Refusal::Raised(error)) => return Err(error),
                Err(Refusal::Unknown) => {
                    let literal: PyBackedBytes = dump.call1((value, connection))?.extract()?;
                    match unquoted(&literal, &mut raw) {
                        Some(oid) => oid,
                        None => return Ok(None),
                    }
                }
            };
            if raw.get(start..).is_none_or(|text| text.contains(&0)) {
                return Ok(None);
            }
            raw.push(0);
            types.extend_from_slice(&oid.to_ne_bytes());
            starts.push(Some(start));
        }
        Ok(Some(Self {
            types: PyBytes::new(values.py(), &types).unbind(),
            is_ascii: raw.is_ascii(),
            texts: raw,
            starts,
        }))
    }

    /// The OIDs of the types, 0 where the statement decides.
    #[getter]
    pub fn oids(&self, py: Python<'_>) -> Vec<Oid> {
        let types = self.types.as_bytes(py).chunks_exact(4);
        types
            .filter_map(|each| each.try_into().ok().map(Oid::from_ne_bytes))
            .collect()
    }

    /// How many bytes the texts and the types take.
    #[getter]
    fn size(&self) -> usize {
        self.texts.len() + 4 * self.starts.len()
    }

    /// The texts, `None` for NULL.
    #[getter]
    fn texts<'py>(&self, py: Python<'py>) -> Vec<Option<Bound<'py, PyBytes>>> {
        let text = |start| {
            let rest = self.texts.get(start..).unwrap_or_default();
            PyBytes::new(py, rest.split(|byte| *byte == 0).next().unwrap_or_default())
        };
        self.starts.iter().map(|start| start.map(text)).collect()
    }
}

impl Parameters {
    /// How many there are.
    pub fn len(&self) -> c_int {
        c_int::try_from(self.starts.len()).unwrap_or(c_int::MAX)
    }

    /// Where the text of each begins, null for NULL: as libpq takes them, as long as this lives.
    pub fn pointers(&self) -> Vec<*const c_char> {
        let pointer = |start: &Option<usize>| match start.and_then(|at| self.texts.get(at..)) {
            Some(text) => text.as_ptr().cast(),
            None => std::ptr::null(),
        };
        self.starts.iter().map(pointer).collect()
    }
}

/// Write the text of a value, and return its type.
pub fn parameter(kind: &Kind, value: &Bound<'_, PyAny>, out: &mut String) -> Result<Oid, Refusal> {
    match kind {
        Kind::Bool => {
            let value = value.cast_exact::<PyBool>().map_err(|_| Refusal::Unknown)?;
            out.push(if value.is_true() { 't' } else { 'f' });
            Ok(BOOL)
        }
        Kind::Date => moment::date(value, out).map(|()| 1082),
        Kind::Float => {
            // Infinity and NaN are of another type.
            let is_finite = value.extract::<f64>().is_ok_and(f64::is_finite);
            is_finite.then_some(()).ok_or(Refusal::Unknown)?;
            float::float(value, out).map(|()| number(out.as_bytes()))
        }
        // Instances of psycopg's Int2, Int4 and Int8 are not exactly of the class int.
        Kind::Int(..) => {
            let digits = value.extract::<i64>().map_err(|_| Refusal::Unknown)?;
            int::digits(digits, out).map(|()| number(out.as_bytes()))
        }
        Kind::Numeric => {
            numeric::numeric(value, out)?;
            // Whether exponents are written out depends on psycopg's version.
            (!out.contains('E')).then_some(()).ok_or(Refusal::Unknown)?;
            Ok(number(out.as_bytes()))
        }
        Kind::Text => {
            out.push_str(text::text(value)?);
            Ok(UNKNOWN)
        }
        Kind::Time => moment::time(value, out).map(|()| 1083),
        Kind::Timestamp => moment::timestamp(value, out).map(|()| 1114),
        Kind::TimestampTz if moment::is_naive(value)? => {
            moment::timestamp(value, out).map(|()| 1114)
        }
        Kind::TimestampTz => moment::timestamptz(value, out).map(|()| 1184),
        Kind::Uuid => uuid::uuid(value, out).map(|()| 2950),
        Kind::Interval | Kind::Jsonb => Err(Refusal::Unknown),
    }
}

/// The type that PostgreSQL gives a number in SQL: the smallest one that it fits.
fn number(digits: &[u8]) -> Oid {
    let digits = std::str::from_utf8(digits).ok();
    match digits.and_then(|digits| digits.parse::<i64>().ok()) {
        Some(number) if i32::try_from(number).is_ok() => INT4,
        Some(_) => INT8,
        None => NUMERIC,
    }
}

/// Write the text of a literal of psycopg's, and return its type, or `None` for another form.
fn unquoted(literal: &[u8], out: &mut Vec<u8>) -> Option<Oid> {
    let literal = literal.strip_prefix(b" ").unwrap_or(literal);
    if literal
        .first()
        .is_some_and(|first| first.is_ascii_digit() || *first == b'-')
    {
        let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        out.extend_from_slice(literal);
        return literal.iter().all(is_number).then(|| number(literal));
    }
    let (has_escapes, literal) = match literal.strip_prefix(b"E") {
        Some(literal) => (true, literal),
        None => (false, literal),
    };
    let mut rest = literal.strip_prefix(b"'")?;
    loop {
        rest = match rest {
            [b'\'', b'\'', rest @ ..] => {
                out.push(b'\'');
                rest
            }
            [b'\'', cast @ ..] => return type_of(cast),
            [b'\\', b'\\', rest @ ..] if has_escapes => {
                out.push(b'\\');
                rest
            }
            [b'\\', ..] if has_escapes => return None,
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
            [] => return None,
        };
    }
}

/// The type of what follows a literal in quotes: nothing, or a cast.
fn type_of(cast: &[u8]) -> Option<Oid> {
    if cast.is_empty() {
        return Some(UNKNOWN);
    }
    let name = std::str::from_utf8(cast.strip_prefix(b"::")?).ok()?;
    let name = name
        .strip_prefix("pg_catalog.")
        .unwrap_or(name)
        .replace('"', "");
    CASTS
        .iter()
        .find(|(cast, _)| *cast == name)
        .map(|(_, oid)| *oid)
}

/// The name that literals of a type are cast to.
pub fn cast_to(oid: Oid) -> Option<&'static str> {
    let cast = CASTS.iter().find(|(_, of)| *of == oid);
    cast.map(|(name, _)| *name)
}
