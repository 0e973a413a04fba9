//! What a request has changed and not yet committed: laid over the record that was
//! loaded, and laid again over a newer one if somebody else was faster.

use bytes::Bytes;
use tenure_store::{Field, Principal, Record, Timeout, Timestamp};

use crate::attributes::{Attributes, ByName};

/// A request's uncommitted changes.
#[derive(Clone, Default)]
pub(crate) struct Delta {
    cleared: bool,
    /// `None` removes.
    values: ByName<Option<Bytes>>,
    pub(crate) principal: Field<Principal>,
    pub(crate) idle_timeout: Field<Timeout>,
    pub(crate) leaves_at: Field<Timestamp>,
    pub(crate) rotate: Option<Rotate>,
}

/// What becomes of the old token when a new one is issued.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotate {
    /// It is dead at once.
    AtOnce,
    /// It reads for the policy's grace time.
    WithGrace,
}

impl Delta {
    pub(crate) fn is_empty(&self) -> bool {
        !self.changes_attributes()
            && self.rotate.is_none()
            && self.principal == Field::Keep
            && self.idle_timeout == Field::Keep
            && self.leaves_at == Field::Keep
    }

    pub(crate) fn changes_attributes(&self) -> bool {
        self.cleared || !self.values.is_empty()
    }

    /// Whether the browser has gone away: by saying so it does not use the session.
    pub(crate) fn leaves(&self) -> bool {
        matches!(self.leaves_at, Field::Set(_))
    }

    pub(crate) fn set(&mut self, name: &str, value: Bytes) {
        self.values.set(name, Some(value));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.values.set(name, None);
    }

    pub(crate) fn clear(&mut self) {
        self.cleared = true;
        self.values.clear();
    }

    /// These changes, and then the later ones.
    pub(crate) fn then(mut self, later: Delta) -> Delta {
        if later.cleared {
            self.clear();
        }
        for (name, value) in later.values.iter() {
            self.values.set(name, value.clone());
        }
        replace(&mut self.principal, later.principal);
        replace(&mut self.idle_timeout, later.idle_timeout);
        replace(&mut self.leaves_at, later.leaves_at);
        // A rotation that must kill the old token is never softened by one that need not.
        if self.rotate != Some(Rotate::AtOnce) {
            self.rotate = later.rotate.or(self.rotate);
        }
        self
    }

    /// All but attributes and rotation, on a record that is in no store yet.
    pub(crate) fn apply_to_record(&self, record: &mut Record) {
        self.principal.apply_to(&mut record.principal);
        self.idle_timeout.apply_to(&mut record.idle_timeout);
        self.leaves_at.apply_to(&mut record.leaves_at);
    }

    pub(crate) fn apply_to(&self, attributes: &mut Attributes) {
        if self.cleared {
            attributes.clear();
        }
        for (name, value) in self.values.iter() {
            match value {
                Some(value) => attributes.set(name, value.clone()),
                None => {
                    attributes.remove(name);
                }
            }
        }
    }
}

fn replace<T: PartialEq>(field: &mut Field<T>, later: Field<T>) {
    if later != Field::Keep {
        *field = later;
    }
}
