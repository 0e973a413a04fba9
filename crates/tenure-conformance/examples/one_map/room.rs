//! One namespace: its sessions by id, and what each operation does to them.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_store::{
    After, Change, Claimed, Created, Cursor, End, EndReason, Ended, Entry, Epoch, Error, ErrorKind,
    Excess, Filter, Hooks, Imported, Outcome, Page, Phase, Principal, PrincipalLimit, Purged,
    Record, Resolve, Result, SessionId, State, Ticket, Timestamp, Tombstone, Updated, Version,
};

/// What there is of one namespace. Of one that nobody opened there is an empty one.
#[derive(Debug, Default)]
pub(crate) struct Room {
    hooks_expected: bool,
    /// When each epoch was ended by a reset; how many there are is the present epoch.
    resets: Vec<Timestamp>,
    rows: BTreeMap<SessionId, Row>,
}

#[derive(Debug)]
struct Row {
    epoch: usize,
    record: Record,
    tombstone: Option<Tombstone>,
}

impl Row {
    /// What became of it: the one place that decides who is live.
    fn state(&self, resets: &[Timestamp], now: Timestamp) -> State {
        if let Some(tombstone) = &self.tombstone {
            return State::Ended(tombstone.clone());
        }
        match self.record.end_by(resets.get(self.epoch).copied(), now) {
            Some(end) => State::Over(end),
            None => State::Live,
        }
    }

    /// From when a reaper has something to do with it.
    fn due(&self, resets: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
        match self.state(resets, now) {
            State::Live => self.record.expires_at(),
            State::Over(end) => Some(end.at),
            // What a clock put off that was ahead is due now.
            State::Ended(tombstone) if tombstone.is_due(now) => {
                tombstone.due().map(|due| due.min(now))
            }
            State::Ended(tombstone) => tombstone.due(),
        }
    }

    fn is_purgeable(&self, resets: &[Timestamp], now: Timestamp) -> bool {
        match self.state(resets, now) {
            State::Live => false,
            State::Over(_) => true,
            State::Ended(tombstone) => tombstone.due().is_some() && !tombstone.is_held(now),
        }
    }
}

impl Room {
    pub(crate) fn open(&mut self, hooks: Hooks) {
        match hooks {
            Hooks::Expected => self.hooks_expected = true,
            Hooks::Unstated => {}
            Hooks::Withdrawn => self.hooks_expected = false,
        }
    }

    /// The present epoch.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch::new(self.resets.len() as u64)
    }

    pub(crate) fn create(&mut self, record: Record) -> Created {
        if self.insert(record, None) {
            Created::Done
        } else {
            Created::Exists
        }
    }

    /// Of an entry that is live, only into the epoch that it is for.
    pub(crate) fn import(&mut self, entry: &Entry, epoch: Epoch) -> Imported {
        let tombstone = match &entry.state {
            State::Live => None,
            State::Over(end) => Some(Tombstone::new(*end)),
            State::Ended(tombstone) => Some(tombstone.clone()),
        };
        let record = &entry.record;
        if tombstone.is_none() && epoch != self.epoch() && !self.rows.contains_key(&record.id) {
            Imported::Reset
        } else if self.insert(record.clone(), tombstone) {
            Imported::Done
        } else {
            Imported::Exists
        }
    }

    /// Stores a session of the present epoch, if its id is free.
    fn insert(&mut self, record: Record, tombstone: Option<Tombstone>) -> bool {
        let free = !self.rows.contains_key(&record.id);
        if free {
            let epoch = self.resets.len();
            let id = record.id;
            let row = Row {
                epoch,
                record,
                tombstone,
            };
            self.rows.insert(id, row);
        }
        free
    }

    pub(crate) fn live(&mut self, id: SessionId, now: Timestamp) -> Option<&mut Record> {
        let row = self.rows.get_mut(&id)?;
        (row.state(&self.resets, now) == State::Live).then_some(&mut row.record)
    }

    pub(crate) fn update(
        &mut self,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        let limited = change.limited()?;
        match self.live(id, now) {
            None => return Ok(Updated::Gone),
            Some(record) if record.version != expected => return Ok(Updated::Changed),
            Some(_) => {}
        }
        if let Some((principal, limit)) = limited
            && !self.admit(id, principal, limit, now)
        {
            return Ok(Updated::Full);
        }
        if let Some(record) = self.live(id, now) {
            change.apply_to(record, now);
        }
        Ok(Updated::Done)
    }

    /// Makes room for one more session of a principal, if that may be.
    fn admit(
        &mut self,
        id: SessionId,
        principal: &Principal,
        limit: PrincipalLimit,
        now: Timestamp,
    ) -> bool {
        let is_other =
            |record: &Record| record.principal.as_ref() == Some(principal) && record.id != id;
        let live = |row: &&Row| row.state(&self.resets, now) == State::Live;
        let records = self.rows.values().filter(live).map(|row| &row.record);
        let others = records.filter(|record| is_other(record)).map(Cursor::of);
        let mut others: Vec<_> = others.collect();
        others.sort();
        let most = usize::try_from(limit.sessions - 1).unwrap_or(usize::MAX);
        let excess = others.len().saturating_sub(most);
        match limit.excess {
            Excess::Refuse => excess == 0,
            Excess::EndOldest(after) => {
                for oldest in &others[..excess] {
                    self.end(oldest.id, None, EndReason::Displaced, after, now);
                }
                true
            }
        }
    }

    /// Ends a live session, and shows its tombstone whether or not that is kept.
    pub(crate) fn end(
        &mut self,
        id: SessionId,
        rotation: Option<u32>,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Option<Ended> {
        let record = self.live(id, now)?.clone();
        if rotation.is_some_and(|number| number != record.rotation.number()) {
            return None;
        }
        let mut tombstone = Tombstone::new(End { reason, at: now });
        if let After::Hold(lease) = after {
            tombstone.claim(lease, now);
        }
        if after == After::Discard {
            self.rows.remove(&id);
        } else if let Some(row) = self.rows.get_mut(&id) {
            row.tombstone = Some(tombstone.clone());
        }
        Some(Ended { record, tombstone })
    }

    pub(crate) fn end_principal(
        &mut self,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> u64 {
        let theirs = |record: &&Record| record.principal.as_ref() == Some(principal);
        let records = self.rows.values().map(|row| &row.record).filter(theirs);
        let mut ids: Vec<_> = records.map(|record| record.id).collect();
        ids.retain(|id| Some(*id) != except);
        let ended = ids
            .into_iter()
            .filter_map(|id| self.end(id, None, EndReason::PrincipalRevoked, after, now));
        ended.count() as u64
    }

    pub(crate) fn reset(&mut self, now: Timestamp) {
        self.resets.push(now);
    }

    pub(crate) fn claim(&mut self, lease: Duration, limit: usize, now: Timestamp) -> Claimed {
        let mut due: Vec<_> = self
            .rows
            .values_mut()
            .filter_map(|row| Some((row.due(&self.resets, now)?, row)))
            .filter(|(due, _)| *due <= now)
            .collect();
        due.sort_by_key(|(due, row)| (*due, row.record.id));
        let more = due.len() > limit;
        let mut ended = Vec::new();
        for (_, row) in due.into_iter().take(limit) {
            let mut tombstone = match row.state(&self.resets, now) {
                State::Live => continue,
                State::Over(end) => Tombstone::new(end),
                State::Ended(tombstone) => tombstone,
            };
            tombstone.claim(lease, now);
            row.tombstone = Some(tombstone.clone());
            let record = row.record.clone();
            ended.push(Ended { record, tombstone });
        }
        Claimed {
            ended,
            more,
            hooks_expected: self.hooks_expected,
            next_due: self.next_due(now),
        }
    }

    pub(crate) fn renew(&mut self, tickets: &[Ticket], lease: Duration, now: Timestamp) -> u64 {
        let mut renewed = 0;
        for ticket in tickets {
            if let Some(tombstone) = self.claimed(*ticket) {
                let until = Tombstone::held_until(lease, now);
                tombstone.phase = Phase::Held { until };
                renewed += 1;
            }
        }
        renewed
    }

    pub(crate) fn settle(&mut self, outcomes: &[(Ticket, Outcome)], now: Timestamp) -> u64 {
        let mut settled = 0;
        for (ticket, outcome) in outcomes {
            let Some(tombstone) = self.claimed(*ticket) else {
                continue;
            };
            tombstone.settle(outcome, now);
            if *outcome == Outcome::Done {
                self.rows.remove(&ticket.id);
            }
            settled += 1;
        }
        settled
    }

    pub(crate) fn purge(&mut self, limit: usize, now: Timestamp) -> Result<Purged> {
        if self.hooks_expected {
            let message = "end hooks are expected; withdraw that before purging";
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        let purgeable = |row: &&Row| row.is_purgeable(&self.resets, now);
        let rows = self.rows.values().filter(purgeable);
        let mut ids: Vec<_> = rows.map(|row| row.record.id).collect();
        let more = ids.len() > limit;
        ids.truncate(limit);
        for id in &ids {
            self.rows.remove(id);
        }
        Ok(Purged {
            removed: ids.len() as u64,
            more,
            next_due: self.next_due(now),
        })
    }

    pub(crate) fn entries(&self, now: Timestamp) -> impl Iterator<Item = Entry> {
        self.rows.values().map(move |row| Entry {
            record: row.record.clone(),
            state: row.state(&self.resets, now),
        })
    }

    pub(crate) fn page(&self, filter: &Filter, limit: usize, now: Timestamp) -> Page {
        let behind = |entry: &Entry| filter.after < Some(Cursor::of(&entry.record));
        let mut entries: Vec<_> = self
            .entries(now)
            .filter(|entry| behind(entry) && filter.matches(entry, now))
            .collect();
        entries.sort_by_key(|entry| Cursor::of(&entry.record));
        let more = entries.len() > limit;
        entries.truncate(limit);
        let last = entries.last().filter(|_| more);
        let next = last.map(|entry| Cursor::of(&entry.record));
        Page { entries, next }
    }

    pub(crate) fn resolve(&mut self, id: SessionId, what: Resolve, now: Timestamp) -> bool {
        let row = self.rows.get_mut(&id);
        let tombstone = row.and_then(|row| row.tombstone.as_mut());
        let Some(tombstone) = tombstone.filter(|tombstone| !tombstone.is_held(now)) else {
            return false;
        };
        match what {
            Resolve::Requeue => tombstone.requeue(now),
            Resolve::Discard => {
                self.rows.remove(&id);
            }
        }
        true
    }

    /// The tombstone that this ticket may settle or renew.
    fn claimed(&mut self, ticket: Ticket) -> Option<&mut Tombstone> {
        let tombstone = self.rows.get_mut(&ticket.id)?.tombstone.as_mut()?;
        tombstone.is_claimed_by(ticket).then_some(tombstone)
    }

    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let due = |row: &Row| row.due(&self.resets, now);
        self.rows.values().filter_map(due).min()
    }
}
