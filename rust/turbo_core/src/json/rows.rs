//! The rows of a result as JSON: objects, arrays, or single values.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::members::{self, Member};
use super::text;
use crate::error::Error;
use crate::rows::{Item, Row};
use crate::source::Source;
use crate::source::pgresult::PgResult;

/// What is written of each row: its places, and what stands around them.
pub struct Rows<'a, 'py> {
    open: &'static str,
    places: Vec<Place<'a, 'py>>,
    close: &'static str,
}

/// A place in a row: what stands before it, and what is written there.
struct Place<'a, 'py> {
    before: String,
    content: Content<'a, 'py>,
}

enum Content<'a, 'py> {
    Item(&'a Item),
    /// An object in a row. If it may be null it is, where all that is in it is null.
    Object {
        places: Vec<Place<'a, 'py>>,
        may_be_null: bool,
    },
    /// The JSON of related rows by the value of an item, and what is written if there are none.
    Related {
        key: &'a Item,
        by_key: Bound<'py, PyDict>,
        many: bool,
    },
}

impl<'a, 'py> Rows<'a, 'py> {
    /// Rows that are arrays.
    pub fn arrays(items: &'a [Item]) -> Self {
        let places = items.iter().enumerate().map(|(index, item)| Place {
            before: separator(index).to_owned(),
            content: Content::Item(item),
        });
        Self {
            open: "[",
            places: places.collect(),
            close: "]",
        }
    }

    /// Rows that are objects. Of equal names, the first has its place, and the last its value.
    pub fn objects(py: Python<'py>, entries: &'a [(Py<PyString>, Item)]) -> PyResult<Self> {
        let mut named: Vec<(&str, &'a Item)> = Vec::with_capacity(entries.len());
        for (name, item) in entries {
            let name = name.bind(py).to_str()?;
            match named.iter_mut().find(|(other, _)| *other == name) {
                Some((_, place)) => *place = item,
                None => named.push((name, item)),
            }
        }
        let places = named
            .into_iter()
            .enumerate()
            .map(|(index, (name, item))| Place {
                before: key(index, name),
                content: Content::Item(item),
            });
        Ok(Self {
            open: "{",
            places: places.collect(),
            close: "}",
        })
    }

    /// Rows that are objects with these members, whose values have the names of entries.
    pub fn nested(
        py: Python<'py>,
        entries: &'a [(Py<PyString>, Item)],
        members: Vec<Member<'py>>,
    ) -> PyResult<Self> {
        Ok(Self {
            open: "{",
            places: places(py, entries, members)?,
            close: "}",
        })
    }

    /// Rows that are one value.
    pub fn values(item: &'a Item) -> Self {
        let place = Place {
            before: String::new(),
            content: Content::Item(item),
        };
        Self {
            open: "",
            places: vec![place],
            close: "",
        }
    }

    /// Write a row. `encode` is called with a value and returns its JSON.
    pub fn write(
        &self,
        row: &Row<'_, 'py, PgResult<'py>>,
        encode: &Bound<'py, PyAny>,
        out: &mut String,
    ) -> PyResult<()> {
        out.push_str(self.open);
        for place in &self.places {
            place.write(row, encode, out)?;
        }
        out.push_str(self.close);
        Ok(())
    }
}

fn places<'a, 'py>(
    py: Python<'py>,
    entries: &'a [(Py<PyString>, Item)],
    members: Vec<Member<'py>>,
) -> PyResult<Vec<Place<'a, 'py>>> {
    let item = |name: &Bound<'py, PyString>| members::item(py, entries, name);
    let mut found = Vec::with_capacity(members.len());
    for member in members {
        let (name, content) = match member {
            Member::Value(name, value) => (name, Content::Item(item(&value)?)),
            Member::Object(name, members, may_be_null) => {
                let places = places(py, entries, members)?;
                (
                    name,
                    Content::Object {
                        places,
                        may_be_null,
                    },
                )
            }
            Member::Related(name, value, by_key, many) => {
                let key = item(&value)?;
                (name, Content::Related { key, by_key, many })
            }
        };
        let before = key(found.len(), name.to_str()?);
        found.push(Place { before, content });
    }
    Ok(found)
}

impl<'py> Place<'_, 'py> {
    /// Write it, and return whether that is anything but null.
    fn write(
        &self,
        row: &Row<'_, 'py, PgResult<'py>>,
        encode: &Bound<'py, PyAny>,
        out: &mut String,
    ) -> PyResult<bool> {
        out.push_str(&self.before);
        match &self.content {
            Content::Item(Item::Column(column)) => value(row, *column, encode, out),
            Content::Item(Item::Group(columns)) => {
                out.push('[');
                for (position, column) in columns.iter().enumerate() {
                    out.push_str(separator(position));
                    value(row, *column, encode, out)?;
                }
                out.push(']');
                Ok(true)
            }
            Content::Object {
                places,
                may_be_null,
            } => {
                let start = out.len();
                let mut has_value = false;
                out.push('{');
                for place in places {
                    has_value |= place.write(row, encode, out)?;
                }
                out.push('}');
                if has_value || !may_be_null {
                    return Ok(true);
                }
                out.truncate(start);
                out.push_str("null");
                Ok(false)
            }
            Content::Related { key, by_key, many } => {
                let related = by_key.get_item(row.item(key)?);
                row.source.python_ran();
                let related = related?;
                out.push_str(if *many { "[" } else { "" });
                match &related {
                    Some(json) => out.push_str(json.cast::<PyString>()?.to_str()?),
                    None => out.push_str(if *many { "" } else { "null" }),
                }
                out.push_str(if *many { "]" } else { "" });
                Ok(*many || related.is_some())
            }
        }
    }
}

/// What stands between the elements of an array, or the members of an object.
pub fn separator(index: usize) -> &'static str {
    if index > 0 { ", " } else { "" }
}

/// What stands before the value of a member of an object.
fn key(index: usize, name: &str) -> String {
    let mut key = String::from(separator(index));
    text::string(name, &mut key);
    key.push_str(": ");
    key
}

/// Write a value natively, or else make it and have it encoded. Return whether it is not null.
#[inline]
fn value<'py>(
    row: &Row<'_, 'py, PgResult<'py>>,
    index: usize,
    encode: &Bound<'py, PyAny>,
    out: &mut String,
) -> PyResult<bool> {
    let columns = row.columns.len();
    let column = row.columns.get(index);
    let column = column.ok_or(Error::NoSuchColumn { index, columns })?.get();
    if !column.converts() {
        let Some(wire) = row.source.wire(row.index, index)? else {
            out.push_str("null");
            return Ok(false);
        };
        let length = out.len();
        if column.write_json(row.py, wire, out).is_ok() {
            // A document may be null, too.
            return Ok(out.get(length..) != Some("null"));
        }
        out.truncate(length);
    }
    let encoded = encode.call1((row.value(index)?,));
    row.source.python_ran();
    let encoded = encoded?;
    let encoded = encoded.cast::<PyString>()?.to_str()?;
    out.push_str(encoded);
    Ok(encoded != "null")
}
