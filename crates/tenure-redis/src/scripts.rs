//! All scripts: one file for each, after what they share.

use crate::call::Script;

/// The files, one behind the other.
///
/// Redis refuses a script that fills, as a whole, when its memory is full. What frees memory,
/// ends a session, or takes no more than a few bytes is `freeing`: it is let in all the same,
/// or nobody could log out of a full Redis, nor reap it.
macro_rules! script {
    (@code $($file:literal)*) => {
        concat!(
            include_str!("lua/judge.lua"),
            $(include_str!(concat!("lua/", $file, ".lua"))),*
        )
    };
    (filling $($file:literal)*) => {
        Script::new(script!(@code $($file)*))
    };
    (freeing $($file:literal)*) => {
        Script::new(concat!("#!lua flags=allow-oom\n", script!(@code $($file)*)))
    };
    (reading $($file:literal)*) => {
        Script::reading(script!(@code $($file)*))
    };
}

pub(crate) static LAYOUT: Script = script!(freeing "layout");
pub(crate) static REGISTER: Script = script!(freeing "register");
pub(crate) static OPEN: Script = script!(freeing "open");
pub(crate) static CREATE: Script = script!(filling "create");
pub(crate) static TOUCH: Script = script!(freeing "touch");
pub(crate) static UPDATE: Script = script!(filling "growing" "update");
pub(crate) static SHRINK: Script = script!(freeing "shrinking" "update");
pub(crate) static END: Script = script!(freeing "end");
pub(crate) static END_ALL: Script = script!(freeing "end_all");
pub(crate) static RESET: Script = script!(freeing "reset");
pub(crate) static CONFIRM: Script = script!(freeing "confirm");
pub(crate) static MARK: Script = script!(filling "mark");
pub(crate) static UNMARK: Script = script!(freeing "unmark");
pub(crate) static LIVING: Script = script!(reading "living");
pub(crate) static HEADS: Script = script!(reading "heads");
pub(crate) static CLAIM: Script = script!(freeing "due" "claim");
pub(crate) static PURGE: Script = script!(freeing "due" "purge");
pub(crate) static RENEW: Script = script!(freeing "renew");
pub(crate) static SETTLE: Script = script!(freeing "settle");
pub(crate) static RESOLVE: Script = script!(freeing "resolve");
pub(crate) static FETCH: Script = script!(reading "fetch");
pub(crate) static OVER: Script = script!(reading "over");
pub(crate) static TALLY: Script = script!(reading "tally");

/// All of them: a new connection hands them over, so that no call has to.
pub(crate) static ALL: [&Script; 23] = [
    &LAYOUT, &REGISTER, &OPEN, &CREATE, &TOUCH, &UPDATE, &SHRINK, &END, &END_ALL, &RESET, &CONFIRM,
    &MARK, &UNMARK, &LIVING, &HEADS, &CLAIM, &PURGE, &RENEW, &SETTLE, &RESOLVE, &FETCH, &OVER,
    &TALLY,
];
