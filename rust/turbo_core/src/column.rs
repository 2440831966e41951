//! One column of a result: its decoder, the driver's loader, and Django's converters.

use std::cell::Cell;

use pyo3::exceptions::{PyArithmeticError, PyLookupError, PyUnicodeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::decode::{Decoded, Decoder, Failure};
use crate::error::{Error, HydrationError};
use crate::pytypes;
use crate::wire::Read;

/// How the values of one column of a result become Python values.
///
/// What the `decoder` declines is read by `load`, the driver's own loader, so the value or the
/// exception is the driver's. `converters` are Django's: each is called with (value, expression,
/// connection), and the next one gets what it returned. With `decoder_converts`, they are called
/// for values of `load` alone: what the decoder reads is as they would make it, and so is NULL.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Column {
    #[pyo3(get)]
    name: String,
    decoder: Py<Decoder>,
    load: Py<PyAny>,
    converters: Vec<(Py<PyAny>, Py<PyAny>)>,
    connection: Py<PyAny>,
    decoder_converts: bool,
}

#[pymethods]
impl Column {
    #[new]
    #[pyo3(signature = (
        name, decoder, load, *, converters=Vec::new(), connection=None, decoder_converts=false
    ))]
    fn new(
        py: Python<'_>,
        name: String,
        decoder: Py<Decoder>,
        load: Py<PyAny>,
        converters: Vec<(Py<PyAny>, Py<PyAny>)>,
        connection: Option<Py<PyAny>>,
        decoder_converts: bool,
    ) -> Self {
        Self {
            name,
            decoder,
            load,
            converters,
            connection: connection.unwrap_or_else(|| py.None()),
            decoder_converts,
        }
    }

    #[getter]
    fn decoder(&self, py: Python<'_>) -> Py<Decoder> {
        self.decoder.clone_ref(py)
    }

    /// Whether its values, but for unusual ones, are written as JSON natively.
    #[getter]
    fn writes_json(&self, py: Python<'_>) -> bool {
        !self.converts() && self.decoder.get().writes_json(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for (converter, expression) in &self.converters {
            visit.call(converter)?;
            visit.call(expression)?;
        }
        visit.call(&self.load)?;
        visit.call(&self.connection)
    }

    fn __repr__(&self) -> String {
        format!(
            "<Column {:?} decoder={:?}>",
            self.name,
            self.decoder.get().name()
        )
    }
}

impl Column {
    /// Whether its values come in binary format.
    pub fn is_binary(&self) -> bool {
        self.decoder.get().is_binary()
    }

    /// Read a value as it came over the wire, and say whether Python code has run for it.
    #[inline]
    pub fn read<'py>(
        &self,
        py: Python<'py>,
        wire: &[u8],
        python_ran: &Cell<bool>,
    ) -> Decoded<'py> {
        match self.decoder.get().decode(py, wire) {
            Err(Failure::Unknown) => {
                python_ran.set(true);
                self.convert(self.load(py, wire)?)
            }
            Ok(value) if self.converts() => {
                python_ran.set(true);
                self.convert(value)
            }
            decoded => decoded,
        }
    }

    /// Write a value as JSON, for which no converter is to be called.
    #[inline]
    pub fn write_json(&self, py: Python<'_>, wire: &[u8], out: &mut String) -> Read<()> {
        self.decoder.get().write_json(py, wire, out)
    }

    /// Convert a value that the driver has loaded.
    pub fn take<'py>(&self, value: Bound<'py, PyAny>) -> Decoded<'py> {
        if self.converts() {
            return self.convert(value);
        }
        match self.decoder.get().decode_loaded(&value) {
            Err(Failure::Unknown) if value.is_none() => Ok(value),
            Err(Failure::Unknown) => self.convert(value),
            decoded => decoded,
        }
    }

    /// The value of NULL.
    #[inline]
    pub fn null<'py>(&self, py: Python<'py>) -> Decoded<'py> {
        let none = py.None().into_bound(py);
        if self.converts() {
            self.convert(none)
        } else {
            Ok(none)
        }
    }

    /// Read a value by the driver's loader.
    #[cold]
    fn load<'py>(&self, py: Python<'py>, wire: &[u8]) -> Decoded<'py> {
        let loaded = self.load.bind(py).call1((PyBytes::new(py, wire),));
        loaded.map_err(|error| match self.is_answer(py, &error) {
            true => Failure::Raised(error),
            false => Failure::Refused(error),
        })
    }

    /// Whether an exception of the driver's loader is what it raises for a value that a server may
    /// send. That of a loader which no decoder replaces always is.
    fn is_answer(&self, py: Python<'_>, error: &PyErr) -> bool {
        let decoder = self.decoder.get();
        if decoder.is_loader() {
            true
        } else if decoder.holds_json() {
            // Any other ValueError is about what is JSON and too much for Python.
            pytypes::json_decode_error(py).is_ok_and(|class| !error.is_instance(py, class))
        } else {
            error.is_instance_of::<PyUnicodeError>(py)
                || !(error.is_instance_of::<PyValueError>(py)
                    || error.is_instance_of::<PyLookupError>(py)
                    || error.is_instance_of::<PyArithmeticError>(py))
        }
    }

    /// Whether converters are called for every value.
    #[inline]
    pub fn converts(&self) -> bool {
        !self.converters.is_empty() && !self.decoder_converts
    }

    /// Whether its values are not all the driver's loader's, nor a converter's.
    pub fn is_decoded(&self) -> bool {
        !self.decoder.get().is_loader() && self.converters.is_empty()
    }

    /// Run Django's converters. They see `None` too, as they do in Django.
    fn convert<'py>(&self, mut value: Bound<'py, PyAny>) -> Decoded<'py> {
        let py = value.py();
        for (converter, expression) in &self.converters {
            value = converter.bind(py).call1((
                value,
                expression.bind(py),
                self.connection.bind(py),
            ))?;
        }
        Ok(value)
    }

    /// Make an exception of a failure, with a note that names the column and the row, never the value.
    #[cold]
    pub fn error(
        &self,
        py: Python<'_>,
        failure: Failure,
        label: &str,
        index: usize,
        row: usize,
    ) -> PyErr {
        let place = format!("{label}, field {:?}, column {index}, row {row}", self.name);
        let malformed = || {
            let decoder = self.decoder.get().name();
            HydrationError::new_err(format!("{place}: the value is malformed for {decoder:?}"))
        };
        match failure {
            Failure::Raised(error) => {
                // An exception that takes no notes is raised without one.
                let note = format!("turbo-orm: {place}");
                let _ = error.value(py).call_method1("add_note", (note,));
                error
            }
            Failure::Refused(cause) => {
                let error = malformed();
                error.set_cause(py, Some(cause));
                error
            }
            Failure::Unknown | Failure::Malformed => malformed(),
        }
    }
}

/// Refuse a reference to a column that the plan does not have.
pub fn check_index(index: usize, columns: usize) -> Result<(), Error> {
    if index < columns {
        Ok(())
    } else {
        Err(Error::NoSuchColumn { index, columns })
    }
}
