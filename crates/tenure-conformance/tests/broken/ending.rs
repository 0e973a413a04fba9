//! Faults of ending: one session, a principal's, all.

use std::time::Duration;

use tenure_store::{
    After, EndReason, Ended, Entry, Namespace, Payload, Principal, Record, Result, SessionId, State,
};

use crate::call::Call;
use crate::faults::Fault;

pub(crate) async fn end(
    call: &Call<'_>,
    id: SessionId,
    rotation: Option<u32>,
    reason: EndReason,
    after: After,
) -> Result<Option<Ended>> {
    let mut call = call.at(call.now);
    let after = match (call.fault, after) {
        (Fault::HoldIsForgotten, After::Hold(_)) | (Fault::DiscardKeeps, After::Discard) => {
            After::Queue
        }
        (Fault::LeaseNeverLapses, After::Hold(_)) => After::Hold(Duration::MAX),
        (_, after) => after,
    };
    match call.fault {
        Fault::EndsTwice => {
            let entry = call.inspect(id).await?;
            call.now = entry.map_or(call.now, |entry| call.in_time(&entry.record));
        }
        Fault::EndForgetsPayload => {
            call.rewrite(id, |record| record.payload = Payload::default())
                .await?;
        }
        _ => {}
    }
    let rotation = rotation.filter(|_| call.fault != Fault::EndIgnoresRotation);
    call.good
        .end(&call.ns, id, rotation, reason, after, call.now)
        .await
}

/// `first` are the records with which sessions were created.
pub(crate) async fn end_principal(
    call: &Call<'_>,
    first: Vec<Record>,
    principal: &Principal,
    except: Option<SessionId>,
    after: After,
) -> Result<u64> {
    let is_theirs = |record: &Record| match (call.fault, &record.principal) {
        (Fault::FoldsPrincipals, Some(name)) => {
            name.as_str().eq_ignore_ascii_case(principal.as_str())
        }
        (_, name) => name.as_ref() == Some(principal),
    };
    let those = match call.fault {
        // What the good store says of a bad call is said first.
        _ if matches!(after, After::Hold(_)) => None,
        Fault::StalePrincipal => Some(first),
        Fault::FoldsPrincipals => {
            let entries = call.everything().await?.into_iter();
            Some(entries.map(|entry| entry.record).collect())
        }
        _ => None,
    };
    let Some(those) = those else {
        let except = except.filter(|_| call.fault != Fault::IgnoresExcept);
        let (good, ns) = (call.good, &call.ns);
        return good
            .end_principal(ns, principal, except, after, call.now)
            .await;
    };
    let mut ended = 0;
    for record in those.iter().filter(|record| is_theirs(record)) {
        if Some(record.id) != except {
            let reason = EndReason::PrincipalRevoked;
            ended += u64::from(call.end(record.id, reason, after).await?.is_some());
        }
    }
    Ok(ended)
}

pub(crate) async fn reset(call: &Call<'_>) -> Result<()> {
    let ns = &call.ns;
    match call.fault {
        Fault::ForgetsTheEpoch if call.good.namespaces().await?.contains(ns) => return Ok(()),
        Fault::ResetWipes => {
            for Entry { record, state } in call.everything().await? {
                if state == State::Live {
                    call.remove(record.id).await?;
                }
            }
        }
        Fault::ResetTakesAllBlame => {
            for Entry { record, state } in call.everything().await? {
                if matches!(state, State::Over(_)) {
                    let then = call.at(call.in_time(&record));
                    then.rewrite(record.id, |record| outlast(record, call))
                        .await?;
                }
            }
        }
        Fault::ResetReachesVisitors => {
            reset_others(call, |other| other.application() == ns.application()).await?;
        }
        Fault::ResetMatchesPrefix => {
            let alike = |other: &Namespace| {
                let begins = other.application().starts_with(ns.application());
                begins && other.kind() == ns.kind()
            };
            reset_others(call, alike).await?;
        }
        _ => {}
    }
    call.good.reset(ns, call.now).await
}

async fn reset_others(call: &Call<'_>, reached: impl Fn(&Namespace) -> bool + Send) -> Result<()> {
    let known = call.good.namespaces().await?;
    let others = known.iter().filter(|other| **other != call.ns);
    for other in others.filter(|other| reached(other)) {
        call.good.reset(other, call.now).await?;
    }
    Ok(())
}

/// Lets a record last until now and a little longer.
fn outlast(record: &mut Record, call: &Call<'_>) {
    record.last_access = call.now;
    record.lifetime = None;
    record.leaves_at = None;
}
