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

/// Makes a test of each case for each server that has one wire.
macro_rules! on_every_wire {
    ($($group:ident: $($case:ident)*;)*) => {
        on_every_wire!(@postgres "needs PostgreSQL: run scripts/test" $($group: $($case)*;)*);
        on_every_wire!(@redis "needs Redis: run scripts/test" $($group: $($case)*;)*);
    };
    (@$backend:ident $reason:literal $($group:ident: $($case:ident)*;)*) => {
        mod $backend {
            $(mod $group {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                #[ignore = $reason]
                async fn $case() {
                    crate::$group::$case(stringify!($backend)).await;
                })*
            })*

            /// These start a server of their own, and kill it.
            mod own_server {
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                #[ignore = $reason]
                async fn a_killed_server_has_all_that_was_acknowledged() {
                    let server = crate::kills::Mortal::of(stringify!($backend));
                    crate::kills::a_killed_server_has_all_that_was_acknowledged(server).await;
                }
            }
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

mod redis_cluster {
    mod own_server {
        use crate::kills;

        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        #[ignore = "needs Redis Cluster: run scripts/test"]
        async fn a_killed_server_has_all_that_was_acknowledged() {
            let server = kills::Mortal::of("redis_cluster");
            kills::a_killed_server_has_all_that_was_acknowledged(server).await;
        }
    }
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
