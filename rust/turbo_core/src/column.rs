//! One column of a result: how its values are read, and what is still done to them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::decode::Decoder;
use crate::error::Error;

/// How the values of one column of a result become Python values.
///
/// `decoder` names the native reader, or is "loader" when the driver's own is to be used. What a
/// native reader does not recognise goes to `load` too, so the driver's answer or exception
/// stands. `converters` are Django's: each is called with (value, expression, connection), and
/// the next one gets what it returned.
#[pyclass(frozen, module = "turbo_orm._core")]
pub struct Column {
    #[pyo3(get)]
    name: String,
    pub decoder: Decoder,
    load: Py<PyAny>,
    converters: Vec<(Py<PyAny>, Py<PyAny>)>,
    connection: Py<PyAny>,
}

#[pymethods]
impl Column {
    #[new]
    #[pyo3(signature = (name, decoder, load, *, converters=Vec::new(), connection=None, tzinfo=None))]
    fn new(
        py: Python<'_>,
        name: String,
        decoder: &str,
        load: Py<PyAny>,
        converters: Vec<(Py<PyAny>, Py<PyAny>)>,
        connection: Option<Py<PyAny>>,
        tzinfo: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let decoder = Decoder::from_name(decoder, tzinfo, &name)?;
        let connection = connection.unwrap_or_else(|| py.None());
        Ok(Self {
            name,
            decoder,
            load,
            converters,
            connection,
        })
    }

    /// The name of the native reader, or "loader".
    #[getter]
    fn decoder(&self) -> &'static str {
        self.decoder.name()
    }

    fn __repr__(&self) -> String {
        format!("<Column {:?} decoder={:?}>", self.name, self.decoder.name())
    }
}

impl Column {
    /// Read a value that came over the wire in text format.
    pub fn read<'py>(&self, py: Python<'py>, wire: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match self.decoder.decode(py, wire)? {
            Some(value) => self.convert(value),
            None => {
                let value = self.load.bind(py).call1((PyBytes::new(py, wire),))?;
                self.convert(value)
            }
        }
    }

    /// Take a value that the driver has loaded already.
    pub fn take<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.decoder.decode_loaded(&value)? {
            Some(decoded) => self.convert(decoded),
            None if self.decoder.reads_loaded() && !value.is_none() => {
                let value = self.load.bind(value.py()).call1((value,))?;
                self.convert(value)
            }
            None => self.convert(value),
        }
    }

    /// Whether anything is done to a value after it is read.
    pub fn converts(&self) -> bool {
        !self.converters.is_empty()
    }

    /// Run Django's converters. They see `None` too, as they do in Django.
    pub fn convert<'py>(&self, mut value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
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

    /// Say in an exception's notes which value it was about, without changing the exception.
    pub fn annotate(
        &self,
        py: Python<'_>,
        error: PyErr,
        label: &str,
        index: usize,
        row: usize,
    ) -> PyErr {
        let note = format!(
            "turbo-orm: {label}, field {:?}, column {index}, row {row}",
            self.name
        );
        // An exception that takes no notes is raised without one.
        let _ = error.value(py).call_method1("add_note", (note,));
        error
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
