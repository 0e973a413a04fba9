//! What the library promises, on every backend, by one list.

#![allow(
    clippy::unchecked_time_subtraction,
    reason = "a test that gets it wrong fails"
)]

mod attributes;
mod concurrency;
mod ends;
mod expiry;
mod hooks;
mod key_files;
mod keys;
mod leaving;
mod limits;
mod looking;
mod lost_data;
mod operators;
mod peeking;
mod reapers;
mod sealing;
mod secrets;
mod starts;
mod timeouts;
mod tokens;
mod visitors;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

/// Makes a test of each case for each backend: a case that is on the list runs on all.
macro_rules! on_every_backend {
    ($($group:ident: $($case:ident)*;)*) => {
        on_every_backend!(@memory () $($group: $($case)*;)*);
        on_every_backend!(@sqlite () $($group: $($case)*;)*);
        on_every_backend!(@postgres (#[ignore = "needs PostgreSQL: run scripts/test"])
            $($group: $($case)*;)*);
        on_every_backend!(@redis (#[ignore = "needs Redis: run scripts/test"])
            $($group: $($case)*;)*);
        on_every_backend!(@redis_cluster (#[ignore = "needs Redis Cluster: run scripts/test"])
            $($group: $($case)*;)*);

        const LISTED: &[(&str, &str)] = &[$($((stringify!($group), stringify!($case)),)*)*];
    };
    (@$backend:ident $ignored:tt $($group:ident: $($case:ident)*;)*) => {
        mod $backend {
            $(mod $group {
                $(on_every_backend!(@case $backend $ignored $group $case);)*
            })*
        }
    };
    (@case $backend:ident ($($ignored:tt)*) $group:ident $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $($ignored)*
        async fn $case() {
            let canary = crate::support::canary::Canary::of_this_process();
            let world = crate::support::world::World::on(stringify!($backend)).await;
            crate::$group::$case(world).await;
            assert_eq!(canary.found(), 0, "something secret was printed");
        }
    };
}

on_every_backend! {
    attributes:
        every_value_comes_back_as_it_was
        a_struct_that_gained_a_field_reads_older_values
        a_value_over_a_limit_is_refused_and_the_old_one_stays
        clear_empties_the_attributes_and_nothing_else
        a_commit_without_changes_calls_nothing
        names_may_hold_anything;
    concurrency:
        commits_of_different_attributes_all_survive
        of_one_attribute_the_last_commit_wins
        updates_of_one_attribute_add_up
        updates_add_up_even_when_answers_get_lost
        a_lost_answer_is_found_under_what_others_wrote_since
        two_first_commits_of_a_new_session_make_one
        a_new_session_whose_answer_got_lost_is_stored_once
        a_commit_dropped_at_any_await_leaves_the_old_or_the_new
        a_commit_that_could_not_be_stored_can_be_tried_again;
    ends:
        an_ended_session_is_dead_for_its_token_at_once
        late_writes_to_an_ended_session_are_refused
        ending_twice_ends_once
        ending_a_session_that_was_never_stored_calls_nothing
        all_sessions_of_a_principal_end_but_the_one_that_asks
        a_reset_ends_all_sessions_of_the_application_and_no_others;
    expiry:
        a_session_ends_when_nobody_uses_it
        reading_keeps_a_session_alive_with_few_writes
        passive_requests_do_not_keep_it_alive
        a_peek_changes_nothing
        a_request_that_never_commits_was_an_access_all_the_same
        a_session_of_its_own_time_out_keeps_it
        the_lifetime_ends_a_busy_session
        bad_time_outs_are_refused;
    hooks:
        an_explicit_end_runs_its_hook_at_once_and_once
        a_session_that_ran_out_gets_its_hook_from_the_reaper
        the_hook_gets_the_whole_last_state
        a_hook_that_fails_is_tried_again_and_then_set_aside
        a_hook_that_panics_is_a_failed_hook
        a_hook_that_hangs_does_not_hold_up_the_others
        a_hook_cannot_bring_its_session_back
        unreadable_attributes_still_reach_the_hook
        an_explicit_end_whose_node_dies_is_found_by_a_reaper
        a_refused_settlement_runs_no_hook_twice
        claims_that_nobody_heard_of_bury_no_hook
        a_stopped_node_leaves_first_attempts_to_others
        a_hook_whose_error_panics_has_failed
        a_dropped_round_stops_its_hook_and_gives_back_the_rest;
    key_files:
        a_ring_from_a_file_is_the_ring_that_was_meant
        a_key_file_that_everybody_can_read_is_told_of;
    keys:
        a_key_is_accepted_before_its_date_and_not_from_it_on
        a_payload_is_unreadable_from_its_keys_date_on
        a_session_that_is_only_read_moves_to_the_new_key
        a_passive_request_moves_a_session_and_keeps_it_no_longer
        any_write_moves_a_session
        moving_overwrites_nobody_and_fails_for_nobody
        a_token_in_its_grace_moves_nothing
        a_dropped_key_leaves_the_session_where_it_is
        all_clones_go_by_an_exchanged_ring
        a_ring_is_exchanged_under_traffic;
    leaving:
        a_session_whose_browser_was_closed_ends_with_its_hook
        every_access_takes_a_leave_back
        a_commit_that_began_before_the_leave_takes_it_back
        passive_requests_do_not_take_a_leave_back
        remaining_takes_a_leave_back_and_is_no_access
        remaining_where_nobody_leaves_writes_nothing
        leaving_is_no_access
        nothing_brings_back_a_session_that_has_left
        another_tab_and_the_next_page_keep_the_session;
    limits:
        the_oldest_session_ends_with_its_hook
        the_newest_session_is_refused_and_can_try_again
        logging_in_again_is_no_excess
        a_session_that_was_never_stored_is_held_to_the_limit
        a_lost_answer_lets_nobody_in_twice_or_not_at_all
        log_ins_at_once_on_two_nodes_never_exceed_the_limit
        a_limit_of_no_sessions_is_refused;
    looking:
        looking_changes_nothing_and_shows_no_secret
        a_scan_sees_everybody_once_while_others_come_and_go
        a_scan_holds_one_page_at_a_time
        a_scan_goes_on_after_an_outage
        filters_agree_with_counts
        attributes_are_read_when_somebody_asks;
    lost_data:
        everybody_is_logged_out_and_can_log_in_again
        each_operation_works_first_after_a_loss
        visitors_are_remembered_again_after_a_loss
        a_purger_that_opened_the_emptied_store_first_takes_no_hook
        no_hook_of_a_session_that_is_left_is_lost;
    operators:
        an_operator_sees_who_is_on_and_ends_one
        dead_letters_are_listed_requeued_and_discarded
        an_application_nobody_serves_is_reaped_with_its_hooks
        an_application_nobody_serves_is_reaped_without_its_hooks
        who_runs_hooks_cannot_withdraw_them;
    peeking:
        a_feed_proxy_asks_after_the_portals_sessions
        a_wrong_right_never_reaches_the_store
        a_right_goes_by_the_keys_and_dates_of_its_ring
        a_peeker_goes_by_rotations_and_their_grace
        a_peeker_needs_no_readable_payload
        nothing_that_holds_a_key_shows_one;
    sealing:
        plain_payloads_are_refused_where_they_are_not_wanted
        sealing_is_switched_off_and_on_again_by_use;
    reapers:
        many_reapers_run_each_hook_once
        a_reaper_without_a_hook_needs_to_be_asked_for
        a_reaper_without_hooks_cannot_take_anothers
        a_reaper_that_is_shut_down_gives_back_what_it_has_not_begun
        a_reaper_survives_an_outage
        a_clock_that_jumped_ends_nobody
        a_clock_that_jumps_during_a_round_ends_nobody
        a_reaper_made_for_each_round_doubts_a_jump_too;
    secrets:
        what_is_stored_opens_nothing
        debug_and_errors_show_nothing_secret
        what_is_traced_is_searched;
    starts:
        nothing_is_stored_for_a_visitor_who_does_nothing
        a_start_hook_runs_once_and_is_no_reason_to_store
        a_failing_start_hook_starts_nothing;
    timeouts:
        a_time_out_set_before_the_first_commit_holds
        a_time_out_in_a_start_hook_holds
        a_time_out_of_its_own_survives_requests_and_restarts
        a_leave_survives_a_restart;
    tokens:
        a_log_in_kills_the_old_token_at_once
        a_commit_from_before_a_log_in_is_refused
        a_rotation_lets_the_old_token_read_for_its_grace
        rotation_keeps_everything_but_the_token
        of_two_rotations_at_once_one_wins
        rotating_an_ended_session_creates_nothing
        a_bad_token_never_reaches_the_store
        an_id_is_no_token
        a_token_under_an_accepted_key_is_issued_anew
        a_token_of_one_application_is_noise_to_another
        a_payload_moved_to_another_session_is_unreadable;
    visitors:
        a_cart_outlives_log_outs_time_outs_and_resets
        every_visit_counts_once_however_many_come_at_once
        a_visit_counts_though_nothing_was_changed
        the_last_visit_is_the_one_before_this
        nothing_is_stored_for_who_leaves_nothing
        who_does_not_come_for_ninety_days_is_forgotten
        the_purger_goes_by_the_last_visit_alone
        purgers_side_by_side_do_no_harm
        a_purge_interval_of_zero_is_refused
        of_a_forgotten_visitor_nothing_is_left
        a_visitors_token_is_noise_to_sessions_and_theirs_to_it;
}

#[test]
fn every_case_in_the_files_is_on_the_list() {
    let files = [
        ("attributes", include_str!("attributes.rs")),
        ("concurrency", include_str!("concurrency.rs")),
        ("ends", include_str!("ends.rs")),
        ("expiry", include_str!("expiry.rs")),
        ("hooks", include_str!("hooks.rs")),
        ("key_files", include_str!("key_files.rs")),
        ("keys", include_str!("keys.rs")),
        ("leaving", include_str!("leaving.rs")),
        ("limits", include_str!("limits.rs")),
        ("looking", include_str!("looking.rs")),
        ("lost_data", include_str!("lost_data.rs")),
        ("operators", include_str!("operators.rs")),
        ("peeking", include_str!("peeking.rs")),
        ("sealing", include_str!("sealing.rs")),
        ("reapers", include_str!("reapers.rs")),
        ("secrets", include_str!("secrets.rs")),
        ("starts", include_str!("starts.rs")),
        ("timeouts", include_str!("timeouts.rs")),
        ("tokens", include_str!("tokens.rs")),
        ("visitors", include_str!("visitors.rs")),
    ];
    for (group, text) in files {
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("pub(crate) async fn ") else {
                continue;
            };
            let case = rest.split('(').next().unwrap_or_default();
            assert!(
                LISTED.contains(&(group, case)),
                "{group}::{case} runs nowhere"
            );
        }
    }
}
