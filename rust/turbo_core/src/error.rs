//! What can be wrong with a plan or a result, and the one place where it becomes an exception.

use std::fmt;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    turbo_orm._core,
    HydrationError,
    PyException,
    "A result and the plan made for it do not fit together, or a value is malformed."
);

/// How deep decoders and instances may be nested, since the stack is not endless.
const MAX_DEPTH: usize = 100;

/// The depth of what is made of something so deep.
pub fn deeper(depth: usize) -> Result<usize, Error> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(Error::TooDeep)
    }
}

/// A disagreement between plan, result and driver. Never carries a value of a row.
#[derive(Debug)]
pub enum Error {
    /// A plan names a decoder that does not exist.
    UnknownDecoder(String),
    /// There is no encoder of that name.
    UnknownEncoder(String),
    /// Decoders or instances are made of each other too often.
    TooDeep,
    /// A plan refers to a column that it does not have.
    NoSuchColumn { index: usize, columns: usize },
    /// A statement has another number of values than of places for them.
    PiecesAndValues { pieces: usize, found: usize },
    /// A plan gives its rows another number of names than of items.
    NamesAndItems { names: usize, items: usize },
    /// A result has fewer columns than the plan.
    TooFewColumns { expected: usize, found: usize },
    /// A result comes in another format than the one that the plan was made for.
    WrongFormat { is_binary: bool },
    /// A slice of rows that the result does not have.
    NoSuchRows {
        start: usize,
        stop: usize,
        rows: usize,
    },
    /// Rows that become instances have no JSON.
    InstancesAsJson,
    /// Rows that become anything but dicts have no names.
    NoNames,
    /// A plan has no such name.
    NoSuchName(String),
    /// `bind_libpq()` was never called, or was called with a null address.
    LibpqNotBound,
    /// The driver's result was cleared.
    ResultCleared,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDecoder(name) => write!(f, "there is no decoder {name:?}"),
            Self::UnknownEncoder(name) => write!(f, "there is no encoder {name:?}"),
            Self::TooDeep => write!(f, "more than {MAX_DEPTH} are nested in each other"),
            Self::NoSuchColumn { index, columns } => {
                write!(f, "the plan refers to column {index} and has {columns}")
            }
            Self::PiecesAndValues { pieces, found } => {
                write!(f, "there are {pieces} pieces of SQL around {found} values")
            }
            Self::NamesAndItems { names, items } => {
                write!(f, "the plan has {names} names for {items} items")
            }
            Self::TooFewColumns { expected, found } => {
                write!(
                    f,
                    "the plan expects {expected} columns and the result has {found}"
                )
            }
            Self::WrongFormat { is_binary } => {
                let (found, expected) = match is_binary {
                    true => ("binary", "text"),
                    false => ("text", "binary"),
                };
                write!(
                    f,
                    "the plan expects {expected} format and the result is {found}"
                )
            }
            Self::NoSuchRows { start, stop, rows } => {
                write!(
                    f,
                    "rows {start} to {stop} were asked for and the result has {rows}"
                )
            }
            Self::InstancesAsJson => write!(f, "instances cannot be written as JSON"),
            Self::NoNames => write!(f, "the rows of the plan are no dicts, and have no names"),
            Self::NoSuchName(name) => write!(f, "the plan has no name {name:?}"),
            Self::LibpqNotBound => write!(f, "libpq is not bound: call bind_libpq() first"),
            Self::ResultCleared => write!(f, "the driver's result is cleared"),
        }
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        HydrationError::new_err(error.to_string())
    }
}
