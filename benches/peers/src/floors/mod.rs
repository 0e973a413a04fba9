//! What a bare client does with the same work: no ids that are secrets, no encryption, no
//! versions but one's own, no end hooks.

pub(crate) mod map;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod sqlite;
