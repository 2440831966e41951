//! `json` and `jsonb`: what `json.loads()` makes of them.

use jiter::{FloatMode, PartialMode, PythonParse, StringCacheMode};
use pyo3::prelude::*;

use super::{Decoded, Failure};

const PARSER: PythonParse = PythonParse {
    allow_inf_nan: true,
    cache_mode: StringCacheMode::Keys,
    partial_mode: PartialMode::Off,
    catch_duplicate_keys: false,
    float_mode: FloatMode::Float,
};

/// What the parser refuses (deeper than 200 levels, lone surrogates) is left to `json.loads()`.
pub fn value<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    PARSER.python_parse(py, wire).map_err(|_| Failure::Unknown)
}

/// `jsonb` in binary format: the same behind a version number.
pub fn versioned<'py>(py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
    match wire {
        [1, json @ ..] => value(py, json),
        _ => Err(Failure::Malformed),
    }
}
