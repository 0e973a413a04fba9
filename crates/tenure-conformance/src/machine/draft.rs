//! Makes a plan's small numbers into what a store takes.

use std::time::Duration;

use tenure_store::{
    After, Change, Cursor, End, EndReason, Entry, Failure, Field, Filter, Namespace, Outcome,
    Payload, Phase, Principal, Record, Rotation, SessionId, State, Ticket, Timestamp, Tombstone,
    Version,
};

use super::plan::{Afterwards, Birth, Draft, Held, Lookup, Past, Settlement, Tries};
use crate::model::Model;
use crate::props;

/// The id with this number.
pub(super) fn pick(id: u8) -> SessionId {
    props::id(u64::from(id))
}

/// One of three principals that differ in little.
pub(super) fn whose(number: u8) -> Principal {
    props::principal(["alice", "Alice", "a%_e:*"][usize::from(number) % 3])
}

/// What is written now, under the version that was drawn for it.
pub(super) struct Drawing {
    pub(super) now: Timestamp,
    pub(super) version: Version,
}

impl Drawing {
    pub(super) fn record(&self, birth: &Birth) -> Record {
        let created = self.after(-birth.age);
        Record {
            id: pick(birth.id),
            created,
            last_access: moved(created, birth.idle),
            accesses: birth.accesses,
            idle_timeout: birth.idle_timeout.and_then(props::timeout),
            lifetime: birth.lifetime.and_then(props::timeout),
            leaves_at: birth.leaves_in.map(|millis| self.after(millis)),
            principal: birth.principal.map(whose),
            rotation: self.rotation(birth.rotation),
            version: self.version,
            payload: Payload::new(birth.payload.clone()),
        }
    }

    pub(super) fn change(&self, draft: &Draft) -> Change {
        let timeout = |field: &Field<i64>| changed(field, |millis| props::timeout(*millis));
        Change {
            version: self.version,
            access: draft.access,
            payload: draft.payload.clone().map(Payload::new),
            principal: changed(&draft.principal, |number| Some(whose(*number))),
            principal_limit: draft.limit,
            idle_timeout: timeout(&draft.idle_timeout),
            lifetime: timeout(&draft.lifetime),
            rotation: draft.rotation.map(|rotation| self.rotation(rotation)),
            leaves_at: changed(&draft.leaves_in, |millis| Some(self.after(*millis))),
        }
    }

    pub(super) fn entry(&self, birth: &Birth, past: Past) -> Entry {
        let state = match past {
            Past::Live => State::Live,
            Past::Over(reason, ago) => State::Over(self.end(reason, ago)),
            Past::Waiting(reason, ago, tries) => {
                let from = self.after(30 - ago);
                self.tombstone(reason, ago, tries, Phase::Waiting { from })
            }
            Past::Held(reason, ago, tries) => {
                let until = self.after(60 - ago);
                self.tombstone(reason, ago, tries, Phase::Held { until })
            }
            Past::Dead(reason, ago, tries) => self.tombstone(reason, ago, tries, Phase::Dead),
        };
        Entry {
            record: self.record(birth),
            state,
        }
    }

    fn tombstone(&self, reason: EndReason, ago: i64, tries: Tries, phase: Phase) -> State {
        let said = format!("failed {} times", tries.failures);
        State::Ended(Tombstone {
            end: self.end(reason, ago),
            phase,
            claims: tries.claims,
            failures: tries.failures,
            unsettled: tries.unsettled,
            last_failure: (tries.failures > 0).then(|| Failure::new(&said)),
        })
    }

    fn end(&self, reason: EndReason, ago: i64) -> End {
        let at = self.after(-ago);
        End { reason, at }
    }

    fn rotation(&self, (number, grace): (u32, Option<i64>)) -> Rotation {
        let previous_until = grace.map(|millis| self.after(millis));
        Rotation::new(number, previous_until).expect("plans number rotations from 0 to 3")
    }

    fn after(&self, millis: i64) -> Timestamp {
        moved(self.now, millis)
    }
}

impl Afterwards {
    pub(super) fn after(self) -> After {
        match self {
            Afterwards::Hold(lease) => After::Hold(Duration::from_millis(lease)),
            Afterwards::Queue => After::Queue,
            Afterwards::Discard => After::Discard,
        }
    }
}

impl Held {
    pub(super) fn ticket(self, model: &Model, ns: &Namespace) -> Ticket {
        let id = pick(self.id);
        let claim = model.claims(ns, id).saturating_add_signed(self.beside);
        Ticket { id, claim }
    }
}

impl Settlement {
    pub(super) fn outcome(self, now: Timestamp) -> Outcome {
        match self {
            Settlement::Done => Outcome::Done,
            Settlement::Release => Outcome::Release,
            Settlement::Retry { after } => Outcome::Retry {
                at: moved(now, after),
                why: Failure::new("to be tried again"),
            },
            Settlement::Dead => Outcome::Dead {
                why: Failure::new("tried too often"),
            },
        }
    }
}

impl Lookup {
    pub(super) fn filter(&self) -> Filter {
        let created = self
            .created
            .map(|(start, end)| props::at(start)..props::at(end));
        Filter {
            status: self.status,
            principal: self.principal.map(whose),
            created: created.unwrap_or(Timestamp::MIN..Timestamp::MAX),
            after: self.after.map(|(created, id)| Cursor {
                created: props::at(created),
                id: pick(id),
            }),
            limit: self.limit,
        }
    }
}

fn moved(from: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis_clamped(from.as_millis() + millis)
}

fn changed<T, U>(field: &Field<T>, value: impl Fn(&T) -> Option<U>) -> Field<U> {
    match field {
        Field::Keep => Field::Keep,
        Field::Clear => Field::Clear,
        Field::Set(inner) => Field::from_option(value(inner)),
    }
}
