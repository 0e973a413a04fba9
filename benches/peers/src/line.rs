//! What is written down while measuring, and read by the report.

use serde::{Deserialize, Serialize};

use crate::window::{Sample, Work};

/// One observation, a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Line {
    /// What was measured on, and with which versions.
    About { what: String, says: String },
    /// One window of one subject.
    Window {
        backend: String,
        subject: String,
        work: Work,
        tasks: usize,
        round: usize,
        #[serde(flatten)]
        sample: Sample,
    },
    /// How often an operation goes to the server and back.
    Trips {
        backend: String,
        subject: String,
        work: Work,
        trips: f64,
    },
    /// Something done to many sessions at once.
    Bulk {
        backend: String,
        what: String,
        sessions: usize,
        seconds: f64,
    },
    /// One operation alone, among so many sessions.
    Growth {
        backend: String,
        work: String,
        sessions: usize,
        p50_us: f64,
    },
    /// What a subject's session weighs in bytes.
    Size {
        backend: String,
        subject: String,
        bytes: f64,
    },
    /// What a table and its surroundings weigh in bytes.
    Weight { what: String, bytes: i64 },
}
