//! A store made of two keeps every promise of one, whatever moves, and whoever dies.

mod copies;
mod crashes;
mod line;
mod pairs;
mod sleepers;
mod suites;
mod traffic;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

/// Makes a test of each case for each pair of backends, named `old::to::new`.
macro_rules! on_every_pair {
    (@old $old:ident $ignored:tt $cases:tt) => {
        mod $old {
            mod to {
                on_every_pair!(@new $old memory $ignored () $cases);
                on_every_pair!(@new $old sqlite $ignored () $cases);
                on_every_pair!(@new $old postgres $ignored
                    (#[ignore = "needs PostgreSQL: run scripts/test"]) $cases);
                on_every_pair!(@new $old redis $ignored
                    (#[ignore = "needs Redis: run scripts/test"]) $cases);
                on_every_pair!(@new $old redis_cluster $ignored
                    (#[ignore = "needs Redis Cluster: run scripts/test"]) $cases);
            }
        }
    };
    // One server is reason enough.
    (@new $old:ident $new:ident () $ignored:tt $cases:tt) => {
        on_every_pair!(@pair $old $new $ignored $cases);
    };
    (@new $old:ident $new:ident $ignored:tt $_too:tt $cases:tt) => {
        on_every_pair!(@pair $old $new $ignored $cases);
    };
    (@pair $old:ident $new:ident $ignored:tt [$($group:ident: $($case:ident)*;)*]) => {
        mod $new {
            $(mod $group {
                $(on_every_pair!(@case $old $new $ignored $group $case);)*
            })*
        }
    };
    (@case $old:ident $new:ident ($($ignored:tt)*) $group:ident $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $($ignored)*
        async fn $case() {
            let pair = crate::pairs::Pair::of(stringify!($old), stringify!($new));
            crate::$group::$case(&pair).await;
        }
    };
    ($($cases:tt)*) => {
        on_every_pair!(@old memory () [$($cases)*]);
        on_every_pair!(@old sqlite () [$($cases)*]);
        on_every_pair!(@old postgres (#[ignore = "needs PostgreSQL: run scripts/test"])
            [$($cases)*]);
        on_every_pair!(@old redis (#[ignore = "needs Redis: run scripts/test"]) [$($cases)*]);
        on_every_pair!(@old redis_cluster (#[ignore = "needs Redis Cluster: run scripts/test"])
            [$($cases)*]);
    };
}

on_every_pair! {
    copies:
        a_copy_moves_everything_as_it_was
        a_copy_that_is_cut_off_anywhere_goes_on_where_it_was
        a_copy_waits_for_what_others_hold
        a_copy_keeps_to_its_rate
        a_copy_of_what_is_not_open_is_refused;
    crashes:
        a_node_that_dies_while_it_carries_a_session_logs_nobody_out
        what_is_ended_after_a_crash_stays_ended
        what_is_discarded_after_a_crash_stays_ended
        what_is_purged_after_a_crash_stays_ended
        what_runs_out_after_a_crash_stays_over
        a_reset_after_a_crash_ends_what_was_on_its_way
        a_node_that_dies_while_it_resets_leaves_a_reset_that_can_be_repeated
        a_node_that_dies_while_it_claims_loses_no_hook
        a_new_store_that_refuses_costs_no_attempt
        what_a_dead_node_left_waits_for_no_backlog;
    traffic:
        sessions_in_use_survive_a_copy
        a_reset_during_a_copy_ends_everything_once
        log_ins_find_sessions_in_both_stores;
}
