//! Tenure: the whole library, and its stores alone.

pub(crate) mod library;
pub(crate) mod store;
