//! Everything at once on few rows: what several tasks, nodes or processes do to each other.

use tenure_store::{
    Access, After, Change, Created, EndReason, Field, Filter, Namespace, Outcome, Resolve, Result,
    SessionStore,
};

use crate::props::{LEASE, at, failure, id, payload, principal, record_of, version};
use crate::story::Story;

/// How many sessions all tasks fight for: those with the numbers below it.
pub const ROWS: u64 = 48;

/// One task's share of a round: every operation on many rows and every one on one, in an
/// order of its own. No hooks may be expected for the namespace.
///
/// # Errors
/// The store's: there should be none.
///
/// # Panics
/// If a ticket is not good that must be.
pub async fn everything_once(
    node: &dyn SessionStore,
    ns: &Namespace,
    task: u64,
    round: u64,
) -> Result<()> {
    let now = at(i64::try_from(round).unwrap_or(0));
    let alice = principal("alice");
    for step in 0..12 {
        let number = (task * 17 + round * 5 + step * 7) % ROWS;
        match (task + step) % 12 {
            0 => drop(
                node.end_principal(ns, &alice, None, After::Queue, now)
                    .await?,
            ),
            1 => drop(
                node.end_principal(ns, &alice, Some(id(number)), After::Discard, now)
                    .await?,
            ),
            2 if round.is_multiple_of(4) => node.reset(ns, now).await?,
            2 | 3 => {
                let ended = node.claim(ns, LEASE, 16, now).await?.ended;
                let tickets: Vec<_> = ended.iter().map(tenure_store::Ended::ticket).collect();
                node.renew(ns, &tickets, LEASE, now).await?;
                // Against the order in which they were claimed.
                let outcomes = tickets.iter().rev().enumerate().map(|(index, ticket)| {
                    let why = failure("busy");
                    let outcome = match index % 4 {
                        0 => Outcome::Retry { at: now, why },
                        1 => Outcome::Dead { why },
                        _ => Outcome::Done,
                    };
                    (*ticket, outcome)
                });
                let outcomes: Vec<_> = outcomes.collect();
                let settled = node.settle(ns, &outcomes, now).await?;
                assert_eq!(settled, tickets.len() as u64, "within the lease");
            }
            4 => drop(node.purge(ns, 16, now).await?),
            5 => drop(node.scan(ns, &Filter::all(7), now).await?),
            6 => drop(node.count(ns, now).await?),
            7 | 8 => match node.create(ns, &record_of(number, "alice"), now).await? {
                Created::Done | Created::Exists => {}
            },
            9 => {
                let what = [Resolve::Requeue, Resolve::Discard];
                let what = what[usize::try_from(round % 2).unwrap_or(0)];
                node.resolve(ns, id(number), what, now).await?;
            }
            10 => {
                let (reason, hold) = (EndReason::Logout, After::Hold(LEASE));
                if let Some(ended) = node.end(ns, id(number), None, reason, hold, now).await? {
                    let ticket = ended.ticket();
                    assert!(node.settle_one(ns, ticket, Outcome::Release, now).await?);
                }
            }
            _ => {
                node.touch(ns, id(number), now).await?;
                if let Some(seen) = node.load(ns, id(number), now).await? {
                    let mut change = Change::new(version(task * 1_000 + round), Access::Counts);
                    change.payload = Some(payload(task));
                    change.principal = Field::Set(alice.clone());
                    let _ = node
                        .update(ns, id(number), seen.version, &change, now)
                        .await?;
                }
            }
        }
    }
    Ok(())
}
