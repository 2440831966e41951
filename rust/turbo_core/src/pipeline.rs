//! Statements of several tasks on one connection: in libpq's pipeline mode, each with a Sync of its
//! own, so that an error is that of its statement alone.

use std::collections::VecDeque;
use std::ffi::c_int;

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::encode::Parameters;
use crate::libpq::{OfPipeline, libpq};
use crate::pgconn::{address, failure, notify, send_prepared, zero_terminated};
use crate::reply::Reply;

/// libpq's `CONNECTION_OK`.
const OK: c_int = 0;
/// libpq's `PGRES_PIPELINE_SYNC`: the end of what a statement brings.
const SYNC: c_int = 10;
/// libpq's states of a result that asks for data, or brings some: it is returned for ever.
const COPY: [c_int; 3] = [3, 4, 8];

/// The statements that are on their way on a connection of psycopg's.
#[pyclass(module = "turbo_orm._core")]
pub struct Pipeline {
    pgconn: Py<PyAny>,
    /// A weak reference to what ends all where the connection is lost.
    owner: Py<PyAny>,
    /// Whether that is told when no statement is on its way any more.
    tells_end: bool,
    sent: VecDeque<Sent>,
    /// How many statements are complete.
    #[pyo3(get)]
    completed: u64,
}

struct Sent {
    statement: Py<PyAny>,
    reply: Py<Reply>,
    results: Py<PyList>,
}

#[pymethods]
impl Pipeline {
    #[new]
    #[pyo3(signature = (pgconn, owner, tells_end=false))]
    fn new(pgconn: Py<PyAny>, owner: Py<PyAny>, tells_end: bool) -> Self {
        Self {
            pgconn,
            owner,
            tells_end,
            sent: VecDeque::new(),
            completed: 0,
        }
    }

    /// How many statements are on their way.
    fn __len__(&self) -> usize {
        self.sent.len()
    }

    /// Queue a statement with literals for its values.
    fn send(
        &mut self,
        query: &Bound<'_, PyBytes>,
        statement: Py<PyAny>,
        event_loop: Py<PyAny>,
    ) -> PyResult<Py<Reply>> {
        let py = query.py();
        let query = zero_terminated(query)?;
        let sent = Sent::new(py, statement, event_loop)?;
        let connection = address(self.pgconn.bind(py))?;
        // SAFETY: psycopg says that its connection lives at this address, and it does while the
        // GIL is held. The text ends with a zero byte, and libpq copies it. There are no
        // parameters, and the results are text.
        let is_sent = unsafe {
            (of_pipeline()?.send_query_params)(
                connection,
                query.as_ptr(),
                0,
                std::ptr::null(),
                std::ptr::null(),
                std::ptr::null(),
                std::ptr::null(),
                0,
            )
        } == 1;
        self.sent(py, is_sent, sent)
    }

    /// Queue a prepared statement.
    fn send_prepared(
        &mut self,
        name: &Bound<'_, PyBytes>,
        parameters: &Parameters,
        statement: Py<PyAny>,
        event_loop: Py<PyAny>,
    ) -> PyResult<Py<Reply>> {
        let py = name.py();
        let sent = Sent::new(py, statement, event_loop)?;
        let (_, is_sent) = send_prepared(self.pgconn.bind(py), name, parameters)?;
        self.sent(py, is_sent, sent)
    }

    /// Queue the preparation of a statement, and its description.
    fn prepare(
        &mut self,
        name: &Bound<'_, PyBytes>,
        query: &Bound<'_, PyBytes>,
        parameters: &Parameters,
        statement: Py<PyAny>,
        event_loop: Py<PyAny>,
    ) -> PyResult<Py<Reply>> {
        let py = name.py();
        let (name, query) = (zero_terminated(name)?, zero_terminated(query)?);
        let types = parameters.oids(py);
        let sent = Sent::new(py, statement, event_loop)?;
        let connection = address(self.pgconn.bind(py))?;
        let functions = of_pipeline()?;
        // SAFETY: as above.
        let is_sent = unsafe {
            (functions.send_prepare)(
                connection,
                name.as_ptr(),
                query.as_ptr(),
                parameters.len(),
                types.as_ptr(),
            ) == 1
                && (functions.send_describe_prepared)(connection, name.as_ptr()) == 1
        };
        self.sent(py, is_sent, sent)
    }

    /// Send what is queued. Return whether the socket has taken all of it.
    ///
    /// libpq reads while the socket takes no more, and the event loop is not told of what it has
    /// read: that is received here.
    fn flush(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.borrow();
        let pgconn = this.pgconn.bind(py);
        let connection = address(pgconn)?;
        // SAFETY: as above.
        let is_all = match unsafe { (libpq()?.flush)(connection) } {
            0 => true,
            1 => false,
            _ => return Err(failure(pgconn, "flushing")?),
        };
        // SAFETY: as above.
        let has_arrived = !this.sent.is_empty() && unsafe { (libpq()?.is_busy)(connection) } == 0;
        drop(this);
        if has_arrived {
            Self::take_all(slf, false)?;
        }
        Ok(is_all)
    }

    /// The statements that are on their way, each with the reply to it: the server executes the
    /// first one.
    fn under_way(&self, py: Python<'_>) -> Vec<(Py<PyAny>, Py<Reply>)> {
        let both = |sent: &Sent| (sent.statement.clone_ref(py), sent.reply.clone_ref(py));
        self.sent.iter().map(both).collect()
    }

    /// Forget all statements, and return the replies to them.
    fn abandon(&mut self) -> Vec<Py<Reply>> {
        self.sent.drain(..).map(|sent| sent.reply).collect()
    }

    /// Receive what has arrived, and have the tasks go on: the callback of the event loop.
    fn receive(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.borrow();
        if !this.sent.is_empty() {
            drop(this);
            return Self::take_all(slf, true);
        }
        let owner = this.owner.clone_ref(slf.py());
        drop(this);
        let owner = owner.bind(slf.py()).call0()?;
        if !owner.is_none() {
            owner.call_method0(intern!(slf.py(), "receive_unasked"))?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pgconn)?;
        visit.call(&self.owner)?;
        for sent in &self.sent {
            visit.call(&sent.statement)?;
            visit.call(&sent.reply)?;
            visit.call(&sent.results)?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.sent.clear();
    }
}

impl Sent {
    fn new(py: Python<'_>, statement: Py<PyAny>, event_loop: Py<PyAny>) -> PyResult<Self> {
        Ok(Self {
            statement,
            reply: Py::new(py, Reply::new(event_loop))?,
            results: PyList::empty(py).unbind(),
        })
    }
}

impl Pipeline {
    /// Have the last message followed by a Sync, and return the reply to it.
    ///
    /// Where that fails, a part of it may be queued: no more can be sent on the connection then.
    fn sent(&mut self, py: Python<'_>, is_sent: bool, sent: Sent) -> PyResult<Py<Reply>> {
        let pgconn = self.pgconn.bind(py);
        let connection = address(pgconn)?;
        // SAFETY: as above.
        if !is_sent || unsafe { (of_pipeline()?.sync)(connection) } != 1 {
            return Err(failure(pgconn, "sending query")?);
        }
        let reply = sent.reply.clone_ref(py);
        self.sent.push_back(sent);
        Ok(reply)
    }

    /// Have the tasks go on whose results are complete, and the owner know if the connection is
    /// lost.
    fn take_all(slf: &Bound<'_, Self>, is_to_be_read: bool) -> PyResult<()> {
        let py = slf.py();
        let mut complete = Vec::new();
        let outcome = slf.borrow_mut().take(py, is_to_be_read, &mut complete);
        let lost = match outcome {
            Ok(None) => None,
            Ok(Some(is_broken)) => Some((py.None(), is_broken)),
            Err(error) => Some((error.into_value(py).into_any(), false)),
        };
        // No task that goes on may send anything on a connection that is lost.
        let mut raised = Ok(());
        let is_lost = lost.is_some();
        if let Some(lost) = lost {
            let owner = slf.borrow().owner.clone_ref(py).call0(py)?;
            if !owner.is_none(py) {
                raised = owner
                    .call_method1(py, intern!(py, "lose"), lost)
                    .map(|_| ());
            }
        }
        // A task may raise what ends the loop. The others go on when that runs again.
        for sent in complete {
            let reply = sent.reply.into_bound(py);
            raised = raised.and(Reply::set_result(&reply, sent.results.into_any()));
        }
        let this = slf.borrow();
        if this.tells_end && this.sent.is_empty() && !is_lost {
            let owner = this.owner.clone_ref(py);
            drop(this);
            let owner = owner.bind(py).call0()?;
            if !owner.is_none() {
                owner.call_method0(intern!(py, "end"))?;
            }
        }
        raised
    }

    /// Take the statements whose results are complete. Return `None` if the connection is well,
    /// and otherwise whether it has failed while it was read.
    fn take(
        &mut self,
        py: Python<'_>,
        is_to_be_read: bool,
        complete: &mut Vec<Sent>,
    ) -> PyResult<Option<bool>> {
        let libpq = libpq()?;
        let pgconn = self.pgconn.bind(py).clone();
        let connection = address(&pgconn)?;
        // SAFETY: as above.
        if is_to_be_read && unsafe { (libpq.consume_input)(connection) } != 1 {
            return Ok(Some(true));
        }
        let mut was_end = false;
        // SAFETY: as above. psycopg closes the connection in no call below.
        while !self.sent.is_empty() && unsafe { (libpq.is_busy)(connection) } == 0 {
            let result = pgconn.call_method0(intern!(py, "get_result"))?;
            if result.is_none() {
                // The end of a message's results. After a failure there is nothing else.
                // SAFETY: as above.
                if unsafe { (libpq.status)(connection) } != OK {
                    return Ok(Some(false));
                }
                if was_end {
                    return Err(PyRuntimeError::new_err("libpq waits for no result"));
                }
                was_end = true;
                continue;
            }
            was_end = false;
            let status: c_int = result.getattr(intern!(py, "status"))?.extract()?;
            if status == SYNC {
                complete.extend(self.sent.pop_front());
                self.completed = self.completed.wrapping_add(1);
            } else if COPY.contains(&status) {
                return Err(PyRuntimeError::new_err("COPY in a pipeline"));
            } else if let Some(first) = self.sent.front() {
                first.results.bind(py).append(result)?;
            }
        }
        notify(&pgconn)?;
        // SAFETY: as above.
        match unsafe { (libpq.status)(connection) } {
            OK => Ok(None),
            _ => Ok(Some(false)),
        }
    }
}

/// libpq's functions for pipelines.
fn of_pipeline() -> PyResult<&'static OfPipeline> {
    let functions = libpq()?.of_pipeline.as_ref();
    functions.ok_or_else(|| PyRuntimeError::new_err("libpq has no pipelines"))
}
