//! Without code: this package owns the workspace's `tests/` and `benches/`.
