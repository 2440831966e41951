//! A statement on its way: sent to libpq, and its results received when the event loop says that the
//! socket can be read.
//!
//! psycopg opens and closes the connection, and makes results and errors. In between, one crossing
//! sends a statement, and one each time that the socket can be read takes what has arrived.

use std::ffi::{CString, c_int, c_void};

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::encode::Parameters;
use crate::libpq::libpq;
use crate::reply::Reply;

/// libpq's `CONNECTION_OK`.
const OK: c_int = 0;
/// libpq's states of a result that asks for data, or brings some: it is returned for ever.
const COPY: [c_int; 3] = [3, 4, 8];

/// The statement that runs on a connection of psycopg's.
#[pyclass(module = "turbo_orm._core")]
pub struct Exchange {
    pgconn: Py<PyAny>,
    /// A weak reference to what goes on where no statement runs, or the connection is lost.
    reader: Py<PyAny>,
    running: Option<Running>,
}

struct Running {
    reply: Py<Reply>,
    results: Py<PyList>,
}

/// What has arrived.
enum Arrived {
    Part,
    All,
    /// The connection has failed; `true` if it did while it was read.
    Lost(bool),
}

#[pymethods]
impl Exchange {
    #[new]
    fn new(pgconn: Py<PyAny>, reader: Py<PyAny>) -> Self {
        Self {
            pgconn,
            reader,
            running: None,
        }
    }

    /// Send a statement by the simple protocol.
    fn send(
        &mut self,
        query: &Bound<'_, PyBytes>,
        event_loop: Py<PyAny>,
    ) -> PyResult<Option<Py<Reply>>> {
        let py = query.py();
        let connection = self.connection(py)?;
        let query = zero_terminated(query)?;
        // SAFETY: psycopg says that its connection lives at this address, and it does while the
        // GIL is held. The text ends with a zero byte.
        let is_sent = unsafe { (libpq()?.send_query)(connection, query.as_ptr()) } == 1;
        self.sent(py, connection, is_sent, event_loop)
    }

    /// Send a prepared statement.
    fn send_prepared(
        &mut self,
        name: &Bound<'_, PyBytes>,
        parameters: &Parameters,
        event_loop: Py<PyAny>,
    ) -> PyResult<Option<Py<Reply>>> {
        let py = name.py();
        let connection = self.connection(py)?;
        let name = zero_terminated(name)?;
        let texts = parameters.pointers();
        // SAFETY: as above. There are as many pointers as parameters, each null or to a text that
        // ends with a zero byte and lives as long as the parameters; libpq copies them. Without
        // types, lengths and formats, all are text, and so are the results.
        let is_sent = unsafe {
            (libpq()?.send_query_prepared)(
                connection,
                name.as_ptr(),
                parameters.len(),
                texts.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                0,
            )
        } == 1;
        self.sent(py, connection, is_sent, event_loop)
    }

    /// Forget the statement that runs, and return the reply to it. The caller receives the rest of
    /// its results.
    fn abandon(&mut self) -> Option<Py<Reply>> {
        self.running.take().map(|running| running.reply)
    }

    /// Receive what has arrived: the callback of the event loop.
    fn receive(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.borrow();
        let Some(running) = &this.running else {
            let reader = this.reader.clone_ref(py).call0(py)?;
            drop(this);
            if !reader.is_none(py) {
                reader.call_method0(py, intern!(py, "go_on"))?;
            }
            return Ok(());
        };
        let results = running.results.clone_ref(py);
        let arrived = this.take(results.bind(py));
        drop(this);
        let arrived = match arrived {
            Ok(Arrived::Part) => return Ok(()),
            arrived => arrived,
        };
        let mut this = slf.borrow_mut();
        let Some(running) = this.running.take() else {
            return Ok(());
        };
        let reply = running.reply.into_bound(py);
        let reader = this.reader.clone_ref(py);
        drop(this);
        match arrived {
            Ok(Arrived::Lost(is_broken)) => {
                let reader = reader.call0(py)?;
                if !reader.is_none(py) {
                    reader.call_method1(py, intern!(py, "lose"), (reply, results, is_broken))?;
                }
                Ok(())
            }
            Ok(_) => Reply::set_result(&reply, results.into_any()),
            Err(error) => {
                Reply::set_exception(&reply, error.into_value(py).into_bound(py).into_any())
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pgconn)?;
        visit.call(&self.reader)?;
        if let Some(running) = &self.running {
            visit.call(&running.reply)?;
            visit.call(&running.results)?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.running = None;
    }
}

impl Exchange {
    /// Where psycopg says that its connection is. Raises psycopg's exception for one that is closed.
    fn connection(&self, py: Python<'_>) -> PyResult<*const c_void> {
        let pgconn = self.pgconn.bind(py);
        let address: Option<usize> = pgconn.getattr(intern!(py, "pgconn_ptr"))?.extract()?;
        match address {
            Some(address) if address != 0 => Ok(address as *const c_void),
            _ => {
                pgconn.call_method0(intern!(py, "flush"))?;
                Err(PyValueError::new_err("the connection is closed"))
            }
        }
    }

    /// Return the reply to a statement that is on its way. Without one the socket takes no more now.
    fn sent(
        &mut self,
        py: Python<'_>,
        connection: *const c_void,
        is_sent: bool,
        event_loop: Py<PyAny>,
    ) -> PyResult<Option<Py<Reply>>> {
        let flushed = match is_sent {
            // SAFETY: as above.
            true => unsafe { (libpq()?.flush)(connection) },
            false => -1,
        };
        match flushed {
            0 => {
                let reply = Py::new(py, Reply::new(event_loop))?;
                self.running = Some(Running {
                    reply: reply.clone_ref(py),
                    results: PyList::empty(py).unbind(),
                });
                Ok(Some(reply))
            }
            1 => Ok(None),
            _ => {
                let step = if is_sent { "flushing" } else { "sending query" };
                let pgconn = self.pgconn.bind(py);
                let message: String = pgconn
                    .call_method0(intern!(py, "get_error_message"))?
                    .extract()?;
                let error = py
                    .import(intern!(py, "psycopg"))?
                    .getattr(intern!(py, "OperationalError"))?;
                let error = error.call1((format!("{step} failed: {message}"),))?;
                Err(PyErr::from_value(error))
            }
        }
    }

    /// Take the results that are complete, as psycopg makes them.
    fn take(&self, results: &Bound<'_, PyList>) -> PyResult<Arrived> {
        let py = results.py();
        let libpq = libpq()?;
        let pgconn = self.pgconn.bind(py);
        let connection = self.connection(py)?;
        // SAFETY: as above.
        if unsafe { (libpq.consume_input)(connection) } != 1 {
            return Ok(Arrived::Lost(true));
        }
        // SAFETY: as above. psycopg closes the connection in no call below.
        while unsafe { (libpq.is_busy)(connection) } == 0 {
            let result = pgconn.call_method0(intern!(py, "get_result"))?;
            if result.is_none() {
                return self.ended(py);
            }
            let status: c_int = result.getattr(intern!(py, "status"))?.extract()?;
            results.append(result)?;
            if COPY.contains(&status) {
                return self.ended(py);
            }
        }
        Ok(Arrived::Part)
    }

    /// Leave notifications to psycopg, and see whether the server has closed the connection.
    fn ended(&self, py: Python<'_>) -> PyResult<Arrived> {
        let pgconn = self.pgconn.bind(py);
        loop {
            let notification = pgconn.call_method0(intern!(py, "notifies"))?;
            if notification.is_none() {
                break;
            }
            let handler = pgconn.getattr(intern!(py, "notify_handler"))?;
            if !handler.is_none() {
                handler.call1((notification,))?;
            }
        }
        let connection = self.connection(py)?;
        // SAFETY: as above.
        match unsafe { (libpq()?.status)(connection) } {
            OK => Ok(Arrived::All),
            _ => Ok(Arrived::Lost(false)),
        }
    }
}

/// The bytes of a text as libpq takes it.
fn zero_terminated(text: &Bound<'_, PyBytes>) -> PyResult<CString> {
    CString::new(text.as_bytes()).map_err(|_| PyValueError::new_err("embedded null byte"))
}
