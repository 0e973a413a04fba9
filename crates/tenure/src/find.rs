//! Whether a token opens a live session: one judgement for all who ask.

use tenure_store::{Namespace, Record, SessionStore, Timestamp};

use crate::key_set::KeySet;
use crate::metrics::Lookups;
use crate::token::OpenedToken;
use crate::{Result, Token};

/// The live session of a good token, or `None` without saying why. One round trip, and
/// none for a token that is not under one of these keys.
pub(crate) async fn find(
    store: &dyn SessionStore,
    ns: &Namespace,
    keys: &KeySet,
    token: &Token,
    now: Timestamp,
    lookups: &Lookups,
) -> Result<Option<(OpenedToken, Record)>> {
    let Some(opened) = keys.open_token(token.as_str(), now) else {
        lookups.bad_token.increment(1);
        return Ok(None);
    };
    let id = opened.secret.session_id();
    let Some(record) = store.load(ns, id, now).await? else {
        lookups.absent.increment(1);
        return Ok(None);
    };
    if opened.reads(&record, now) {
        lookups.live.increment(1);
        return Ok(Some((opened, record)));
    }
    lookups.replaced_token.increment(1);
    tracing::warn!(
        namespace = %ns,
        session = %id,
        token_rotation = opened.rotation,
        current_rotation = record.rotation.number(),
        "a token that was replaced has been used again: it may have been stolen"
    );
    Ok(None)
}

impl OpenedToken {
    /// Whether it is the session's latest token, or the one before it during its grace.
    fn reads(&self, record: &Record, now: Timestamp) -> bool {
        let current = record.rotation.number();
        let in_grace = self.rotation + 1 == current
            && record.rotation.previous_until().is_some_and(|t| now < t);
        self.rotation == current || in_grace
    }
}
