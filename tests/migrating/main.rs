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

/// Makes a test of each case for each pair of backends.
macro_rules! on_every_pair {
    ($($group:ident: $($case:ident)*;)*) => {
        on_every_pair!(@memory_to_memory "memory" "memory" $($group: $($case)*;)*);
        on_every_pair!(@memory_to_sqlite "memory" "sqlite" $($group: $($case)*;)*);
        on_every_pair!(@sqlite_to_memory "sqlite" "memory" $($group: $($case)*;)*);
        on_every_pair!(@sqlite_to_sqlite "sqlite" "sqlite" $($group: $($case)*;)*);
    };
    (@$pair:ident $old:literal $new:literal $($group:ident: $($case:ident)*;)*) => {
        mod $pair {
            $(mod $group {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$group::$case(&crate::pairs::Pair::of($old, $new)).await;
                })*
            })*
        }
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
        a_node_that_dies_while_it_claims_loses_no_hook;
    traffic:
        sessions_in_use_survive_a_copy
        a_reset_during_a_copy_ends_everything_once
        log_ins_find_sessions_in_both_stores;
}
