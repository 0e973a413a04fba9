//! What cannot be seen from outside: that queues, index and table agree, and that
//! nothing is kept that is no longer needed.

use std::time::Duration;

use tenure_store::{
    Access, After, Change, Created, EndReason, Excess, Failure, Field, Hooks, Namespace, Outcome,
    Payload, Principal, PrincipalLimit, Record, Resolve, Rotation, SessionId, Ticket, Timeout,
    Timestamp, Version,
};

use crate::record::Session;
use crate::space::{Space, Spaces};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis_clamped(i64::try_from(millis).expect("small"))
}

fn id(number: u64) -> SessionId {
    SessionId::from_digest((u128::from(number) << 64 | u128::from(number)).to_le_bytes())
}

fn record(number: u64, now: Timestamp) -> Record {
    Record {
        id: id(number),
        created: now,
        last_access: now,
        accesses: 1,
        idle_timeout: (!number.is_multiple_of(5))
            .then(|| Timeout::from_millis(100).expect("in range")),
        lifetime: None,
        leaves_at: None,
        principal: number.is_multiple_of(2).then(|| name(number % 3)),
        rotation: Rotation::default(),
        version: Version::new(0),
        payload: Payload::new(vec![0; 8]),
    }
}

fn name(number: u64) -> Principal {
    Principal::new(&format!("user {number}")).expect("a name")
}

fn space(spaces: &Spaces) -> &Space {
    spaces.open(&Namespace::sessions("portal").expect("a name"))
}

fn check(space: &Space) {
    for shard in space.shards() {
        shard.check();
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

#[test]
fn whatever_is_done_the_queues_and_the_index_agree_with_the_sessions() {
    let spaces = Spaces::new();
    let space = space(&spaces);
    space.expect(Hooks::Unstated);
    let mut dice = Dice(7);
    let mut now = at(1_000);
    let mut done = [0_u32; 12];
    for step in 0..20_000 {
        now = now.plus(Duration::from_millis(dice.roll(4)));
        let id = id(dice.roll(300));
        let what = dice.roll(12);
        let ticket = Ticket {
            id,
            claim: 1 + u32::from(dice.roll(2) == 0),
        };
        let did = match what {
            0..=2 => {
                let fresh = record(dice.roll(300), now);
                space.create(&fresh) == Created::Done
            }
            3 => space.touch(id, now),
            4 => {
                let mut change = Change::new(Version::new(0), Access::Passive);
                change.principal = [Field::Clear, Field::Set(name(dice.roll(3)))]
                    [usize::from(dice.roll(2) == 0)]
                .clone();
                change.principal_limit = (dice.roll(2) == 0).then_some(PrincipalLimit {
                    sessions: 20,
                    excess: Excess::EndOldest(After::Queue),
                });
                change.leaves_at = Field::Set(now.plus(Duration::from_millis(dice.roll(50))));
                space
                    .update(id, Version::new(0), &change, now)
                    .expect("a good change")
                    == tenure_store::Updated::Done
            }
            5 => {
                let after = [
                    After::Discard,
                    After::Queue,
                    After::Hold(Duration::from_millis(9)),
                ][usize::try_from(dice.roll(3)).expect("small")];
                space.end(id, None, EndReason::Logout, after, now).is_some()
            }
            6 => !space
                .claim(Duration::from_millis(20), 3, now)
                .ended
                .is_empty(),
            7 => {
                let outcomes = [
                    Outcome::Done,
                    Outcome::Release,
                    Outcome::Retry {
                        at: now.plus(Duration::from_millis(30)),
                        why: Failure::new("busy"),
                    },
                    Outcome::Dead {
                        why: Failure::new("broken"),
                    },
                ];
                let outcome = &outcomes[usize::try_from(dice.roll(4)).expect("small")];
                space.settle(&[(ticket, outcome.clone())], now) > 0
            }
            8 => space.renew(&[ticket], Duration::from_millis(5), now) > 0,
            9 => {
                let what = [Resolve::Requeue, Resolve::Discard][usize::from(dice.roll(2) == 0)];
                space.resolve(id, what, now)
            }
            10 => dice.roll(9) == 0 && space.end_principal(&name(1), None, After::Queue, now) > 0,
            _ if dice.roll(9) == 0 => {
                space.epochs.reset(now);
                space.forget_epochs();
                true
            }
            _ => dice.roll(3) == 0 && space.purge(2, now).removed > 0,
        };
        done[usize::try_from(what).expect("small")] += u32::from(did);
        if step % 20 == 0 {
            check(space);
        }
    }
    assert!(done.iter().all(|times| *times > 10), "{done:?}");
}

#[test]
fn a_reset_is_forgotten_with_the_last_session_from_before_it() {
    let spaces = Spaces::new();
    let space = space(&spaces);
    let lease = Duration::from_mins(1);
    for number in 0..10 {
        assert_eq!(space.create(&record(number, at(0))), Created::Done);
    }
    space.epochs.reset(at(1));
    space.forget_epochs();
    assert_eq!(space.claim(lease, 9, at(2)).ended.len(), 9);
    assert_eq!(space.epochs.resets().len(), 1);
    assert_eq!(space.claim(lease, 9, at(2)).ended.len(), 1);
    assert!(space.epochs.resets().is_empty());
}

#[test]
fn resets_of_nothing_leave_nothing_behind() {
    let spaces = Spaces::new();
    let space = space(&spaces);
    for millis in 0..100 {
        space.epochs.reset(at(millis));
        space.forget_epochs();
    }
    assert!(space.epochs.resets().is_empty());
}

#[test]
fn a_touch_leaves_a_session_where_it_is_and_a_reaper_moves_it_on() {
    let spaces = Spaces::new();
    let space = space(&spaces);
    let id = id(1);
    assert_eq!(space.create(&record(1, at(0))), Created::Done);
    let place = || space.shard_of(id).get(id).and_then(Session::place);
    let before = place();
    assert!(space.touch(id, at(60)));
    assert!(place() == before);
    let claimed = space.claim(Duration::from_mins(1), 1, at(150));
    assert!(claimed.ended.is_empty());
    assert_eq!(claimed.next_due, Some(at(160)));
    assert!(place() != before);
    assert_eq!(
        space.claim(Duration::from_mins(1), 1, at(160)).ended.len(),
        1
    );
}

#[test]
fn a_namespace_is_found_whatever_bucket_it_shares() {
    let spaces = Spaces::new();
    let named = |number: u32| Namespace::sessions(&format!("app-{number}")).expect("a name");
    for number in 0..1_000 {
        assert!(spaces.get(&named(number)).is_none());
        let opened = std::ptr::from_ref(spaces.open(&named(number)));
        assert!(std::ptr::eq(opened, spaces.open(&named(number))));
    }
    assert!((0..1_000).all(|number| spaces.get(&named(number)).is_some()));
    assert_eq!(spaces.namespaces().len(), 1_000);
}
