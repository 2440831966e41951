//! Native hydration for turbo-orm: what a PostgreSQL driver received becomes Django model
//! instances, dicts and tuples, without a row in between.
//!
//! Python describes a query's rows once, as a [`plan::Plan`]; one call then turns a whole result
//! (or a slice of it) into a list. An [`exchange::Exchange`] sends a statement and receives its results.
//! Nothing in here depends on SQL or settings.

mod column;
mod decode;
mod encode;
mod error;
mod exchange;
mod fit;
mod inline_values;
mod instance;
mod join;
mod json;
mod libpq;
mod model_state;
mod pgconn;
mod pipeline;
mod plan;
mod pytypes;
mod querysets;
mod reply;
mod rows;
mod source;
mod watcher;
mod wire;

use pyo3::prelude::*;

// Sound only under the GIL: no other thread can clear a result while it is read.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use crate::column::Column;
    #[pymodule_export]
    use crate::decode::Decoder;
    #[pymodule_export]
    use crate::encode::Encoder;
    #[pymodule_export]
    use crate::encode::Literals;
    #[pymodule_export]
    use crate::encode::Parameters;
    #[pymodule_export]
    use crate::error::HydrationError;
    #[pymodule_export]
    use crate::exchange::Exchange;
    #[pymodule_export]
    use crate::fit::Fit;
    #[pymodule_export]
    use crate::instance::Instance;
    #[pymodule_export]
    use crate::join::Join;
    #[pymodule_export]
    use crate::libpq::bind_libpq;
    #[pymodule_export]
    use crate::model_state::state_deleter;
    #[pymodule_export]
    use crate::pipeline::Pipeline;
    #[pymodule_export]
    use crate::plan::Plan;
    #[pymodule_export]
    use crate::querysets::RelatedQuerysets;
    #[pymodule_export]
    use crate::reply::Reply;
    #[pymodule_export]
    use crate::watcher::{on_class_modified, watch_class};
}
