//! What a sequence is made of: small numbers, so that it can be drawn, shrunk and read.
//!
//! Ids, principals and instants come from small pools, so that steps meet one another;
//! what depends on the state (the right version, a good ticket, the instant at which a
//! session runs out) is named here and looked up when the step is taken.

use std::fmt;

use tenure_store::{Access, EndReason, Field, Hooks, PrincipalLimit, Resolve, Status};

/// How many ids there are.
pub(super) const IDS: u8 = 5;
/// How many namespaces.
pub(super) const SPACES: usize = 4;
/// How many nodes.
pub(super) const NODES: usize = 3;

/// One sequence.
#[derive(Clone)]
pub(super) struct Plan {
    /// How far each node's clock is off, in milliseconds.
    pub(super) skew: [i64; NODES],
    /// How each namespace is opened, or not, before the first step.
    pub(super) opened: [Option<Hooks>; SPACES],
    pub(super) steps: Vec<Step>,
}

/// One call of the store.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) tick: Tick,
    pub(super) node: usize,
    pub(super) space: usize,
    pub(super) act: Act,
}

/// What the clock does before a step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tick {
    /// It moves on, or back, by so many milliseconds.
    By(i64),
    /// It moves so many milliseconds beside the instant at which the session with this
    /// id runs out or falls due: the one that the step is about, if it is about one.
    Beside(u8, i64),
}

/// Which method, with what.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Open(Hooks),
    Create(Birth),
    Load(u8),
    Touch(u8),
    Update(u8, Expected, Draft),
    End(u8, EndReason, Afterwards),
    EndPrincipal(u8, Option<u8>, Afterwards),
    Reset,
    Claim { lease: u64, limit: u32 },
    Renew { tickets: Vec<Held>, lease: u64 },
    Settle(Vec<(Held, Settlement)>),
    Purge { limit: u32 },
    Inspect(u8),
    List(Lookup),
    Count,
    Namespaces,
    Resolve(u8, Resolve),
    Epoch(u8),
    Import(Birth, Past, Read),
    Describe,
}

/// A record; times in milliseconds before (`age`) or after now.
#[derive(Clone, Debug)]
pub(super) struct Birth {
    pub(super) id: u8,
    pub(super) age: i64,
    pub(super) idle: i64,
    pub(super) accesses: u64,
    pub(super) idle_timeout: Option<i64>,
    pub(super) lifetime: Option<i64>,
    pub(super) leaves_in: Option<i64>,
    pub(super) principal: Option<u8>,
    pub(super) rotation: (u32, Option<i64>),
    pub(super) payload: Vec<u8>,
}

/// Which version an update expects.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Right,
    Wrong,
}

/// A change.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) access: Access,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) principal: Field<u8>,
    pub(super) limit: Option<PrincipalLimit>,
    pub(super) idle_timeout: Field<i64>,
    pub(super) lifetime: Field<i64>,
    pub(super) rotation: Option<(u32, Option<i64>)>,
    pub(super) leaves_in: Field<i64>,
}

/// `After`, its lease in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Afterwards {
    Hold(u64),
    Queue,
    Discard,
}

/// A ticket: of an id's latest claim, or so many claims beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) id: u8,
    pub(super) beside: i32,
}

/// `Outcome`, its time in milliseconds from now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settlement {
    Done,
    Release,
    Retry { after: i64 },
    Dead,
}

/// A filter; times in milliseconds from the beginning.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) status: Option<Status>,
    pub(super) principal: Option<u8>,
    pub(super) created: Option<(i64, i64)>,
    pub(super) after: Option<(i64, u8)>,
    pub(super) limit: u32,
}

/// Which epoch an import names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// The present one.
    Now,
    /// The one that was read last for its id, if ever.
    Before,
}

/// What became of an imported entry, so many milliseconds ago.
#[derive(Clone, Copy, Debug)]
pub(super) enum Past {
    Live,
    Over(EndReason, i64),
    Waiting(EndReason, i64, Tries),
    Held(EndReason, i64, Tries),
    Dead(EndReason, i64, Tries),
}

/// A tombstone's counters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    pub(super) claims: u32,
    pub(super) failures: u32,
    pub(super) unsettled: u32,
}

impl fmt::Debug for Plan {
    /// One step a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "clocks off by {:?} ms", self.skew)?;
        writeln!(f, "namespaces opened with {:?}", self.opened)?;
        for (number, step) in self.steps.iter().enumerate() {
            let Step {
                tick,
                node,
                space,
                act,
            } = step;
            writeln!(
                f,
                "{number:>3}. {tick:?}, node {node}, namespace {space}: {act:?}"
            )?;
        }
        Ok(())
    }
}

impl Act {
    /// The session it is about, if it is about one.
    pub(super) fn id(&self) -> Option<u8> {
        match self {
            Act::Load(id)
            | Act::Touch(id)
            | Act::Inspect(id)
            | Act::Epoch(id)
            | Act::Update(id, ..)
            | Act::End(id, ..)
            | Act::Resolve(id, _) => Some(*id),
            _ => None,
        }
    }
}
