//! Ports on which nobody listens.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the system gives to outgoing connections: so that a server that was
/// killed finds its port free when it comes back.
const FIRST: u32 = 20_000;
const HOW_MANY: u32 = 12_000;

/// A free one, and never the same twice in one process.
///
/// # Panics
/// If none is left.
pub(crate) fn free() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Processes that run side by side begin at different places.
    let begin = std::process::id().wrapping_mul(211);
    (0..HOW_MANY)
        .map(|_| TAKEN.fetch_add(1, Ordering::Relaxed).wrapping_add(begin))
        .filter_map(|n| u16::try_from(FIRST + n % HOW_MANY).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one of 12,000 ports is free")
}
