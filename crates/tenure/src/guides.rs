//! How to do it, page by page; every example runs as a test.

#[doc = include_str!("guides/sign_in.md")]
pub mod sign_in {}

#[doc = include_str!("guides/ends_and_hooks.md")]
pub mod ends_and_hooks {}

#[doc = include_str!("guides/testing.md")]
pub mod testing {}

#[doc = include_str!("guides/durability.md")]
pub mod durability {}

#[doc = include_str!("guides/rotating_keys.md")]
pub mod rotating_keys {}

#[doc = include_str!("guides/observability.md")]
pub mod observability {}

#[doc = include_str!("guides/moving.md")]
pub mod moving {}
