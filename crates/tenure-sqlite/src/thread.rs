//! The threads of a store.

use std::thread::{Builder, JoinHandle};

use tenure_store::{Error, ErrorKind, Result};

/// Starts one.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = Builder::new().name(name.to_owned());
    thread.spawn(run).map_err(|error| {
        let message = "no thread for the session database: raise the system's limit";
        Error::new(ErrorKind::Other, message).with_source(error)
    })
}
