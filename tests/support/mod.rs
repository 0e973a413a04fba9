//! What the tests of more than one crate share.

pub(crate) mod canary;
pub(crate) mod checker;
pub(crate) mod hooks;
pub(crate) mod keys;
pub(crate) mod place;
pub(crate) mod proxy;
pub(crate) mod servers;
pub(crate) mod watched;
pub(crate) mod world;
