//! All scripts: one file for each, after what they share.

use crate::call::Script;

/// The files, one behind the other.
macro_rules! script {
    ($($file:literal)*) => {
        Script::new(concat!(
            include_str!("lua/judge.lua"),
            $(include_str!(concat!("lua/", $file, ".lua"))),*
        ))
    };
}

pub(crate) static LAYOUT: Script = script!("layout");
pub(crate) static REGISTER: Script = script!("register");
pub(crate) static OPEN: Script = script!("open");
pub(crate) static CREATE: Script = script!("create");
pub(crate) static TOUCH: Script = script!("touch");
pub(crate) static UPDATE: Script = script!("update");
pub(crate) static END: Script = script!("end");
pub(crate) static END_ALL: Script = script!("end_all");
pub(crate) static RESET: Script = script!("reset");
pub(crate) static MARK: Script = script!("mark");
pub(crate) static UNMARK: Script = script!("unmark");
pub(crate) static LIVING: Script = script!("living");
pub(crate) static HEADS: Script = script!("heads");
pub(crate) static CLAIM: Script = script!("due" "claim");
pub(crate) static PURGE: Script = script!("due" "purge");
pub(crate) static RENEW: Script = script!("renew");
pub(crate) static SETTLE: Script = script!("settle");
pub(crate) static RESOLVE: Script = script!("resolve");
pub(crate) static FETCH: Script = script!("fetch");
pub(crate) static TALLY: Script = script!("tally");

/// All of them: a new connection hands them over, so that no call has to.
pub(crate) static ALL: [&Script; 20] = [
    &LAYOUT, &REGISTER, &OPEN, &CREATE, &TOUCH, &UPDATE, &END, &END_ALL, &RESET, &MARK, &UNMARK,
    &LIVING, &HEADS, &CLAIM, &PURGE, &RENEW, &SETTLE, &RESOLVE, &FETCH, &TALLY,
];
