//! A statement on its way: sent to libpq, and its results received when the event loop says that the
//! socket can be read.
//!
//! psycopg opens and closes the connection, and makes results and errors. In between, one crossing
//! sends a statement, and one each time that the socket can be read takes what has arrived.

use std::ffi::{c_int, c_void};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::encode::Parameters;
use crate::libpq::libpq;
use crate::pgconn::{address, failure, notify, send_prepared, zero_terminated};
use crate::reply::Reply;

/// libpq's `CONNECTION_OK`.
const OK: c_int = 0;
/// libpq's states of a result that asks for data, or brings some: it is returned for ever.
const COPY: [c_int; 3] = [3, 4, 8];
/// libpq's `PGRES_TUPLES_CHUNK`.
const CHUNK: c_int = 12;

/// What is called with each chunk of rows, and the number of rows in one.
type Chunks = Option<(Py<PyAny>, c_int)>;

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
    /// What is called with each chunk of rows.
    receive_chunk: Option<Py<PyAny>>,
    /// Whether the event loop calls `receive_more()` in its next turn.
    is_scheduled: bool,
}

/// What has arrived.
enum Arrived {
    Part,
    /// A chunk of rows, and there may be another.
    Chunk,
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
    #[pyo3(signature = (query, event_loop, chunks=None))]
    fn send(
        &mut self,
        query: &Bound<'_, PyBytes>,
        event_loop: Py<PyAny>,
        chunks: Chunks,
    ) -> PyResult<Option<Py<Reply>>> {
        let py = query.py();
        let connection = address(self.pgconn.bind(py))?;
        let query = zero_terminated(query)?;
        // SAFETY: psycopg says that its connection lives at this address, and it does while the
        // GIL is held. The text ends with a zero byte.
        let is_sent = unsafe { (libpq()?.send_query)(connection, query.as_ptr()) } == 1;
        self.sent(py, connection, is_sent, event_loop, chunks)
    }

    /// Send a prepared statement.
    #[pyo3(signature = (name, parameters, event_loop, chunks=None))]
    fn send_prepared(
        &mut self,
        name: &Bound<'_, PyBytes>,
        parameters: &Parameters,
        event_loop: Py<PyAny>,
        chunks: Chunks,
    ) -> PyResult<Option<Py<Reply>>> {
        let py = name.py();
        let (connection, is_sent) = send_prepared(self.pgconn.bind(py), name, parameters)?;
        self.sent(py, connection, is_sent, event_loop, chunks)
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
        if running.is_scheduled {
            return Ok(());
        }
        let results = running.results.clone_ref(py);
        let receive_chunk = running
            .receive_chunk
            .as_ref()
            .map(|call| call.clone_ref(py));
        let pgconn = this.pgconn.clone_ref(py);
        drop(this);
        let arrived = match take(pgconn.bind(py), results.bind(py), receive_chunk) {
            Ok(Arrived::Part) => return Ok(()),
            Ok(Arrived::Chunk) => return Self::schedule(slf),
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

    /// Do so after a chunk of rows, in the next turn of the event loop.
    fn receive_more(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut this = slf.borrow_mut();
        match &mut this.running {
            Some(running) if running.is_scheduled => running.is_scheduled = false,
            _ => return Ok(()),
        }
        drop(this);
        Self::receive(slf)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pgconn)?;
        visit.call(&self.reader)?;
        if let Some(running) = &self.running {
            visit.call(&running.reply)?;
            visit.call(&running.results)?;
            visit.call(&running.receive_chunk)?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.running = None;
    }
}

impl Exchange {
    /// Return the reply to a statement that is on its way. Without one the socket takes no more now.
    fn sent(
        &mut self,
        py: Python<'_>,
        connection: *const c_void,
        is_sent: bool,
        event_loop: Py<PyAny>,
        chunks: Chunks,
    ) -> PyResult<Option<Py<Reply>>> {
        let flushed = match is_sent {
            // SAFETY: as above.
            true => unsafe { (libpq()?.flush)(connection) },
            false => -1,
        };
        match flushed {
            0 => {
                let reply = Py::new(py, Reply::new(event_loop))?;
                if let (Some((_, rows)), Some(set)) = (&chunks, libpq()?.set_chunked_rows_mode) {
                    // SAFETY: as above. Where it is too late, the result arrives as a whole.
                    unsafe { set(connection, *rows) };
                }
                self.running = Some(Running {
                    reply: reply.clone_ref(py),
                    results: PyList::empty(py).unbind(),
                    receive_chunk: chunks.map(|(receive, _)| receive),
                    is_scheduled: false,
                });
                Ok(Some(reply))
            }
            1 => Ok(None),
            _ => {
                let step = if is_sent { "flushing" } else { "sending query" };
                Err(failure(self.pgconn.bind(py), step)?)
            }
        }
    }

    /// Have the event loop go on in its next turn: others have theirs between two chunks.
    fn schedule(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let mut this = slf.borrow_mut();
        let Some(running) = &mut this.running else {
            return Ok(());
        };
        running.is_scheduled = true;
        let event_loop = running.reply.bind(py).borrow().get_loop(py);
        drop(this);
        let receive_more = slf.getattr(intern!(py, "receive_more"))?;
        event_loop.call_method1(py, intern!(py, "call_soon"), (receive_more,))?;
        Ok(())
    }
}

/// Take the results that are complete, as psycopg makes them. What is called with a chunk of rows
/// is so with one of them.
fn take(
    pgconn: &Bound<'_, PyAny>,
    results: &Bound<'_, PyList>,
    receive_chunk: Option<Py<PyAny>>,
) -> PyResult<Arrived> {
    let py = results.py();
    let libpq = libpq()?;
    let connection = address(pgconn)?;
    // SAFETY: as above.
    if unsafe { (libpq.consume_input)(connection) } != 1 {
        return Ok(Arrived::Lost(true));
    }
    // SAFETY: as above. psycopg closes the connection in no call below.
    while unsafe { (libpq.is_busy)(connection) } == 0 {
        let result = pgconn.call_method0(intern!(py, "get_result"))?;
        if result.is_none() {
            return ended(pgconn);
        }
        let status: c_int = result.getattr(intern!(py, "status"))?.extract()?;
        if let (CHUNK, Some(receive)) = (status, &receive_chunk) {
            receive.call1(py, (result,))?;
            return Ok(Arrived::Chunk);
        }
        results.append(result)?;
        if COPY.contains(&status) {
            return ended(pgconn);
        }
    }
    Ok(Arrived::Part)
}

/// Leave notifications to psycopg, and see whether the server has closed the connection.
fn ended(pgconn: &Bound<'_, PyAny>) -> PyResult<Arrived> {
    notify(pgconn)?;
    let connection = address(pgconn)?;
    // SAFETY: as above.
    match unsafe { (libpq()?.status)(connection) } {
        OK => Ok(Arrived::All),
        _ => Ok(Arrived::Lost(false)),
    }
}
