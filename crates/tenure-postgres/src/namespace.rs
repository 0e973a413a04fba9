//! All sessions of a namespace, or of a principal in it: opened, reset, revoked.

use tenure_store::{
    After, Cursor, EndReason, Epoch, Error, Hooks, Kind, Namespace, Principal, Result, SessionId,
    Timestamp,
};

use crate::db::Db;
use crate::error::corrupt;
use crate::job::{Needs, Single};
use crate::row::{
    by_key, cursor, get, live, on_namespace, uuid, with_namespace, with_namespace_kept,
};

/// Makes a namespace known. Changes nothing if it is known and nothing changes: every start of
/// a service comes here.
pub(crate) struct Open {
    pub(crate) ns: Namespace,
    pub(crate) hooks: Hooks,
}

impl Single for Open {
    type Answer = ();
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<()> {
        let expected = match self.hooks {
            Hooks::Expected => Some(true),
            Hooks::Unstated => None,
            Hooks::Withdrawn => Some(false),
        };
        let open = on_namespace(
            "INSERT INTO tenure_namespace AS n (kind, application, hooks_expected) \
             VALUES ($1, $2, coalesce($3, false)) ON CONFLICT (kind, application) \
             DO UPDATE SET hooks_expected = $3 WHERE n.hooks_expected <> $3",
            &self.ns,
        );
        db.run(open.bind(expected)).await?;
        Ok(())
    }
}

/// Begins a namespace's next epoch, which ends every session of the present one: two rows,
/// however many sessions there are.
pub(crate) struct Reset {
    pub(crate) ns: Namespace,
    pub(crate) now: Timestamp,
}

impl Single for Reset {
    type Answer = ();
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<()> {
        let reset = on_namespace(
            "WITH n AS (UPDATE tenure_namespace SET epoch = epoch + 1 \
             WHERE kind = $1 AND application = $2 RETURNING ns, epoch) \
             INSERT INTO tenure_reset (ns, epoch, at) SELECT ns, epoch - 1, $3 FROM n",
            &self.ns,
        );
        match db.run(reset.bind(self.now.as_millis())).await? {
            0 => Err(Error::not_opened(&self.ns)),
            _ => Ok(()),
        }
    }
}

/// A namespace's present epoch.
pub(crate) struct Present {
    pub(crate) ns: Namespace,
}

impl Single for Present {
    type Answer = Epoch;
    const NEEDS: Needs = Needs::Reading;

    async fn run(&self, db: &mut Db) -> Result<Epoch> {
        let sql = concat!(with_namespace!(), " SELECT epoch FROM n");
        let rows = db.rows(on_namespace(sql, &self.ns)).await?;
        let row = rows.first().ok_or_else(|| Error::not_opened(&self.ns))?;
        Ok(Epoch::new(get::<i64>(row, "epoch")?.cast_unsigned()))
    }
}

/// Ends the next of a principal's live sessions.
pub(crate) struct Revoke {
    pub(crate) ns: Namespace,
    pub(crate) principal: Principal,
    pub(crate) except: Option<SessionId>,
    pub(crate) after: After,
    pub(crate) now: Timestamp,
    /// Those up to this place are done.
    pub(crate) from: Option<Cursor>,
}

/// What one step of revoking did.
pub(crate) struct Revoked {
    pub(crate) ended: u64,
    /// From where to go on; `None` if nothing is left.
    pub(crate) next: Option<Cursor>,
}

/// How many sessions one step looks at, so that others get their turn.
const STEP: i64 = 1000;

/// Of the next `$8` sessions of principal `$3` behind (`$6`, `$7`), those that are live at
/// `$4`, but for `$5`: found in the order of the index, locked in the order of their ids. Gives
/// the last place looked at, how many were looked at, and how many ended.
macro_rules! revoke {
    ($ends:literal) => {
        concat!(
            with_namespace_kept!(),
            ", theirs AS MATERIALIZED (SELECT t.* FROM n CROSS JOIN LATERAL ( \
             SELECT t.id, t.created FROM tenure_session t WHERE t.ns = n.ns \
             AND t.principal = $3 AND (t.created, t.id) > ($6, $7) \
             ORDER BY t.created, t.id LIMIT $8) t), \
             locked AS MATERIALIZED (SELECT s.id FROM theirs t \
             JOIN tenure_session s ON ",
            by_key!("t.id"),
            " WHERE s.principal || '' = $3 AND s.id IS DISTINCT FROM $5::uuid AND ",
            live!("$4"),
            " ORDER BY s.id FOR UPDATE OF s), \
             ended AS (",
            $ends,
            " l WHERE ",
            by_key!("l.id"),
            " RETURNING 1) \
             SELECT created, id, (SELECT count(*) FROM theirs) AS looked_at, \
             (SELECT count(*) FROM ended) AS ended \
             FROM theirs ORDER BY created DESC, id DESC LIMIT 1"
        )
    };
}

impl Single for Revoke {
    type Answer = Revoked;
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<Revoked> {
        let discards = self.after == After::Discard;
        let sql = if discards {
            revoke!("DELETE FROM tenure_session s USING locked")
        } else {
            revoke!(
                "UPDATE tenure_session s SET queue = -1, due_at = $4, end_reason = $9, \
                 end_at = $4 FROM locked"
            )
        };
        // Before every instant there is, no id matters.
        let (created, id) = self
            .from
            .map_or((i64::MIN, sqlx::types::Uuid::nil()), |from| {
                (from.created.as_millis(), uuid(from.id))
            });
        let mut revoke = on_namespace(sql, &self.ns)
            .bind(self.principal.as_str())
            .bind(self.now.as_millis())
            .bind(self.except.map(uuid))
            .bind(created)
            .bind(id)
            .bind(STEP);
        if !discards {
            revoke = revoke.bind(i16::from(EndReason::PrincipalRevoked.code()));
        }
        let rows = db.rows(revoke).await?;
        let Some(last) = rows.first() else {
            return Ok(Revoked {
                ended: 0,
                next: None,
            });
        };
        let is_short = get::<i64>(last, "looked_at")? < STEP;
        Ok(Revoked {
            ended: get::<i64>(last, "ended")?.unsigned_abs(),
            next: if is_short { None } else { Some(cursor(last)?) },
        })
    }
}

/// All namespaces.
pub(crate) struct Namespaces;

impl Single for Namespaces {
    type Answer = Vec<Namespace>;
    const NEEDS: Needs = Needs::Reading;

    async fn run(&self, db: &mut Db) -> Result<Vec<Namespace>> {
        let all = "SELECT kind, application FROM tenure_namespace ORDER BY kind, application";
        let rows = db.rows(sqlx::query(all)).await?;
        let namespaces = rows.iter().map(|row| {
            let kind = u8::try_from(get::<i16>(row, "kind")?).ok();
            kind.and_then(Kind::from_code)
                .and_then(|kind| Namespace::new(kind, get(row, "application").ok()?).ok())
                .ok_or_else(|| corrupt("a namespace has an unknown kind or name"))
        });
        namespaces.collect()
    }
}
