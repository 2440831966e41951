//! From the text that PostgreSQL sends to Python values, a file for each kind.
//!
//! A decoder answers `None` for whatever it does not recognise (infinity, dates before Christ,
//! another DateStyle, malformed text); the driver's own loader is asked then.

mod boolean;
mod bytea;
mod date;
mod float;
mod int;
mod interval;
mod json;
mod numeric;
mod text;
mod time;
mod timestamp;
mod uuid;

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTzInfo};

use crate::error::Error;

/// The outcome of reading one value natively; `None` leaves it to the driver's loader.
type Decoded<'py> = PyResult<Option<Bound<'py, PyAny>>>;

/// The native readers.
pub enum Decoder {
    Loader,
    Bool,
    Bytea,
    Date,
    Float,
    Int,
    Interval,
    Json,
    Numeric,
    Text,
    Time,
    Timestamp,
    /// The session's time zone is UTC; the values get this time zone, or none.
    TimestampTz(Option<Py<PyTzInfo>>),
    Uuid,
}

impl Decoder {
    /// Find a reader by its name. `tzinfo` must be given for "timestamptz", be it Python's `None`.
    pub fn from_name(
        name: &str,
        tzinfo: Option<Bound<'_, PyAny>>,
        column: &str,
    ) -> PyResult<Self> {
        Ok(match name {
            "loader" => Self::Loader,
            "bool" => Self::Bool,
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "float" => Self::Float,
            "int" => Self::Int,
            "interval" => Self::Interval,
            "json" => Self::Json,
            "numeric" => Self::Numeric,
            "text" => Self::Text,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" => {
                let tzinfo = tzinfo.ok_or_else(|| Error::MissingTimeZone(column.to_owned()))?;
                Self::TimestampTz(Some(tzinfo.cast_into::<PyTzInfo>()?.unbind()))
            }
            "timestamptz-naive" => Self::TimestampTz(None),
            "uuid" => Self::Uuid,
            _ => return Err(Error::UnknownDecoder(name.to_owned()).into()),
        })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Loader => "loader",
            Self::Bool => "bool",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Float => "float",
            Self::Int => "int",
            Self::Interval => "interval",
            Self::Json => "json",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz(Some(_)) => "timestamptz",
            Self::TimestampTz(None) => "timestamptz-naive",
            Self::Uuid => "uuid",
        }
    }

    /// Read the text of a value.
    #[inline]
    pub fn decode<'py>(&self, py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
        match self {
            Self::Loader => Ok(None),
            Self::Bool => Ok(boolean::decode(py, wire)),
            Self::Bytea => bytea::decode(py, wire),
            Self::Date => date::decode(py, wire),
            Self::Float => Ok(float::decode(py, wire)),
            Self::Int => int::decode(py, wire),
            Self::Interval => interval::decode(py, wire),
            Self::Json => Ok(json::decode(py, wire)),
            Self::Numeric => numeric::decode(py, wire),
            Self::Text => Ok(text::decode(py, wire)),
            Self::Time => time::decode(py, wire),
            Self::Timestamp => timestamp::decode(py, wire),
            Self::TimestampTz(tz) => {
                timestamp::decode_utc(py, wire, tz.as_ref().map(|tz| tz.bind(py)))
            }
            Self::Uuid => uuid::decode(py, wire),
        }
    }

    /// Whether a value that the driver has loaded still needs this reader.
    pub fn reads_loaded(&self) -> bool {
        matches!(self, Self::Json)
    }

    /// Read a value that the driver has loaded: JSON comes as text under Django's adapters.
    pub fn decode_loaded<'py>(&self, value: &Bound<'py, PyAny>) -> Decoded<'py> {
        match (self, value.cast::<PyString>()) {
            (Self::Json, Ok(text)) => {
                // Text with lone surrogates has no UTF-8.
                Ok(text
                    .to_str()
                    .ok()
                    .and_then(|text| json::decode(value.py(), text.as_bytes())))
            }
            _ => Ok(None),
        }
    }
}

/// The number that a fixed run of ASCII digits spells, if digits is all there is.
#[inline]
fn digits(text: &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    Some(number)
}
