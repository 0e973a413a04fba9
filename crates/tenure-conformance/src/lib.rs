#![doc = include_str!("../README.md")]

mod case;
pub mod cases;
mod fixture;
mod list;
pub mod machine;
mod model;
pub mod props;
mod stage;
pub mod story;
pub mod traffic;

pub use case::{Broken, Case, Running, Verdict};
pub use fixture::Fixture;
pub use list::CASES;
pub use stage::Stage;

/// The case with this id.
///
/// # Panics
/// If there is none.
pub fn case(id: &str) -> &'static Case {
    CASES
        .iter()
        .find(|case| case.id == id)
        .expect("the id is on the list")
}
