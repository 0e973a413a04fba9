//! Operations on many sessions, and the operator's.

use std::time::Duration;

use tenure_store::{
    After, EndReason, Entry, ErrorKind, Imported, Namespace, Outcome, Phase, Principal, Resolve,
    Result, SessionId, State, Ticket, Timestamp, Tombstone,
};

use super::{Fate, Kept, Model, life};

impl Model {
    pub(crate) fn end_principal(
        &mut self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64, ErrorKind> {
        if matches!(after, After::Hold(_)) {
            return Err(ErrorKind::Invalid);
        }
        let Some(space) = self.spaces.get_mut(ns) else {
            return Ok(0);
        };
        let mut ended = 0;
        for entry in space.entries(now).collect::<Vec<_>>() {
            let record = &entry.record;
            if record.principal.as_ref() == Some(principal)
                && Some(record.id) != except
                && space
                    .end_live(record.id, EndReason::PrincipalRevoked, after, now)
                    .is_some()
            {
                ended += 1;
            }
        }
        Ok(ended)
    }

    pub(crate) fn reset(&mut self, ns: &Namespace, now: Timestamp) -> Result<(), ErrorKind> {
        self.opened(ns)?.resets.push(now);
        Ok(())
    }

    pub(crate) fn renew(
        &mut self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> u64 {
        let mut renewed = 0;
        for ticket in tickets {
            if let Some(tombstone) = self.held_by(ns, *ticket) {
                let until = life::leased(lease, now);
                tombstone.phase = Phase::Held { until };
                renewed += 1;
            }
        }
        renewed
    }

    pub(crate) fn settle(
        &mut self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> u64 {
        let mut settled = 0;
        for (ticket, outcome) in outcomes {
            let Some(tombstone) = self.held_by(ns, *ticket) else {
                continue;
            };
            settled += 1;
            match life::settled(tombstone, outcome, now) {
                Some(left) => *tombstone = left,
                None => self.forget(ns, ticket.id),
            }
        }
        settled
    }

    pub(crate) fn resolve(
        &mut self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> bool {
        let Some(tombstone) = self.tombstone(ns, id) else {
            return false;
        };
        if life::is_held(tombstone, now) {
            return false;
        }
        match what {
            Resolve::Discard => self.forget(ns, id),
            Resolve::Requeue => {
                tombstone.failures = 0;
                tombstone.unsettled = 0;
                tombstone.phase = Phase::Waiting { from: now };
            }
        }
        true
    }

    /// How many resets there were: what an epoch stands for.
    pub(crate) fn epoch(&mut self, ns: &Namespace) -> Result<usize, ErrorKind> {
        Ok(self.opened(ns)?.resets.len())
    }

    pub(crate) fn import(
        &mut self,
        ns: &Namespace,
        entry: &Entry,
        epoch: usize,
    ) -> Result<Imported, ErrorKind> {
        let space = self.opened(ns)?;
        if space.sessions.contains_key(&entry.record.id) {
            return Ok(Imported::Exists);
        }
        if entry.state == State::Live && epoch != space.resets.len() {
            return Ok(Imported::Reset);
        }
        let fate = match &entry.state {
            State::Live => Fate::Running {
                born_after: space.resets.len(),
            },
            State::Over(end) => Fate::Ended(life::tombstone(*end)),
            State::Ended(tombstone) => Fate::Ended(tombstone.clone()),
        };
        let record = entry.record.clone();
        space.sessions.insert(record.id, Kept { record, fate });
        Ok(Imported::Done)
    }

    /// How often a session's tombstone was claimed: 0 if there is none.
    pub(crate) fn claims(&self, ns: &Namespace, id: SessionId) -> u32 {
        let kept = self.spaces.get(ns).and_then(|s| s.sessions.get(&id));
        match kept.map(|kept| &kept.fate) {
            Some(Fate::Ended(tombstone)) => tombstone.claims,
            Some(Fate::Running { .. }) | None => 0,
        }
    }

    pub(crate) fn forget(&mut self, ns: &Namespace, id: SessionId) {
        if let Some(space) = self.spaces.get_mut(ns) {
            space.sessions.remove(&id);
        }
    }

    fn tombstone(&mut self, ns: &Namespace, id: SessionId) -> Option<&mut Tombstone> {
        match &mut self.spaces.get_mut(ns)?.sessions.get_mut(&id)?.fate {
            Fate::Ended(tombstone) => Some(tombstone),
            Fate::Running { .. } => None,
        }
    }

    fn held_by(&mut self, ns: &Namespace, ticket: Ticket) -> Option<&mut Tombstone> {
        self.tombstone(ns, ticket.id)
            .filter(|tombstone| life::answers_to(tombstone, ticket.claim))
    }
}
