//! How often a store waits for its server: counted on the wire, in front of a real one.

mod library;
mod line;
mod operations;

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
                $(#[tokio::test]
                #[ignore = $reason]
                async fn $case() {
                    let line = crate::line::Line::to(stringify!($backend)).await;
                    crate::$group::$case(line).await;
                })*
            })*
        }
    };
}

on_every_wire! {
    operations:
        an_operation_on_one_session_is_one_round_trip
        an_operation_on_many_sessions_is_a_fixed_number_of_round_trips;
    library:
        a_request_is_as_many_round_trips_as_it_says;
}
