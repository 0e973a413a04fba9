//! In the making.

mod clock;
mod error;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{BoxError, Error, Result};
