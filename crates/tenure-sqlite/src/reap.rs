//! Reaping: what is due becomes a tombstone in somebody's hands, or goes without one.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::SqliteConnection;
use tenure_store::{Claimed, Ended, Error, ErrorKind, Namespace, Purged, Result, Timestamp};

use crate::due::{Looked, Queues, Reach, Ripe};
use crate::error::from_driver;
use crate::fields::json;
use crate::job::Single;
use crate::row::{HELD, get, payload};

/// One step looks at no more rows, and returns about as many bytes of payload at most.
const MAX_ROWS: u32 = 1000;
const MAX_BYTES: u64 = 8 << 20;

/// Holds what is due.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) ns: Namespace,
    pub(crate) lease: Duration,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
}

impl Single for Claim {
    type Answer = Claimed;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Claimed> {
        let mut ended = Vec::new();
        let until = self.now.plus(self.lease);
        let Some(mut queues) = Queues::find(&self.ns, db).await? else {
            return Ok(Claimed {
                ended,
                more: false,
                next_due: None,
            });
        };
        if queues.is_due(Reach::Claimable, self.now) {
            let limit = self.limit.min(MAX_ROWS);
            let mut looked = queues.look(Reach::Claimable, limit, self.now, db).await?;
            // The others' turn must come, and perhaps somebody mends these.
            let damaged = looked.damaged.iter();
            looked
                .later
                .extend(damaged.map(|number| (*number, until.as_millis())));
            postpone(&looked.later, db).await?;
            ended = self.hold(looked, db).await?;
            queues.refresh(db).await?;
        }
        queues.forget_resets(db).await?;
        Ok(Claimed {
            ended,
            more: queues.is_more_due(self.now, until),
            next_due: queues.next_due(),
        })
    }
}

impl Claim {
    async fn hold(&self, looked: Looked, db: &mut SqliteConnection) -> Result<Vec<Ended>> {
        let mut bytes = 0;
        let ripe: Vec<Ripe> = looked
            .ended
            .into_iter()
            .take_while(|ripe| {
                let fits = bytes < MAX_BYTES;
                bytes += ripe.size;
                fits
            })
            .collect();
        let rows = sqlx::query(
            "UPDATE session SET queue = ?2, due_at = ?3, end_reason = ripe.value ->> 1, \
             end_at = ripe.value ->> 2, claims = claims + 1, unsettled = unsettled + 1 \
             FROM json_each(?1) AS ripe WHERE session.number = ripe.value ->> 0 \
             RETURNING number, \
             (SELECT bytes FROM payload WHERE payload.number = session.number) AS bytes",
        )
        .bind(json(ripe.iter().map(|ripe| {
            let end = ripe.ended.tombstone.end;
            format!(
                "[{},{},{}]",
                ripe.number,
                end.reason.code(),
                end.at.as_millis()
            )
        })))
        .bind(HELD)
        .bind(self.now.plus(self.lease).as_millis())
        .fetch_all(db)
        .await
        .map_err(from_driver)?;
        let mut payloads = rows
            .iter()
            .map(|row| Ok((get::<i64>(row, "number")?, payload(row)?)))
            .collect::<Result<HashMap<_, _>>>()?;
        let held = ripe.into_iter().map(|mut ripe| {
            ripe.ended.tombstone.claim(self.lease, self.now);
            ripe.ended.record.payload = payloads.remove(&ripe.number).unwrap_or_default();
            ripe.ended
        });
        Ok(held.collect())
    }
}

/// Removes what is over and what nobody holds.
#[derive(Debug)]
pub(crate) struct Purge {
    pub(crate) ns: Namespace,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
}

impl Single for Purge {
    type Answer = Purged;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Purged> {
        let mut removed = 0;
        let Some(mut queues) = Queues::find(&self.ns, db).await? else {
            return Ok(Purged {
                removed,
                more: false,
                next_due: None,
            });
        };
        if queues.hooks_expected {
            let message = format!(
                "end hooks are expected for {}: run a reaper with hooks, or withdraw them",
                self.ns
            );
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        if queues.is_due(Reach::Unheld, self.now) {
            let limit = self.limit.min(MAX_ROWS);
            let looked = queues.look(Reach::Unheld, limit, self.now, db).await?;
            postpone(&looked.later, db).await?;
            let numbers = looked
                .ended
                .iter()
                .map(|ripe| ripe.number)
                .chain(looked.damaged);
            removed = sqlx::query(
                "DELETE FROM session WHERE number IN (SELECT value FROM json_each(?1))",
            )
            .bind(json(numbers))
            .execute(&mut *db)
            .await
            .map_err(from_driver)?
            .rows_affected();
            queues.refresh(db).await?;
        }
        queues.forget_resets(db).await?;
        Ok(Purged {
            removed,
            more: queues.is_due(Reach::Unheld, self.now),
            next_due: queues.next_due(),
        })
    }
}

/// Moves `due_at` on: lazily, here, so that no touch ever has to.
async fn postpone(later: &[(i64, i64)], db: &mut SqliteConnection) -> Result<()> {
    if later.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE session SET due_at = later.value ->> 1 FROM json_each(?1) AS later \
         WHERE session.number = later.value ->> 0",
    )
    .bind(json(
        later
            .iter()
            .map(|(number, due)| format!("[{number},{due}]")),
    ))
    .execute(db)
    .await
    .map_err(from_driver)?;
    Ok(())
}
