//! The one list of all cases: what a suite runs, and what its tests are called.

/// Hands the list to another macro, after that one's own arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! with_cases {
    ($callback:path, $($arguments:tt)*) => {
        $callback! { $($arguments)*
            A1a create what_was_created_is_loaded_as_it_went_in,
            A1b create every_version_is_a_version,
            A1c update an_update_changes_what_it_names_and_nothing_else,
            A1d update an_update_of_another_version_changes_nothing,
            A1e update an_update_is_done_once_for_each_version,
            A1f update a_touch_conflicts_with_no_update,
            A2a create an_empty_payload_is_a_payload,
            A2b create a_payload_is_kept_bit_for_bit,
            A3 create an_unknown_id_is_absent_and_stays_unknown,
            A4a create an_id_in_use_is_not_given_again,
            A4b create an_id_is_free_once_its_tombstone_is_gone,
            A4c create a_record_that_ran_out_already_is_stored_and_over,
            A5a update an_ended_session_is_absent_at_once,
            A5b update an_end_returns_what_is_kept_of_the_session,
            A5c update ending_again_finds_nothing,
            A5d update ending_what_ran_out_finds_nothing,
            A5e update an_end_that_holds_gives_the_caller_the_first_claim,
            A5f update an_end_that_does_not_hold_gives_no_ticket,
            A7a limits a_payload_at_the_limit_round_trips,
            A7b limits a_payload_beyond_the_limit_is_refused,
            A7c limits a_large_payload_comes_through_everywhere,
            A7d limits a_limit_of_zero_is_refused,
            A7e limits the_largest_limit_is_fine,
            A8a names no_principal_is_mistaken_for_another,
            A8b names no_application_is_mistaken_for_another,
            A9a lifecycle every_opened_namespace_is_known,
            A9b lifecycle opening_again_changes_nothing,
            A9c lifecycle many_can_open_at_once,
            A9d lifecycle a_store_describes_itself,
            A9e lifecycle a_closed_store_is_unavailable,
            A9f lifecycle closing_finishes_what_was_accepted,
            B11 isolation an_id_in_two_namespaces_is_two_sessions,
            B12a isolation create_takes_no_id_in_another_namespace,
            B12b isolation load_finds_nothing_of_another_namespace,
            B12c isolation touch_reaches_nothing_in_another_namespace,
            B12d isolation update_reaches_nothing_in_another_namespace,
            B12e isolation end_reaches_nothing_in_another_namespace,
            B12f isolation end_principal_reaches_nobody_in_another_namespace,
            B12g isolation reset_reaches_nothing_in_another_namespace,
            B12h isolation claim_finds_nothing_of_another_namespace,
            B12i isolation renew_reaches_nothing_in_another_namespace,
            B12j isolation settle_reaches_nothing_in_another_namespace,
            B12k isolation purge_removes_nothing_of_another_namespace,
            B12l isolation inspect_shows_nothing_of_another_namespace,
            B12m isolation list_shows_nothing_of_another_namespace,
            B12n isolation count_counts_nothing_of_another_namespace,
            B12o isolation resolve_reaches_nothing_in_another_namespace,
            B12p isolation import_takes_no_id_in_another_namespace,
            B12q names an_unknown_namespace_is_refused_by_what_writes,
            B12r names a_namespace_is_known_by_opening_alone,
            B13 names a_prefix_of_a_name_is_another_name,
            C15 expiry a_session_is_absent_from_the_very_instant_it_runs_out,
            C16a expiry being_found_absent_changes_nothing,
            C16b expiry the_earliest_cause_is_the_reason,
            C17 expiry each_session_has_time_outs_of_its_own,
            C18a timeouts shortening_takes_effect_at_once,
            C18b timeouts shortening_into_the_past_ends_the_session,
            C18c timeouts lengthening_does_not_revive,
            C18d timeouts lengthening_in_time_lets_it_live,
            C19 timeouts a_session_can_last_for_ever,
            C20 timeouts the_longest_time_outs_do_not_overflow,
            C21 timeouts no_use_outlives_the_lifetime,
            C22a clock no_time_moves_back_with_the_clock,
            C22b clock what_ended_stays_ended_when_the_clock_steps_back,
            C22c clock what_a_clock_merely_jumped_past_is_not_ended,
            C22d clock times_in_the_future_are_survived,
            C23a ahead what_a_clock_ahead_put_off_is_due_at_once,
            C23b ahead an_hour_and_the_skew_are_waited_for,
            C23c ahead an_operator_takes_what_a_clock_ahead_holds,
            C23d ahead a_purge_takes_what_a_clock_ahead_holds,
            C23e ahead nothing_is_put_off_for_more_than_an_hour,
            C24 clock a_clock_ahead_ends_nothing_by_more_than_that,
            C25 clock what_ran_out_while_nobody_looked_is_reaped,
            D26a touch a_touch_extends,
            D26b touch a_session_in_use_lives_on,
            D26c touch looking_changes_nothing,
            D28a touch a_touch_of_the_absent_does_nothing,
            D28b touch a_late_touch_moves_no_time_back,
            D29a touch a_passive_update_is_no_access,
            D29b touch a_counting_update_is_an_access,
            D30a touch leaving_ends_the_session_then,
            D30b touch an_access_takes_a_leave_back,
            D30c touch a_passive_update_takes_no_leave_back,
            E31a ended what_its_user_ended_stays_ended,
            E31b ended what_its_user_ended_and_holds_stays_ended,
            E31c ended what_was_ended_and_discarded_stays_ended,
            E31d ended what_a_reaper_ended_stays_ended,
            E31e ended what_a_reset_ended_stays_ended,
            E31f ended what_was_ended_with_its_principal_stays_ended,
            E31g ended what_ran_out_stays_ended,
            E31h ended a_dead_letter_stays_ended,
            E32 concurrency nobody_reads_half_a_record,
            E33a concurrency no_update_is_lost,
            E33b concurrency one_update_of_a_version_wins,
            E33c concurrency no_access_is_lost,
            E33d concurrency calls_at_once_each_get_their_own_answer,
            E33e concurrency calls_at_once_in_several_namespaces_are_apart,
            E34 concurrency two_creations_of_one_id_make_one_session,
            E35 cancellation a_dropped_call_leaves_the_old_state_or_the_new,
            F37a rotation a_rotation_keeps_everything_else,
            F37b rotation a_log_in_sets_principal_and_rotation_at_once,
            F38 rotation of_two_rotations_at_once_one_wins,
            F39a rotation a_rotation_racing_an_end_never_leaves_it_alive,
            F39b rotation rotating_the_absent_creates_nothing,
            F39c rotation an_end_for_a_replaced_token_finds_nothing,
            H47 hooks no_payload_harms_its_neighbours,
            I50a pages pages_are_in_the_order_of_creation_and_id,
            I50b pages a_scan_sees_every_lasting_session_once,
            I51a pages a_scan_for_few_among_many_ends,
            I51b look filters_agree_with_counts,
            I51c pages a_filter_by_creation_is_half_open,
            I51d look the_list_of_a_principal_follows_its_sessions,
            I51e look counts_tell_how_far_behind_the_reapers_are,
            I51f look inspecting_shows_what_became_of_a_session,
            J52a reset a_reset_ends_what_came_before_it_and_nothing_after,
            J52b reset a_reset_is_the_reason_unless_there_was_an_earlier_one,
            J52c reset each_session_is_ended_by_the_first_reset_after_it,
            J52d reset a_reset_leaves_tombstones_alone,
            J52e reset a_reset_goes_by_order_not_by_clocks,
            J53 reset a_reset_of_nothing_is_fine,
            J54a races a_reset_under_traffic_leaves_no_old_session,
            J54b races an_update_racing_a_reset_revives_nothing,
            J55a principal a_principals_sessions_end_together,
            J55b principal one_of_a_principals_sessions_can_be_spared,
            J55c principal an_unknown_principal_ends_nobody,
            J55d principal it_is_the_present_principal_that_counts,
            J55e principal a_principals_sessions_can_be_discarded,
            J55f principal the_ends_of_many_cannot_be_held,
            J55g principal only_live_sessions_end_with_their_principal,
            J55h principal a_principal_of_many_sessions_ends_whole,
            J56 races ends_that_race_make_one_end,
            J57 reset a_reset_of_sessions_leaves_visitors_alone,
            J58a log_ins the_oldest_session_makes_room,
            J58b log_ins a_full_principal_is_refused,
            J58c log_ins logging_in_again_is_no_excess,
            J58d log_ins only_live_sessions_count,
            J58e log_ins nobody_elses_sessions_count,
            J58f log_ins a_refused_log_in_ends_nobody,
            J58g log_ins a_lowered_limit_ends_several,
            J58h log_ins displaced_sessions_can_be_discarded,
            J58i log_ins a_limit_is_looked_at_with_a_principal_only,
            J58j log_ins an_impossible_limit_is_refused,
            J58k log_in_races log_ins_at_once_never_exceed_the_limit,
            J58l log_in_races of_log_ins_at_once_as_many_as_may_are_let_in,
            K58a reap two_reapers_get_each_session_once,
            K58b reap eight_reapers_get_each_session_once,
            K59a reap a_session_used_just_before_the_claim_lives_on,
            K59b reap a_touch_racing_a_claim_has_one_winner,
            K60a reap a_backlog_drains_in_batches,
            K60b reap the_oldest_come_first,
            K60c reap nothing_starves,
            K60d reap the_few_that_ended_come_out_from_among_the_used,
            K61a settle a_claim_holds_what_it_returns,
            K61b settle a_claim_nobody_settles_comes_again,
            K62a settle a_late_ticket_is_good_until_somebody_else_claims,
            K62b settle an_overtaken_ticket_settles_nothing,
            K62c settle a_ticket_is_used_up_by_settling,
            K62d settle of_several_outcomes_the_first_counts,
            K62e settle a_batch_settles_each_of_its_tickets,
            K62f settle a_renewed_lease_holds,
            K62g settle renewing_renews_what_is_still_ones_own,
            K63a due a_claim_with_nothing_due_changes_nothing,
            K63b due a_reaper_can_sleep_until_the_next_is_due,
            K63c due next_due_covers_tombstones,
            K63d due next_due_forgets_what_never_will_be,
            K64a letters a_failed_attempt_is_tried_again_later,
            K64b letters a_released_claim_may_be_claimed_at_once,
            K64c letters a_dead_letter_is_kept_and_left_alone,
            K64d letters a_requeued_dead_letter_starts_anew,
            K64e letters a_discarded_tombstone_is_gone,
            K64f letters an_operator_can_take_what_nobody_holds,
            K64g letters an_operator_takes_nothing_that_is_held_or_not_ended,
            K67a purge a_purge_removes_what_nobody_holds_and_nothing_else,
            K67b purge a_purge_of_many_is_counted_once,
            K67c purge a_purge_leaves_what_was_used_meanwhile,
            K67d purge a_purged_id_is_free,
            K67e purge a_purger_can_sleep_until_the_next_is_due,
            K67f purge a_purge_is_refused_while_hooks_are_expected,
            K67g purge withdrawn_hooks_allow_a_purge,
            K67h purge a_claim_tells_whether_hooks_are_expected,
            L68 hooks a_hook_gets_the_whole_last_record,
            L69 hooks a_failing_hook_holds_up_no_other,
            L70a hooks an_ender_runs_its_hook_with_reapers_looking_on,
            L70b hooks of_two_enders_one_has_the_hook,
            L70c hooks no_ticket_comes_twice,
            O79a import an_imported_session_lives_on,
            O79b import an_imported_tombstone_is_what_it_was,
            O79c import an_imported_session_that_was_over_stays_over,
            O79d import an_import_revives_nothing_that_ran_out,
            O79e import an_import_takes_no_id_in_use,
            O79f import an_import_happens_once,
            O79g import an_imported_session_belongs_to_the_present,
            O79h import a_copy_is_like_the_original,
            O79i import an_import_with_impossible_counters_is_refused,
            O79j epochs a_copy_from_before_a_reset_revives_nothing,
            O79k epochs a_taken_id_is_taken_in_every_epoch,
            O79l epochs every_reset_begins_another_epoch,
            O79m epochs an_import_racing_a_reset_revives_nothing,
            O80 limits a_refused_value_fails_nobody_else,
            O81 traffic no_two_operations_deadlock,
        }
    };
}

/// Makes the list a constant.
macro_rules! constant {
    ($($id:ident $file:ident $name:ident,)*) => {
        /// Every case, in the order of their ids.
        pub const CASES: &[$crate::Case] = &[$($crate::Case {
            id: stringify!($id),
            section: stringify!($file),
            name: stringify!($name),
            play: |stage| Box::pin($crate::cases::$file::$name(stage)),
        },)*];
    };
}

with_cases!(constant,);

/// Makes one test of each case, named like it, in a module for each section.
///
/// It takes an expression that makes a future of a `Box<dyn Fixture>`, evaluated once
/// for each test; and, where the tests need something that is not always there, the
/// reason for which they are ignored until somebody asks for them with
/// `--include-ignored`:
///
/// ```
/// # use tenure_conformance::Fixture;
/// # async fn my_store() -> Box<dyn Fixture> { unimplemented!() }
/// # async fn my_server() -> Box<dyn Fixture> { unimplemented!() }
/// # fn main() {}
/// mod embedded {
///     tenure_conformance::suite!(super::my_store());
/// }
/// mod served {
///     tenure_conformance::suite!(ignore = "needs a server", super::my_server());
/// }
/// ```
#[macro_export]
macro_rules! suite {
    (ignore = $reason:literal, $fixture:expr $(,)?) => {
        $crate::with_cases! { $crate::tests, (#[ignore = $reason]) ($fixture) }
    };
    ($fixture:expr $(,)?) => {
        $crate::with_cases! { $crate::tests, () ($fixture) }
    };
}

/// One test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! tests {
    ($attributes:tt $fixture:tt $($id:ident $file:ident $name:ident,)*) => {
        $($crate::tests! { @one $attributes $fixture $id $name })*
    };
    (@one ($($attribute:tt)*) ($fixture:expr) $id:ident $name:ident) => {
        #[test]
        $($attribute)*
        fn $name() {
            $crate::case(stringify!($id)).test($fixture);
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::CASES;
    use crate::Case;

    /// The cases as the source files have them: section and name.
    fn written() -> BTreeSet<String> {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cases");
        let mut written = BTreeSet::new();
        for file in fs::read_dir(cases).expect("the cases are there") {
            let path = file.expect("it can be read").path();
            let module = path.file_stem().and_then(|stem| stem.to_str());
            let text = fs::read_to_string(&path).expect("it is text");
            for rest in text.split("\npub async fn ").skip(1) {
                let name = rest.split('(').next().unwrap_or_default();
                written.insert(format!("{} {name}", module.unwrap_or_default()));
            }
        }
        written
    }

    #[test]
    fn every_case_is_on_the_list() {
        let name = |case: &Case| format!("{} {}", case.section, case.name);
        let listed: BTreeSet<_> = CASES.iter().map(name).collect();
        let missing: Vec<_> = written().difference(&listed).cloned().collect();
        assert!(missing.is_empty(), "not on the list: {missing:?}");
    }

    #[test]
    fn ids_and_names_are_unique() {
        let ids: BTreeSet<_> = CASES.iter().map(|case| case.id).collect();
        let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!((ids.len(), names.len()), (CASES.len(), CASES.len()));
    }
}
