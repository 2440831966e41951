//! What a task awaits while a statement runs: a future whose task goes on in the very call that
//! brings the results.
//!
//! asyncio's own future has the loop call its task in its next turn, which takes another look at all
//! sockets. This one follows the protocol of futures that tasks know (`_asyncio_future_blocking`,
//! `add_done_callback()`, `cancel()`, `result()`).

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A future for the results of a statement.
#[pyclass(module = "turbo_orm._core")]
pub struct Reply {
    event_loop: Py<PyAny>,
    state: State,
    /// Of the task that waits, each with its context.
    callbacks: Vec<(Py<PyAny>, Option<Py<PyAny>>)>,
    /// Set where it is yielded to a task, and reset by the task.
    #[pyo3(get, set, name = "_asyncio_future_blocking")]
    is_blocking: bool,
}

enum State {
    Pending,
    Results(Py<PyAny>),
    Failed(PyErr),
    Cancelled(Option<Py<PyAny>>),
}

#[pymethods]
impl Reply {
    #[new]
    pub fn new(event_loop: Py<PyAny>) -> Self {
        Self {
            event_loop,
            state: State::Pending,
            callbacks: Vec::new(),
            is_blocking: false,
        }
    }

    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let mut this = slf.borrow_mut();
        if let State::Pending = this.state {
            this.is_blocking = true;
            drop(this);
            return Ok(slf);
        }
        let results = this.result(slf.py())?;
        Err(PyStopIteration::new_err((results,)))
    }

    /// Return the results, or raise what has come in their place.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.state {
            State::Results(results) => Ok(results.clone_ref(py)),
            State::Failed(error) => Err(error.clone_ref(py)),
            State::Cancelled(message) => {
                let cancelled = py
                    .import(intern!(py, "asyncio"))?
                    .getattr(intern!(py, "CancelledError"))?;
                let error = match message {
                    Some(message) => cancelled.call1((message,))?,
                    None => cancelled.call0()?,
                };
                Err(PyErr::from_value(error))
            }
            State::Pending => Err(PyRuntimeError::new_err("The results have not arrived.")),
        }
    }

    pub fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    fn done(&self) -> bool {
        !matches!(self.state, State::Pending)
    }

    fn cancelled(&self) -> bool {
        matches!(self.state, State::Cancelled(_))
    }

    #[pyo3(signature = (callback, *, context=None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let mut this = slf.borrow_mut();
        this.callbacks.push((callback, context));
        if this.done() {
            this.call_soon(slf)?;
        }
        Ok(())
    }

    fn remove_done_callback(&mut self, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let before = self.callbacks.len();
        let mut kept = Vec::new();
        for (each, context) in self.callbacks.drain(..) {
            if !each.bind(callback.py()).eq(callback)? {
                kept.push((each, context));
            }
        }
        self.callbacks = kept;
        Ok(before.saturating_sub(self.callbacks.len()))
    }

    /// Have the task go on with a `CancelledError`, in the loop's next turn.
    #[pyo3(signature = (msg=None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let mut this = slf.borrow_mut();
        if this.done() {
            return Ok(false);
        }
        this.state = State::Cancelled(msg);
        this.call_soon(slf)?;
        Ok(true)
    }

    /// Have the task go on with results, now. To be called where no task runs.
    pub fn set_result(slf: &Bound<'_, Self>, results: Py<PyAny>) -> PyResult<()> {
        let py = slf.py();
        let mut this = slf.borrow_mut();
        if this.done() {
            return Ok(());
        }
        this.state = State::Results(results);
        let callbacks = std::mem::take(&mut this.callbacks);
        drop(this);
        for (callback, context) in callbacks {
            match context {
                Some(context) => context.call_method1(py, intern!(py, "run"), (callback, slf))?,
                None => callback.call1(py, (slf,))?,
            };
        }
        Ok(())
    }

    /// Have the task go on with an exception, in the loop's next turn.
    pub fn set_exception(slf: &Bound<'_, Self>, error: Bound<'_, PyAny>) -> PyResult<()> {
        let mut this = slf.borrow_mut();
        if this.done() {
            return Ok(());
        }
        this.state = State::Failed(PyErr::from_value(error));
        this.call_soon(slf)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        for (callback, context) in &self.callbacks {
            visit.call(callback)?;
            visit.call(context)?;
        }
        match &self.state {
            State::Results(value) | State::Cancelled(Some(value)) => visit.call(value),
            _ => Ok(()),
        }
    }

    fn __clear__(&mut self) {
        self.callbacks.clear();
    }
}

impl Reply {
    fn call_soon(&mut self, slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let event_loop = self.event_loop.bind(py);
        for (callback, context) in std::mem::take(&mut self.callbacks) {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "context"), context)?;
            event_loop.call_method(intern!(py, "call_soon"), (callback, slf), Some(&keywords))?;
        }
        Ok(())
    }
}
