//! What callers were told still holds after the wire or the server failed, wherever it did.

mod cuts;
mod holes;
mod kills;
mod lies;
mod line;
mod load;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

/// Makes a test of each case for each kind of server.
macro_rules! on_every_wire {
    ($($group:ident: $($case:ident)*;)*) => {
        mod postgres {
            on_every_wire!(@cases postgres "needs PostgreSQL: run scripts/test"
                $($group: $($case)*;)*);
            on_every_wire!(@killed postgres "needs PostgreSQL: run scripts/test" );
        }
        mod redis {
            on_every_wire!(@cases redis "needs Redis: run scripts/test" $($group: $($case)*;)*);
            on_every_wire!(@killed redis "needs Redis: run scripts/test" );
        }
        mod redis_cluster {
            on_every_wire!(@killed redis_cluster "needs Redis: run scripts/test"
                $($group: $($case)*;)*);
        }
    };
    (@cases $backend:ident $reason:literal $($group:ident: $($case:ident)*;)*) => {
        $(mod $group {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = $reason]
            async fn $case() {
                crate::$group::$case(stringify!($backend)).await;
            })*
        })*
    };
    // These start servers of their own: to kill them, or to have them send their clients
    // by a wire.
    (@killed $backend:ident $reason:literal $($cases:tt)*) => {
        mod own_server {
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = $reason]
            async fn a_killed_server_has_all_that_was_acknowledged() {
                let server = crate::kills::Mortal::of(stringify!($backend));
                crate::kills::a_killed_server_has_all_that_was_acknowledged(server).await;
            }

            on_every_wire!(@cases $backend $reason $($cases)*);
        }
    };
}

on_every_wire! {
    cuts:
        a_connection_cut_anywhere_loses_nothing_acknowledged
        connections_cut_under_load_lose_nothing_acknowledged
        a_call_given_up_on_its_way_harms_nobody;
    holes:
        a_black_hole_is_unavailable_within_the_deadline_and_then_it_goes_on
        a_slow_server_is_waited_for_until_the_deadline
        a_server_that_refuses_is_unavailable_and_then_it_goes_on;
}

mod redis_sentinel {
    mod own_server {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        #[ignore = "needs Redis: run scripts/test"]
        async fn a_fail_over_loses_what_it_may_and_no_end() {
            crate::kills::a_fail_over_loses_what_it_may_and_no_end().await;
        }
    }
}
