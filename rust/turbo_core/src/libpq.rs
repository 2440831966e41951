//! The libpq that psycopg has loaded: its connections and results must be given to no other.

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use pyo3::prelude::*;

use crate::error::Error;

/// A function of a connection, or of a result, that returns a number.
type Number = unsafe extern "C" fn(*const c_void) -> c_int;
type OfColumn = unsafe extern "C" fn(*const c_void, c_int) -> c_int;
type OfValue = unsafe extern "C" fn(*const c_void, c_int, c_int) -> c_int;
type Value = unsafe extern "C" fn(*const c_void, c_int, c_int) -> *const c_char;
type Oid = unsafe extern "C" fn(*const c_void, c_int) -> u32;
type Text = unsafe extern "C" fn(*const c_void, *const c_char) -> *const c_char;
type Query = unsafe extern "C" fn(*const c_void, *const c_char) -> c_int;
type Prepared = unsafe extern "C" fn(
    *const c_void,
    *const c_char,
    c_int,
    *const *const c_char,
    *const c_int,
    *const c_int,
    c_int,
) -> c_int;

type Params = unsafe extern "C" fn(
    *const c_void,
    *const c_char,
    c_int,
    *const u32,
    *const *const c_char,
    *const c_int,
    *const c_int,
    c_int,
) -> c_int;
type Prepare =
    unsafe extern "C" fn(*const c_void, *const c_char, *const c_char, c_int, *const u32) -> c_int;

type Chunked = unsafe extern "C" fn(*const c_void, c_int) -> c_int;

/// The functions that a pipeline needs.
pub struct OfPipeline {
    pub send_query_params: Params,
    pub send_prepare: Prepare,
    pub send_describe_prepared: Query,
    /// `PQsendPipelineSync`, or else `PQpipelineSync`, which sends at once.
    pub sync: Number,
}

/// The functions, by their names without `PQ`, in small letters.
pub struct LibPq {
    pub ntuples: Number,
    pub nfields: Number,
    pub getvalue: Value,
    pub getlength: OfValue,
    pub getisnull: OfValue,
    pub fformat: OfColumn,
    pub ftype: Oid,
    pub parameter_status: Text,
    pub status: Number,
    pub consume_input: Number,
    pub is_busy: Number,
    pub flush: Number,
    pub send_query: Query,
    pub send_query_prepared: Prepared,
    /// None before PostgreSQL 14.
    pub of_pipeline: Option<OfPipeline>,
    /// None before PostgreSQL 17.
    pub set_chunked_rows_mode: Option<Chunked>,
}

static LIBPQ: OnceLock<LibPq> = OnceLock::new();

/// The functions, if they are bound.
pub fn libpq() -> Result<&'static LibPq, Error> {
    LIBPQ.get().ok_or(Error::LibpqNotBound)
}

/// Bind the core to the functions of the libpq that psycopg has loaded, by their names and addresses.
///
/// To be called once in a process; later calls change nothing.
#[pyfunction]
pub fn bind_libpq(functions: HashMap<String, usize>) -> PyResult<()> {
    let address = |name: &str| match functions.get(name) {
        Some(&address) if address != 0 => Ok(address),
        _ => Err(Error::LibpqNotBound),
    };
    // SAFETY: the caller (turbo_orm.driver.libpq) got each address by the function's name from the
    // shared library that psycopg itself is linked to, which stays loaded as long as the process;
    // the signatures are those of libpq-fe.h, unchanged since PostgreSQL 8. None is null.
    let libpq = unsafe {
        let number = |name| Ok(std::mem::transmute::<usize, Number>(address(name)?));
        let of_value = |name| Ok(std::mem::transmute::<usize, OfValue>(address(name)?));
        let of_pipeline = || -> Result<OfPipeline, Error> {
            Ok(OfPipeline {
                send_query_params: std::mem::transmute::<usize, Params>(address(
                    "PQsendQueryParams",
                )?),
                send_prepare: std::mem::transmute::<usize, Prepare>(address("PQsendPrepare")?),
                send_describe_prepared: std::mem::transmute::<usize, Query>(address(
                    "PQsendDescribePrepared",
                )?),
                sync: number("PQsendPipelineSync").or_else(|_| number("PQpipelineSync"))?,
            })
        };
        let bound = || -> Result<LibPq, Error> {
            Ok(LibPq {
                ntuples: number("PQntuples")?,
                nfields: number("PQnfields")?,
                getvalue: std::mem::transmute::<usize, Value>(address("PQgetvalue")?),
                getlength: of_value("PQgetlength")?,
                getisnull: of_value("PQgetisnull")?,
                fformat: std::mem::transmute::<usize, OfColumn>(address("PQfformat")?),
                ftype: std::mem::transmute::<usize, Oid>(address("PQftype")?),
                parameter_status: std::mem::transmute::<usize, Text>(address(
                    "PQparameterStatus",
                )?),
                status: number("PQstatus")?,
                consume_input: number("PQconsumeInput")?,
                is_busy: number("PQisBusy")?,
                flush: number("PQflush")?,
                send_query: std::mem::transmute::<usize, Query>(address("PQsendQuery")?),
                send_query_prepared: std::mem::transmute::<usize, Prepared>(address(
                    "PQsendQueryPrepared",
                )?),
                of_pipeline: of_pipeline().ok(),
                set_chunked_rows_mode: address("PQsetChunkedRowsMode")
                    .ok()
                    .map(|found| std::mem::transmute::<usize, Chunked>(found)),
            })
        };
        bound()?
    };
    // A second binding names the same library, so which one stays does not matter.
    let _ = LIBPQ.set(libpq);
    Ok(())
}
