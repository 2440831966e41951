//! From what PostgreSQL sends to Python values, a file for each kind. The formats are `wire`'s.

mod array;
mod boolean;
mod bytea;
mod date;
mod float;
mod hstore;
mod int;
mod interval;
mod json;
mod numeric;
mod range;
mod text;
mod time;
mod timestamp;
mod uuid;

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTzInfo};

use crate::error::{Error, deeper};
use crate::wire::{self, Read, Refusal};

pub use timestamp::Zone;

/// The outcome of reading one value natively.
pub type Decoded<'py> = Result<Bound<'py, PyAny>, Failure>;

/// Why there is no value.
pub enum Failure {
    /// The decoder declines the value, which the driver's loader reads.
    Unknown,
    /// No value of this type looks like that.
    Malformed,
    /// The driver's loader, asked then, could make nothing of it either.
    Refused(PyErr),
    /// Something else went wrong.
    Raised(PyErr),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::Unknown,
            Refusal::Malformed => Self::Malformed,
        }
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// Read all parts of a value. If one is declined, the driver loads the whole; since its loader must
/// not read beyond the end of a malformed part, each of them is checked first.
pub fn all<'py>(
    parts: impl Iterator<Item = Decoded<'py>>,
) -> Result<Vec<Bound<'py, PyAny>>, Failure> {
    let mut is_known = true;
    let mut values = Vec::with_capacity(parts.size_hint().0);
    for part in parts {
        match part {
            Ok(value) => values.push(value),
            Err(Failure::Unknown) => is_known = false,
            Err(failure) => return Err(failure),
        }
    }
    is_known.then_some(values).ok_or(Failure::Unknown)
}

/// A native reader of the values of one type, in one of the two formats.
///
/// `name` says which: "loader" declines every value. Arrays, ranges
/// and multiranges are read by decoders made of that of their elements. "timestamptz" gives its
/// values `tzinfo`, or none, after conversion to the session's `zone` (`None` is UTC).
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Decoder {
    pub kind: Kind,
    #[pyo3(get)]
    binary: bool,
    depth: usize,
}

/// What a decoder reads.
pub enum Kind {
    Loader,
    Bool,
    Bytea,
    Date,
    /// Its length in bytes in binary, if the decoder is for one length.
    Float(Option<usize>),
    Hstore,
    Int(Option<usize>),
    Interval,
    Json,
    Jsonb,
    Numeric,
    Oid,
    Text,
    Time,
    Timestamp,
    TimestampTz(Zone),
    Uuid,
    Array {
        element: Py<Decoder>,
        delimiter: u8,
        oid: u32,
    },
    Range(Py<Decoder>),
    Multirange(Py<Decoder>),
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (name, *, binary=false, zone=None, tzinfo=None))]
    fn new(
        name: &str,
        binary: bool,
        zone: Option<Py<PyTzInfo>>,
        tzinfo: Option<Py<PyTzInfo>>,
    ) -> PyResult<Self> {
        let kind = match name {
            "loader" => Kind::Loader,
            "bool" => Kind::Bool,
            "bytea" => Kind::Bytea,
            "date" => Kind::Date,
            "float" => Kind::Float(None),
            "float4" => Kind::Float(Some(4)),
            "float8" => Kind::Float(Some(8)),
            "hstore" => Kind::Hstore,
            "int" => Kind::Int(None),
            "int2" => Kind::Int(Some(2)),
            "int4" => Kind::Int(Some(4)),
            "int8" => Kind::Int(Some(8)),
            "interval" => Kind::Interval,
            "json" => Kind::Json,
            "jsonb" => Kind::Jsonb,
            "numeric" => Kind::Numeric,
            "oid" => Kind::Oid,
            "text" => Kind::Text,
            "time" => Kind::Time,
            "timestamp" => Kind::Timestamp,
            "timestamptz" => Kind::TimestampTz(Zone { zone, tzinfo }),
            "uuid" => Kind::Uuid,
            _ => return Err(Error::UnknownDecoder(name.to_owned()).into()),
        };
        Ok(Self {
            kind,
            binary,
            depth: 0,
        })
    }

    /// Read arrays: of elements that are so delimited in text, of this type in binary.
    #[staticmethod]
    #[pyo3(signature = (element, *, delimiter=44, oid=0))]
    fn array(element: Py<Decoder>, delimiter: u8, oid: u32) -> PyResult<Self> {
        Ok(Self {
            binary: element.get().binary,
            depth: deeper(element.get().depth)?,
            kind: Kind::Array {
                element,
                delimiter,
                oid,
            },
        })
    }

    /// Read ranges with such bounds.
    #[staticmethod]
    fn range(subtype: Py<Decoder>) -> PyResult<Self> {
        Ok(Self {
            binary: subtype.get().binary,
            depth: deeper(subtype.get().depth)?,
            kind: Kind::Range(subtype),
        })
    }

    /// Read multiranges with such bounds.
    #[staticmethod]
    fn multirange(subtype: Py<Decoder>) -> PyResult<Self> {
        Ok(Self {
            binary: subtype.get().binary,
            depth: deeper(subtype.get().depth)?,
            kind: Kind::Multirange(subtype),
        })
    }

    /// What is read: "int", "array of int", "loader".
    #[getter]
    pub fn name(&self) -> String {
        let name = match &self.kind {
            Kind::Loader => "loader",
            Kind::Bool => "bool",
            Kind::Bytea => "bytea",
            Kind::Date => "date",
            Kind::Float(_) => "float",
            Kind::Hstore => "hstore",
            Kind::Int(_) => "int",
            Kind::Interval => "interval",
            Kind::Json => "json",
            Kind::Jsonb => "jsonb",
            Kind::Numeric => "numeric",
            Kind::Oid => "oid",
            Kind::Text => "text",
            Kind::Time => "time",
            Kind::Timestamp => "timestamp",
            Kind::TimestampTz(_) => "timestamptz",
            Kind::Uuid => "uuid",
            Kind::Array { element, .. } => return format!("array of {}", element.get().name()),
            Kind::Range(subtype) => return format!("range of {}", subtype.get().name()),
            Kind::Multirange(subtype) => {
                return format!("multirange of {}", subtype.get().name());
            }
        };
        name.to_owned()
    }

    fn __repr__(&self) -> String {
        let format = if self.binary { "binary" } else { "text" };
        format!("<Decoder {:?} {format}>", self.name())
    }
}

impl Decoder {
    pub fn is_loader(&self) -> bool {
        matches!(self.kind, Kind::Loader)
    }

    /// Whether JSON is in the values.
    pub fn holds_json(&self) -> bool {
        match &self.kind {
            Kind::Json | Kind::Jsonb => true,
            Kind::Array { element: inner, .. } | Kind::Range(inner) | Kind::Multirange(inner) => {
                inner.get().holds_json()
            }
            _ => false,
        }
    }

    /// Whether values come in binary format.
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// Read a value.
    #[inline]
    pub fn decode<'py>(&self, py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
        match &self.kind {
            Kind::Loader => Err(Failure::Unknown),
            Kind::Int(length) => {
                let binary = |wire| wire::int::binary(wire::of_length(wire, *length)?);
                int::value(py, self.read(wire, wire::int::text, binary)?)
            }
            Kind::Text => text::value(py, wire),
            Kind::TimestampTz(zone) => {
                let read = self.read(wire, wire::timestamp::text_tz, wire::timestamp::binary);
                zone.value(py, read?)
            }
            Kind::Bool => boolean::value(
                py,
                self.read(wire, wire::boolean::text, wire::boolean::binary)?,
            ),
            Kind::Bytea if self.binary => bytea::binary(py, wire),
            Kind::Bytea => bytea::text(py, wire),
            Kind::Date => date::value(py, self.read(wire, wire::date::text, wire::date::binary)?),
            Kind::Float(length) => {
                let binary = |wire| wire::float::binary(wire::of_length(wire, *length)?);
                float::value(py, self.read(wire, wire::float::text, binary)?)
            }
            Kind::Hstore => hstore::value(
                py,
                self.read(wire, wire::hstore::text, wire::hstore::binary)?,
            ),
            Kind::Interval => interval::value(
                py,
                self.read(wire, wire::interval::text, wire::interval::binary)?,
            ),
            Kind::Jsonb if self.binary => json::versioned(py, wire),
            Kind::Json | Kind::Jsonb => json::value(py, wire),
            Kind::Numeric if self.binary => numeric::binary(py, wire),
            Kind::Numeric => numeric::text(py, wire),
            Kind::Oid => int::value(py, self.read(wire, wire::int::text, wire::int::binary_oid)?),
            Kind::Time => time::value(py, self.read(wire, wire::time::text, wire::time::binary)?),
            Kind::Timestamp => timestamp::value(
                py,
                self.read(wire, wire::timestamp::text, wire::timestamp::binary)?,
            ),
            Kind::Uuid => uuid::value(py, self.read(wire, wire::uuid::text, wire::uuid::binary)?),
            Kind::Array {
                element,
                delimiter,
                oid,
            } => match self.binary {
                true => array::binary(py, wire, element.get(), *oid),
                false => array::text(py, wire, element.get(), *delimiter),
            },
            Kind::Range(subtype) => {
                let read = self.read(wire, wire::range::text, wire::range::binary);
                range::value(py, &read?, subtype.get())
            }
            Kind::Multirange(subtype) => {
                let (text, binary) =
                    (wire::range::multirange_text, wire::range::multirange_binary);
                range::values(py, &self.read(wire, text, binary)?, subtype.get())
            }
        }
    }

    /// Read a value in the decoder's format.
    #[inline]
    pub fn read<'a, T>(
        &self,
        wire: &'a [u8],
        text: impl FnOnce(&'a [u8]) -> Option<T>,
        binary: impl FnOnce(&'a [u8]) -> Read<T>,
    ) -> Read<T> {
        if self.binary {
            binary(wire)
        } else {
            text(wire).ok_or(Refusal::Unknown)
        }
    }

    /// Read a value that the driver has loaded: JSON comes as text under Django's adapters.
    pub fn decode_loaded<'py>(&self, value: &Bound<'py, PyAny>) -> Decoded<'py> {
        let text = value.cast::<PyString>().ok();
        // Text with lone surrogates has no UTF-8.
        match (&self.kind, text.and_then(|text| text.to_str().ok())) {
            (Kind::Json, Some(text)) => json::value(value.py(), text.as_bytes()),
            _ => Err(Failure::Unknown),
        }
    }
}
