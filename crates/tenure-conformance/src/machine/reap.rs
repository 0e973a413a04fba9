//! Claims and purges, and what they leave behind.

use std::time::Duration;

use tenure_store::{Claimed, ErrorKind, Purged, Result};

use super::act::Scene;
use crate::model::{Judgement, same_answer};

impl Scene<'_> {
    pub(super) async fn claim(&mut self, lease: Duration, limit: u32) -> Judgement {
        let got = self.store.claim(self.ns, lease, limit, self.now).await;
        self.claimed(lease, limit, got).await.map(|_| ())
    }

    /// Judges a claim, and what it left behind.
    pub(super) async fn claimed(
        &mut self,
        lease: Duration,
        limit: u32,
        got: Result<Claimed>,
    ) -> Result<Option<Claimed>, String> {
        let (ns, now) = (self.ns, self.now);
        let refusal = match limit {
            0 => Some(ErrorKind::Invalid),
            _ => self.model.expects_hooks(ns).err(),
        };
        if let Some(refusal) = refusal {
            same_answer("claim", got.map(|_| ()), Err(refusal))?;
            return Ok(None);
        }
        let claimed = got.map_err(|error| format!("claim is {error:?}"))?;
        let expected = self.model.expects_hooks(ns);
        same_answer(
            "a claim's word on hooks",
            Ok(claimed.hooks_expected),
            expected,
        )?;
        self.model.check_claimed(ns, lease, limit, now, &claimed)?;
        for id in self.model.over(ns, now) {
            let left = self.store.inspect(ns, id, now).await;
            let left = left.map_err(|error| format!("inspect is {error:?}"))?;
            self.model.settle_in(ns, id, now, left)?;
        }
        self.model
            .check_left(ns, now, claimed.more, claimed.next_due)?;
        Ok(Some(claimed))
    }

    pub(super) async fn purge(&mut self, limit: u32) -> Judgement {
        let (ns, now) = (self.ns, self.now);
        // Which of the two a store minds first, when both are wrong, is its own business.
        let limit = match self.model.purge_refusal(ns) {
            Some(_) => limit.max(1),
            None => limit,
        };
        let got = self.store.purge(ns, limit, now).await;
        let refusal = match limit {
            0 => Some(ErrorKind::Invalid),
            _ => self.model.purge_refusal(ns),
        };
        if let Some(refusal) = refusal {
            return same_answer("purge", got.map(|_| ()), Err(refusal));
        }
        let purged: Purged = got.map_err(|error| format!("purge is {error:?}"))?;
        let mut removed = 0;
        for id in self.model.removable(ns, now) {
            let left = self.store.inspect(ns, id, now).await;
            let left = left.map_err(|error| format!("inspect is {error:?}"))?;
            if left.is_some() {
                self.model.settle_in(ns, id, now, left)?;
            } else {
                self.model.forget(ns, id);
                removed += 1;
            }
        }
        if removed != purged.removed || removed > u64::from(limit) {
            return Err(format!(
                "{removed} were removed, by {purged:?}, limit {limit}"
            ));
        }
        self.model.check_left_by_purge(ns, now, purged)
    }
}
