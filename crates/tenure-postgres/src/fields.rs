//! Values of many operations: an array for each field, which `unnest` puts side by side again.

use sqlx::types::Uuid;
use tenure_store::{SessionId, Timestamp};

use crate::row::uuid;

/// Operations in the order of their sessions' ids. A statement that writes rows takes them in
/// the order in which it is given them, and whatever writes several does so in this one: then
/// nobody waits in a circle.
pub(crate) fn in_order<'a, O>(operations: &[&'a O], id: impl Fn(&O) -> SessionId) -> Vec<&'a O> {
    let mut ordered = operations.to_vec();
    ordered.sort_unstable_by_key(|operation| id(operation));
    ordered
}

/// One field of all operations, in their order.
pub(crate) fn each<O, T>(operations: &[O], field: impl Fn(&O) -> T) -> Vec<T> {
    operations.iter().map(field).collect()
}

pub(crate) fn each_id<O>(operations: &[O], id: impl Fn(&O) -> SessionId) -> Vec<Uuid> {
    each(operations, |operation| uuid(id(operation)))
}

pub(crate) fn each_time<O>(operations: &[O], time: impl Fn(&O) -> Timestamp) -> Vec<i64> {
    each(operations, |operation| time(operation).as_millis())
}
