//! How sequences are drawn: how often what happens, and from how small a pool, so that
//! steps meet one another.

use std::fmt;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tenure_store::{
    Access, After, EndReason, Excess, Field, Hooks, PrincipalLimit, Resolve, Status,
};

use super::plan::{
    Act, Afterwards, Birth, Draft, Expected, Held, IDS, Lookup, NODES, Past, Plan, Read, SPACES,
    Settlement, Step, Tick, Tries,
};

/// Sequences of up to so many steps.
pub(super) fn plans(longest: usize) -> impl Strategy<Value = Plan> {
    let skew = prop_oneof![3 => Just([0; NODES]), 1 => Just([0, 40, -40])];
    let opened = prop_oneof![1 => Just(None), 12 => hooks().prop_map(Some)];
    let openings = [opened.clone(), opened.clone(), opened.clone(), opened];
    (skew, openings, vec(steps(), 1..=longest)).prop_map(|(skew, opened, steps)| Plan {
        skew,
        opened,
        steps,
    })
}

fn steps() -> impl Strategy<Value = Step> {
    // Most steps are taken in one namespace: they are to meet one another.
    let space = prop_oneof![3 => Just(0), 1 => 0..SPACES];
    (ticks(), 0..NODES, space, acts()).prop_map(|(tick, node, space, act)| Step {
        tick: match tick {
            Tick::Beside(id, millis) => Tick::Beside(act.id().unwrap_or(id), millis),
            Tick::By(_) => tick,
        },
        node,
        space,
        act,
    })
}

fn ticks() -> impl Strategy<Value = Tick> {
    prop_oneof![
        4 => Just(Tick::By(0)),
        4 => (0..100_i64).prop_map(Tick::By),
        1 => (-300..0_i64).prop_map(Tick::By),
        4 => (0..IDS, -1..=1_i64).prop_map(|(id, beside)| Tick::Beside(id, beside)),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => hooks().prop_map(Act::Open),
        9 => births().prop_map(Act::Create),
        5 => (0..IDS).prop_map(Act::Load),
        5 => (0..IDS).prop_map(Act::Touch),
        8 => (0..IDS, expected(), drafts()).prop_map(|(id, version, draft)| Act::Update(id, version, draft)),
        9 => (0..IDS, log_ins()).prop_map(|(id, draft)| Act::Update(id, Expected::Right, draft)),
        5 => (0..IDS, reasons(), afterwards()).prop_map(|(id, reason, after)| Act::End(id, reason, after)),
        4 => (0..3_u8, option::of(0..IDS), afterwards()).prop_map(|(whose, except, after)| Act::EndPrincipal(whose, except, after)),
        2 => Just(Act::Reset),
        8 => (leases(), limits()).prop_map(|(lease, limit)| Act::Claim { lease, limit }),
        2 => (vec(tickets(), 0..3), leases()).prop_map(|(tickets, lease)| Act::Renew { tickets, lease }),
        6 => vec((tickets(), settlements()), 0..4).prop_map(Act::Settle),
        2 => (tickets(), settlements(), settlements()).prop_map(|(ticket, first, second)| Act::Settle(vec![(ticket, first), (ticket, second)])),
        3 => limits().prop_map(|limit| Act::Purge { limit }),
        3 => (0..IDS).prop_map(Act::Inspect),
        4 => lookups().prop_map(Act::List),
        2 => Just(Act::Count),
        1 => Just(Act::Namespaces),
        3 => (0..IDS, prop_oneof![Just(Resolve::Requeue), Just(Resolve::Discard)]).prop_map(|(id, what)| Act::Resolve(id, what)),
        2 => (0..IDS).prop_map(Act::Epoch),
        5 => (births(), pasts(), reads()).prop_map(|(birth, past, read)| Act::Import(birth, past, read)),
        1 => Just(Act::Describe),
    ]
}

fn births() -> impl Strategy<Value = Birth> {
    let times = (
        prop_oneof![3 => Just(0), 1 => 0..100_i64],
        prop_oneof![3 => Just(0), 1 => 0..100_i64],
    );
    let ends = (
        option::of(spans()),
        option::of(spans()),
        option::weighted(0.2, -50..150_i64),
    );
    let rest = (
        1..4_u64,
        option::weighted(0.75, owners()),
        rotations(),
        payloads(),
    );
    (0..IDS, times, ends, rest).prop_map(
        |(id, (age, idle), (idle_timeout, lifetime, leaves_in), rest)| {
            let (accesses, principal, rotation, payload) = rest;
            Birth {
                id,
                age,
                idle,
                accesses,
                idle_timeout,
                lifetime,
                leaves_in,
                principal,
                rotation,
                payload,
            }
        },
    )
}

fn drafts() -> impl Strategy<Value = Draft> {
    let times = (fields(spans()), fields(spans()), fields(-50..150_i64));
    let rest = (
        option::of(payloads()),
        fields(0..3_u8),
        option::of(rotations()),
    );
    let access = prop_oneof![Just(Access::Counts), Just(Access::Passive)];
    (access, times, rest).prop_map(
        |(access, (idle_timeout, lifetime, leaves_in), (payload, principal, rotation))| Draft {
            access,
            payload,
            principal,
            limit: None,
            idle_timeout,
            lifetime,
            rotation,
            leaves_in,
        },
    )
}

/// Changes that log somebody in who may have only so many sessions.
fn log_ins() -> impl Strategy<Value = Draft> {
    let excess = prop_oneof![
        2 => Just(Excess::Refuse),
        1 => Just(Excess::EndOldest(After::Queue)),
        1 => Just(Excess::EndOldest(After::Discard)),
    ];
    (drafts(), owners(), 1..3_u32, excess).prop_map(|(draft, who, sessions, excess)| Draft {
        principal: Field::Set(who),
        limit: Some(PrincipalLimit { sessions, excess }),
        ..draft
    })
}

fn lookups() -> impl Strategy<Value = Lookup> {
    let range = (-200..400_i64, 0..400_i64).prop_map(|(start, length)| (start, start + length));
    (
        option::of(prop::sample::select(Status::ALL.to_vec())),
        option::weighted(0.3, 0..3_u8),
        option::weighted(0.3, range),
        option::weighted(0.4, (-100..300_i64, 0..IDS)),
        limits(),
    )
        .prop_map(|(status, principal, created, after, limit)| Lookup {
            status,
            principal,
            created,
            after,
            limit,
        })
}

fn pasts() -> impl Strategy<Value = Past> {
    let tries = (1..9_u32, 0..4_u32, 0..4_u32).prop_map(|(claims, failures, unsettled)| Tries {
        claims,
        failures,
        unsettled,
    });
    let ago = -50..200_i64;
    (0..5, reasons(), ago, tries).prop_map(|(which, reason, ago, tries)| match which {
        0 => Past::Live,
        1 => Past::Over(reason, ago),
        2 => Past::Waiting(reason, ago, tries),
        3 => Past::Held(reason, ago, tries),
        _ => Past::Dead(reason, ago, tries),
    })
}

/// Mostly the same one, so that a principal has several sessions.
fn owners() -> impl Strategy<Value = u8> {
    prop_oneof![2 => Just(0), 1 => Just(1), 1 => Just(2)]
}

fn reads() -> impl Strategy<Value = Read> {
    prop_oneof![Just(Read::Now), Just(Read::Before)]
}

fn settlements() -> impl Strategy<Value = Settlement> {
    prop_oneof![
        Just(Settlement::Done),
        Just(Settlement::Release),
        (-50..100_i64).prop_map(|after| Settlement::Retry { after }),
        Just(Settlement::Dead),
    ]
}

fn hooks() -> impl Strategy<Value = Hooks> + Clone {
    prop_oneof![
        Just(Hooks::Expected),
        Just(Hooks::Unstated),
        Just(Hooks::Withdrawn)
    ]
}

fn afterwards() -> impl Strategy<Value = Afterwards> {
    prop_oneof![
        leases().prop_map(Afterwards::Hold),
        Just(Afterwards::Queue),
        Just(Afterwards::Discard)
    ]
}

fn tickets() -> impl Strategy<Value = Held> {
    let beside = prop_oneof![5 => Just(0), 1 => Just(-1), 1 => Just(1)];
    (0..IDS, beside).prop_map(|(id, beside)| Held { id, beside })
}

fn reasons() -> impl Strategy<Value = EndReason> {
    prop::sample::select(EndReason::ALL.to_vec())
}

fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![4 => Just(Expected::Right), 1 => Just(Expected::Wrong)]
}

fn fields<T: Clone + fmt::Debug + 'static>(
    values: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Field<T>> {
    prop_oneof![
        3 => Just(Field::Keep),
        1 => Just(Field::Clear),
        1 => values.prop_map(Field::Set),
    ]
}

fn rotations() -> impl Strategy<Value = (u32, Option<i64>)> {
    (0..4_u32, option::of(-50..100_i64))
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..5)
}

fn spans() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 1..150_i64, 1 => 150..1_000_i64]
}

fn leases() -> impl Strategy<Value = u64> {
    1..120_u64
}

fn limits() -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0), 12 => 1..6_u32]
}
