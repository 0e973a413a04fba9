//! Faults of log-ins that have a limit.

use tenure_store::{
    After, Change, Cursor, EndReason, Excess, Principal, PrincipalLimit, Record, Result, SessionId,
    State, Updated, Version,
};

use crate::call::Call;
use crate::faults::Fault;
use crate::writing;

/// Who logs in where, and within which limit.
pub(crate) struct LogIn<'a> {
    pub(crate) id: SessionId,
    pub(crate) principal: &'a Principal,
    pub(crate) limit: PrincipalLimit,
}

impl LogIn<'_> {
    pub(crate) async fn update(
        self,
        call: &Call<'_>,
        expected: Version,
        change: &Change,
    ) -> Result<Updated> {
        let unlimited = Change {
            principal_limit: None,
            ..change.clone()
        };
        let mut limit = self.limit;
        match (call.fault, limit.excess) {
            (Fault::IgnoresTheLimit, _) => {
                return writing::update(call, self.id, expected, &unlimited).await;
            }
            (Fault::CountsThenWrites, Excess::Refuse) if self.is_next(call, expected).await? => {
                let full = self.others(call).await?.len() >= limit.sessions as usize;
                // Another log-in gets in between.
                tokio::task::yield_now().await;
                if full {
                    return Ok(Updated::Full);
                }
                return writing::update(call, self.id, expected, &unlimited).await;
            }
            (Fault::CountsWhatIsOver, Excess::Refuse) if self.is_next(call, expected).await? => {
                let others = self.of_the_principal(call, |_| true).await?;
                if others.len() >= limit.sessions as usize {
                    return Ok(Updated::Full);
                }
            }
            (Fault::CountsItself, _) => {
                let loaded = call.load(self.id).await?;
                let theirs = loaded.and_then(|record| record.principal);
                if theirs.as_ref() == Some(self.principal) {
                    limit.sessions = (limit.sessions - 1).max(1);
                }
            }
            (Fault::DisplacesWithoutHook, Excess::EndOldest(_)) => {
                limit.excess = Excess::EndOldest(After::Discard);
            }
            (Fault::EndsTheNewest, Excess::EndOldest(after))
                if self.is_next(call, expected).await? =>
            {
                let mut others = self.others(call).await?;
                others.reverse();
                self.trim(call, others, after).await?;
            }
            (Fault::EndsBeforeItLooks, Excess::EndOldest(after)) => {
                let others = self.others(call).await?;
                self.trim(call, others, after).await?;
            }
            _ => {}
        }
        let limited = Change {
            principal_limit: Some(limit),
            ..unlimited.clone()
        };
        let updated = writing::update(call, self.id, expected, &limited).await?;
        if (call.fault, updated) == (Fault::WritesWhenFull, Updated::Full) {
            let _ = writing::update(call, self.id, expected, &unlimited).await?;
        }
        Ok(updated)
    }

    /// Whether the update is neither late nor of something that has ended.
    async fn is_next(&self, call: &Call<'_>, expected: Version) -> Result<bool> {
        let loaded = call.load(self.id).await?;
        Ok(loaded.is_some_and(|record| record.version == expected))
    }

    /// The principal's other live sessions, oldest first.
    async fn others(&self, call: &Call<'_>) -> Result<Vec<Record>> {
        let is_live = |state: &State| *state == State::Live;
        self.of_the_principal(call, is_live).await
    }

    async fn of_the_principal(
        &self,
        call: &Call<'_>,
        counts: impl Fn(&State) -> bool + Send,
    ) -> Result<Vec<Record>> {
        let mut records: Vec<Record> = Vec::new();
        for entry in call.everything().await? {
            let theirs = entry.record.principal.as_ref() == Some(self.principal);
            if theirs && entry.record.id != self.id && counts(&entry.state) {
                records.push(entry.record);
            }
        }
        records.sort_by_key(Cursor::of);
        Ok(records)
    }

    /// Ends the first of them, until there is room for one more.
    async fn trim(&self, call: &Call<'_>, others: Vec<Record>, after: After) -> Result<()> {
        let most = self.limit.sessions as usize - 1;
        let excess = others.len().saturating_sub(most);
        for record in &others[..excess] {
            call.end(record.id, EndReason::Displaced, after).await?;
        }
        Ok(())
    }
}
