//! All sessions of a namespace, or of a principal in it: opened, reset, revoked.

use sqlx::SqliteConnection;
use tenure_store::{
    After, Cursor, EndReason, Epoch, Hooks, Kind, Namespace, Principal, Result, SessionId,
    Timestamp,
};

use crate::create::{require, unknown};
use crate::error::{corrupt, from_driver};
use crate::job::Single;
use crate::row::{self, get, live, on_namespace};

/// Makes a namespace known. Writes nothing if nothing changes: every start of a service
/// comes here.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) ns: Namespace,
    pub(crate) hooks: Hooks,
}

impl Single for Open {
    type Answer = ();

    async fn run(&self, db: &mut SqliteConnection) -> Result<()> {
        let expected = match self.hooks {
            Hooks::Expected => Some(true),
            Hooks::Unstated => None,
            Hooks::Withdrawn => Some(false),
        };
        on_namespace(
            "INSERT INTO namespace (kind, application, hooks_expected) \
             VALUES (?1, ?2, ifnull(?3, 0)) ON CONFLICT (kind, application) \
             DO UPDATE SET hooks_expected = ?3 WHERE hooks_expected <> ?3",
            &self.ns,
        )
        .bind(expected)
        .execute(db)
        .await
        .map_err(from_driver)?;
        Ok(())
    }
}

/// Begins a namespace's next epoch, which ends every session of the present one.
#[derive(Debug)]
pub(crate) struct Reset {
    pub(crate) ns: Namespace,
    pub(crate) now: Timestamp,
}

impl Single for Reset {
    type Answer = ();

    async fn run(&self, db: &mut SqliteConnection) -> Result<()> {
        require(&self.ns, db).await?;
        on_namespace(
            "INSERT INTO reset (ns, epoch, at) SELECT ns, epoch, ?3 FROM namespace \
             WHERE kind = ?1 AND application = ?2 AND EXISTS (SELECT 1 FROM session \
             WHERE session.ns = namespace.ns AND session.queue = namespace.epoch); \
             UPDATE namespace SET epoch = epoch + 1 WHERE kind = ?1 AND application = ?2",
            &self.ns,
        )
        .bind(self.now.as_millis())
        .execute(db)
        .await
        .map_err(from_driver)?;
        Ok(())
    }
}

/// A namespace's present epoch.
#[derive(Debug)]
pub(crate) struct Present {
    pub(crate) ns: Namespace,
}

impl Single for Present {
    type Answer = Epoch;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Epoch> {
        let sql = "SELECT epoch FROM namespace WHERE kind = ?1 AND application = ?2";
        let row = on_namespace(sql, &self.ns)
            .fetch_optional(db)
            .await
            .map_err(from_driver)?
            .ok_or_else(|| unknown(&self.ns))?;
        Ok(Epoch::new(get::<i64>(&row, "epoch")?.cast_unsigned()))
    }
}

/// Ends the next of a principal's live sessions.
#[derive(Debug)]
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
#[derive(Debug)]
pub(crate) struct Revoked {
    pub(crate) ended: u64,
    /// From where to go on; `None` if nothing is left.
    pub(crate) next: Option<Cursor>,
}

/// How many sessions one step ends, so that others get their turn.
const STEP: usize = 500;

/// The next live sessions of principal `?3`, but `?5`, behind (`?6`, `?7`).
macro_rules! theirs {
    () => {
        concat!(
            "(SELECT number FROM session \
             WHERE session.ns = (SELECT ns FROM namespace WHERE kind = ?1 AND application = ?2) \
             AND principal = ?3 AND ",
            live!(),
            " AND id <> ?5 AND (created, id) > (?6, ?7) ORDER BY created, id LIMIT ?8)"
        )
    };
}

impl Single for Revoke {
    type Answer = Revoked;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Revoked> {
        let sql = if self.after == After::Discard {
            concat!(
                "DELETE FROM session WHERE number IN ",
                theirs!(),
                " RETURNING created, id"
            )
        } else {
            concat!(
                "UPDATE session SET queue = ?9, due_at = ?4, end_reason = ?10, end_at = ?4 \
                 WHERE number IN ",
                theirs!(),
                " RETURNING created, id"
            )
        };
        let from = self.from.as_ref();
        let rows = on_namespace(sql, &self.ns)
            .bind(self.principal.as_str())
            .bind(self.now.as_millis())
            .bind(self.except.map_or(vec![], |id| id.as_bytes().to_vec()))
            .bind(
                from.map_or(Timestamp::MIN, |cursor| cursor.created)
                    .as_millis(),
            )
            .bind(from.map_or(vec![], |cursor| cursor.id.as_bytes().to_vec()))
            .bind(i64::try_from(STEP).unwrap_or(i64::MAX))
            .bind(row::WAITING)
            .bind(EndReason::PrincipalRevoked.code())
            .fetch_all(db)
            .await
            .map_err(from_driver)?;
        let places = rows.iter().map(row::cursor).collect::<Result<Vec<_>>>()?;
        let last = places.into_iter().max();
        Ok(Revoked {
            ended: rows.len() as u64,
            next: last.filter(|_| rows.len() == STEP),
        })
    }
}

/// All namespaces.
#[derive(Debug)]
pub(crate) struct Namespaces;

impl Single for Namespaces {
    type Answer = Vec<Namespace>;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Vec<Namespace>> {
        sqlx::query("SELECT kind, application FROM namespace ORDER BY kind, application")
            .fetch_all(db)
            .await
            .map_err(from_driver)?
            .iter()
            .map(|row| {
                let kind = u8::try_from(get::<i64>(row, "kind")?).ok();
                kind.and_then(Kind::from_code)
                    .and_then(|kind| Namespace::new(kind, get(row, "application").ok()?).ok())
                    .ok_or_else(|| corrupt("a namespace has an unknown kind or name"))
            })
            .collect()
    }
}
