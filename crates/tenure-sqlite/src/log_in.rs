//! A principal gets one more session, and never more than it may have: in the writer's
//! transaction, where nobody else gets in between.
//!
//! A principal may have any number of sessions when a limit is first set, and no transaction
//! writes more for it: a refusal counts only to the limit, and the oldest are ended so many at a
//! time. The last transaction makes the update.

use rusqlite::params;
use tenure_store::{
    After, Cursor, EndReason, Excess, Principal, PrincipalLimit, Result, Timestamp, Updated,
};

use crate::db::Db;
use crate::job::Operation;
use crate::row::{self, live};
use crate::update::Update;

/// Carries out an update after which the principal has no more sessions than it may.
pub(crate) struct LogIn {
    pub(crate) update: Update,
    pub(crate) principal: Principal,
    pub(crate) limit: PrincipalLimit,
    /// Those up to this place have been ended by the steps before.
    pub(crate) from: Option<Cursor>,
}

/// What one step came to.
pub(crate) enum Step {
    Over(Updated),
    /// So many had to be ended that there may be more: from where to go on.
    More(Option<Cursor>),
}

/// How many sessions one step ends, so that others get their turn.
const STEP: u32 = 500;

/// The other live sessions of principal `?4`.
macro_rules! others {
    () => {
        concat!(
            "FROM session \
             WHERE session.ns = ?1 \
             AND principal = ?4 AND ",
            live!(),
            " AND id <> ?2"
        )
    };
}
/// All of them but the newest `?5`: the oldest `?8` of these that are behind (`?6`, `?7`).
macro_rules! oldest {
    () => {
        concat!(
            "(SELECT number ",
            others!(),
            " AND (created, id) > (?6, ?7) AND (created, id) <= (SELECT created, id ",
            others!(),
            " ORDER BY created DESC, id DESC LIMIT 1 OFFSET ?5) \
             ORDER BY created, id LIMIT ?8)"
        )
    };
}

impl Operation for LogIn {
    type Answer = Step;

    fn bytes(&self) -> usize {
        self.update.bytes()
    }

    fn run(&self, db: &Db) -> Result<Step> {
        let Some(ns) = db.number(&self.update.ns)? else {
            return Ok(Step::Over(Updated::Gone));
        };
        match self.update.has_expected_version(ns, db)? {
            None => return Ok(Step::Over(Updated::Gone)),
            Some(false) => return Ok(Step::Over(Updated::Changed)),
            Some(true) => {}
        }
        match self.limit.excess {
            Excess::Refuse if self.is_full(ns, db)? => return Ok(Step::Over(Updated::Full)),
            Excess::Refuse => {}
            Excess::EndOldest(after) => {
                let ended = self.end_oldest(after, ns, db)?;
                if ended.len() as u64 == u64::from(STEP) {
                    return Ok(Step::More(ended.into_iter().max()));
                }
                if self.from.is_some() {
                    // From the start once more: an older session may have become the
                    // principal's meanwhile.
                    return Ok(Step::More(None));
                }
            }
        }
        self.update.run(db).map(Step::Over)
    }
}

impl LogIn {
    /// Whether there are as many others as there may be sessions in all.
    fn is_full(&self, ns: i64, db: &Db) -> Result<bool> {
        let Update { id, now, .. } = &self.update;
        let others: Option<i64> = db.first(
            concat!("SELECT count(*) FROM (SELECT 1 ", others!(), " LIMIT ?5)"),
            params![
                ns,
                id.as_bytes(),
                now.as_millis(),
                self.principal.as_str(),
                self.limit.sessions,
            ],
            |row| row.get(),
        )?;
        Ok(others >= Some(i64::from(self.limit.sessions)))
    }

    /// Ends the oldest of those for which there is no room; says where they were.
    fn end_oldest(&self, after: After, ns: i64, db: &Db) -> Result<Vec<Cursor>> {
        let Update { id, now, .. } = &self.update;
        let (principal, room) = (self.principal.as_str(), self.limit.sessions - 1);
        let (id, now) = (id.as_bytes(), now.as_millis());
        // No id is the empty one, nor sorts before it.
        let from = self.from.as_ref();
        let created = from.map_or(Timestamp::MIN, |from| from.created).as_millis();
        let from = from.map_or(&[][..], |from| from.id.as_bytes());
        if after == After::Discard {
            db.all(
                concat!(
                    "DELETE FROM session WHERE number IN ",
                    oldest!(),
                    " RETURNING created, id"
                ),
                params![ns, id, now, principal, room, created, from, STEP],
                |row| row.cursor(),
            )
        } else {
            let (queue, reason) = (row::WAITING, EndReason::Displaced.code());
            db.all(
                concat!(
                    "UPDATE session SET queue = ?9, due_at = ?3, end_reason = ?10, end_at = ?3 \
                     WHERE number IN ",
                    oldest!(),
                    " RETURNING created, id"
                ),
                params![
                    ns, id, now, principal, room, created, from, STEP, queue, reason
                ],
                |row| row.cursor(),
            )
        }
    }
}
