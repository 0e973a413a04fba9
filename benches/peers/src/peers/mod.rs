//! The session stores that a user could take instead.

pub(crate) mod actix;
pub(crate) mod axum;
pub(crate) mod tower;
