//! From what PostgreSQL sends to JSON: what `json.dumps()` with Django's `DjangoJSONEncoder` writes
//! of the value that a decoder makes, without the value.
//!
//! Whatever is not certain to come out the same to the byte is declined: that value is made, and
//! encoded by Django.

mod array;
mod document;
mod members;
mod moment;
mod number;
mod rows;
pub mod text;

pub use members::{item, members};
pub use rows::{Rows, separator};

use pyo3::prelude::*;

use crate::decode::{Decoder, Kind};
use crate::wire::{self, Read, Refusal};

impl Decoder {
    /// Whether there are values that `write_json()` does not decline.
    pub fn writes_json(&self, py: Python<'_>) -> bool {
        match &self.kind {
            Kind::Bytea | Kind::Loader | Kind::Range(_) | Kind::Multirange(_) => false,
            Kind::TimestampTz(zone) => moment::utc_suffix(py, zone).is_some(),
            Kind::Array { element, .. } => element.get().writes_json(py),
            _ => true,
        }
    }

    /// Write a value as JSON. What is written before a refusal is to be removed.
    #[inline]
    pub fn write_json(&self, py: Python<'_>, wire: &[u8], out: &mut String) -> Read<()> {
        match &self.kind {
            Kind::Int(length) => {
                let binary = |wire| wire::int::binary(wire::of_length(wire, *length)?);
                number::int(self.read(wire, wire::int::text, binary)?, out)
            }
            Kind::Oid => number::int(
                self.read(wire, wire::int::text, wire::int::binary_oid)?,
                out,
            ),
            Kind::Text => text::string(std::str::from_utf8(wire).map_err(unknown)?, out),
            Kind::TimestampTz(zone) => {
                let suffix = moment::utc_suffix(py, zone).ok_or(Refusal::Unknown)?;
                let read = self.read(wire, wire::timestamp::text_tz, wire::timestamp::binary);
                return moment::timestamp(read?, suffix, out);
            }
            Kind::Timestamp => {
                let read = self.read(wire, wire::timestamp::text, wire::timestamp::binary);
                return moment::timestamp(read?, "", out);
            }
            Kind::Bool => {
                let truth = self.read(wire, wire::boolean::text, wire::boolean::binary)?;
                out.push_str(if truth { "true" } else { "false" });
            }
            Kind::Date => {
                return moment::date(self.read(wire, wire::date::text, wire::date::binary)?, out);
            }
            Kind::Time => {
                return moment::time(self.read(wire, wire::time::text, wire::time::binary)?, out);
            }
            Kind::Interval => {
                let read = self.read(wire, wire::interval::text, wire::interval::binary);
                return moment::interval(read?, out);
            }
            Kind::Float(length) => {
                let binary = |wire| wire::float::binary(wire::of_length(wire, *length)?);
                return number::float(self.read(wire, wire::float::text, binary)?, out);
            }
            Kind::Numeric if self.is_binary() => {
                return number::numeric(&wire::numeric::binary(wire)?, out);
            }
            Kind::Numeric => {
                return number::numeric(std::str::from_utf8(wire).map_err(unknown)?, out);
            }
            Kind::Uuid => {
                number::uuid(self.read(wire, wire::uuid::text, wire::uuid::binary)?, out);
            }
            Kind::Jsonb if self.is_binary() => match wire {
                [1, json @ ..] => return document::document(json, out),
                _ => return Err(Refusal::Malformed),
            },
            Kind::Json | Kind::Jsonb => return document::document(wire, out),
            Kind::Hstore => {
                let pairs = self.read(wire, wire::hstore::text, wire::hstore::binary)?;
                return text::object(&pairs, out);
            }
            Kind::Array {
                element,
                delimiter,
                oid,
            } => {
                return match self.is_binary() {
                    true => array::binary(py, wire, element.get(), *oid, out),
                    false => array::text(py, wire, element.get(), *delimiter, out),
                };
            }
            // Django's encoder refuses bytes and ranges, and what a loader returns is anything.
            Kind::Bytea | Kind::Loader | Kind::Range(_) | Kind::Multirange(_) => {
                return Err(Refusal::Unknown);
            }
        }
        Ok(())
    }
}

/// A text that is not UTF-8 is the driver's to refuse.
fn unknown<E>(_: E) -> Refusal {
    Refusal::Unknown
}
