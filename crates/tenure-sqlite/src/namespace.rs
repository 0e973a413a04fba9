//! All sessions of a namespace, or of a principal in it: opened, reset, revoked.

use rusqlite::params;
use tenure_store::{
    After, Cursor, EndReason, Epoch, Hooks, Kind, Namespace, Principal, Result, SessionId,
    Timestamp,
};

use crate::create::require;
use crate::db::Db;
use crate::error::corrupt;
use crate::job::Operation;
use crate::row::{self, live};

/// Makes a namespace known. Writes nothing if nothing changes: every start of a service
/// comes here.
pub(crate) struct Open {
    pub(crate) ns: Namespace,
    pub(crate) hooks: Hooks,
}

impl Operation for Open {
    type Answer = ();

    fn run(&self, db: &Db) -> Result<()> {
        let expected = match self.hooks {
            Hooks::Expected => Some(true),
            Hooks::Unstated => None,
            Hooks::Withdrawn => Some(false),
        };
        db.execute(
            "INSERT INTO namespace (kind, application, hooks_expected) \
             VALUES (?1, ?2, ifnull(?3, 0)) ON CONFLICT (kind, application) \
             DO UPDATE SET hooks_expected = ?3 WHERE hooks_expected <> ?3",
            params![self.ns.kind().code(), self.ns.application(), expected],
        )?;
        Ok(())
    }
}

/// Begins a namespace's next epoch, which ends every session of the present one.
pub(crate) struct Reset {
    pub(crate) ns: Namespace,
    pub(crate) now: Timestamp,
}

impl Operation for Reset {
    type Answer = ();

    fn run(&self, db: &Db) -> Result<()> {
        let ns = require(&self.ns, db)?;
        db.execute(
            "INSERT INTO reset (ns, epoch, at) SELECT ns, epoch, ?2 FROM namespace \
             WHERE ns = ?1 AND EXISTS (SELECT 1 FROM session \
             WHERE session.ns = namespace.ns AND session.queue = namespace.epoch)",
            params![ns, self.now.as_millis()],
        )?;
        db.execute("UPDATE namespace SET epoch = epoch + 1 WHERE ns = ?1", [ns])?;
        Ok(())
    }
}

/// A namespace's present epoch.
#[derive(Clone)]
pub(crate) struct Present {
    pub(crate) ns: Namespace,
}

impl Operation for Present {
    type Answer = Epoch;

    fn run(&self, db: &Db) -> Result<Epoch> {
        let _together = db.snapshot()?;
        let ns = require(&self.ns, db)?;
        let sql = "SELECT epoch FROM namespace WHERE ns = ?1";
        let epoch: Option<i64> = db.first(sql, [ns], |row| row.get())?;
        let epoch = epoch.ok_or_else(|| corrupt("a namespace is gone"))?;
        Ok(Epoch::new(epoch.cast_unsigned()))
    }
}

/// Ends the next of a principal's live sessions.
pub(crate) struct Revoke {
    pub(crate) ns: Namespace,
    pub(crate) principal: Principal,
    pub(crate) except: Option<SessionId>,
    pub(crate) after: After,
    pub(crate) now: Timestamp,
    /// Those before this place are done.
    pub(crate) from: Option<Cursor>,
}

/// What one step of revoking did.
#[derive(Default)]
pub(crate) struct Revoked {
    pub(crate) ended: u64,
    /// From where to go on; `None` if nothing is left.
    pub(crate) next: Option<Cursor>,
}

/// How many sessions one step ends, so that others get their turn.
const STEP: u32 = 500;

/// The next live sessions of principal `?2`, but `?4`, behind (`?5`, `?6`).
macro_rules! theirs {
    () => {
        concat!(
            "(SELECT number FROM session \
             WHERE session.ns = ?1 \
             AND principal = ?2 AND ",
            live!(),
            " AND id <> ?4 AND (created, id) > (?5, ?6) ORDER BY created, id LIMIT ?7)"
        )
    };
}

impl Operation for Revoke {
    type Answer = Revoked;

    fn run(&self, db: &Db) -> Result<Revoked> {
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(Revoked::default());
        };
        let (principal, now) = (self.principal.as_str(), self.now.as_millis());
        // No id is the empty one, nor sorts before it.
        let except: &[u8] = self.except.as_ref().map_or(&[], |id| id.as_bytes());
        let from = self.from.as_ref();
        let created = from.map_or(Timestamp::MIN, |cursor| cursor.created);
        let (created, id) = (
            created.as_millis(),
            from.map_or(&[][..], |cursor| cursor.id.as_bytes()),
        );
        let places: Vec<Cursor> = if self.after == After::Discard {
            db.all(
                concat!(
                    "DELETE FROM session WHERE number IN ",
                    theirs!(),
                    " RETURNING created, id"
                ),
                params![ns, principal, now, except, created, id, STEP],
                |row| row.cursor(),
            )
        } else {
            let (queue, reason) = (row::WAITING, EndReason::PrincipalRevoked.code());
            db.all(
                concat!(
                    "UPDATE session SET queue = ?8, due_at = ?3, end_reason = ?9, end_at = ?3 \
                     WHERE number IN ",
                    theirs!(),
                    " RETURNING created, id"
                ),
                params![ns, principal, now, except, created, id, STEP, queue, reason],
                |row| row.cursor(),
            )
        }?;
        let ended = places.len() as u64;
        let last = places.into_iter().max();
        Ok(Revoked {
            ended,
            next: last.filter(|_| ended == u64::from(STEP)),
        })
    }
}

/// All namespaces.
pub(crate) struct Namespaces;

impl Operation for Namespaces {
    type Answer = Vec<Namespace>;

    fn run(&self, db: &Db) -> Result<Vec<Namespace>> {
        db.all(
            "SELECT kind, application FROM namespace ORDER BY kind, application",
            [],
            |row| {
                let (kind, application) = (row.get()?, row.get::<String>()?);
                Kind::from_code(kind)
                    .and_then(|kind| Namespace::new(kind, &application).ok())
                    .ok_or_else(|| corrupt("a namespace has an unknown kind or name"))
            },
        )
    }
}
