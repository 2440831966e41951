//! `json` and `jsonb`, as `json.loads()` reads them.

use jiter::{FloatMode, PartialMode, PythonParse, StringCacheMode};
use pyo3::prelude::*;

const PARSER: PythonParse = PythonParse {
    allow_inf_nan: true,
    cache_mode: StringCacheMode::Keys,
    partial_mode: PartialMode::Off,
    catch_duplicate_keys: false,
    float_mode: FloatMode::Float,
};

/// What the parser refuses (deeper than 200 levels, lone surrogates) is left to `json.loads()`.
pub fn decode<'py>(py: Python<'py>, wire: &[u8]) -> Option<Bound<'py, PyAny>> {
    PARSER.python_parse(py, wire).ok()
}
