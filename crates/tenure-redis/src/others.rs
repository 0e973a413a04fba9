//! The other sessions of a principal who logs in: seen from the newest on, and no further than
//! needed. What is looked at grows with the limit, not with how many sessions there are.

use deadpool_redis::redis::Value;
use futures_util::future::join_all;
use tenure_store::{After, Cursor, EndReason, Principal, Result};

use crate::answer;
use crate::call::{Call, Lane};
use crate::end::{self, By, end_all};
use crate::keys::{Key, Shard};
use crate::place::{self, older, theirs};
use crate::replicas::Trail;
use crate::scripts::LIVING;
use crate::servers::{in_part, together};
use crate::store::Core;
use crate::update::Update;

/// How many sessions one script looks at.
pub(crate) const STEP: u32 = 1000;

pub(crate) struct Others<'a> {
    update: &'a Update,
    principal: &'a Principal,
    shards: Vec<Seen<'a>>,
}

/// What was seen in one shard.
struct Seen<'a> {
    shard: &'a Shard,
    /// Those that were live.
    live: Vec<Cursor>,
    /// The last that was looked at; `None` if that was the oldest.
    last: Option<Cursor>,
}

impl<'a> Others<'a> {
    /// Nobody was looked at yet.
    pub(crate) fn new(update: &'a Update, principal: &'a Principal, shards: &'a [Shard]) -> Self {
        let seen = shards.iter().map(|shard| Seen {
            shard,
            live: Vec::new(),
            last: None,
        });
        Self {
            update,
            principal,
            shards: seen.collect(),
        }
    }

    /// Takes in a page of each shard, the newest first, as long as `page` if there are more.
    pub(crate) async fn see(&mut self, core: &Core, pages: Vec<Value>, page: u32) -> Result<()> {
        let pages = pages.into_iter().map(place::places);
        let pages: Vec<Vec<Cursor>> = pages.collect::<Result<_>>()?;
        let numbered: Vec<_> = pages.into_iter().enumerate().collect();
        self.judge(core, numbered, page, Lane::Requests).await
    }

    /// Looks further, until that is enough or all were seen.
    pub(crate) async fn until(
        &mut self,
        core: &Core,
        is_enough: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        while !is_enough(self) {
            let open = self.shards.iter().enumerate();
            let open = open.filter_map(|(number, seen)| Some((number, seen.shard, seen.last?)));
            let open: Vec<_> = open.collect();
            if open.is_empty() {
                return Ok(());
            }
            let listing = open
                .iter()
                .map(|(_, shard, last)| older(shard, self.principal, *last, STEP).bulk());
            let answers = core.servers.ask_all(listing).await?;
            let pages = open.iter().zip(answers).map(|((number, ..), answer)| {
                let places = place::places(answer)?;
                Ok((*number, places))
            });
            let pages = pages.collect::<Result<Vec<_>>>()?;
            self.judge(core, pages, STEP, Lane::Bulk).await?;
        }
        Ok(())
    }

    async fn judge(
        &mut self,
        core: &Core,
        pages: Vec<(usize, Vec<Cursor>)>,
        length: u32,
        lane: Lane,
    ) -> Result<()> {
        let looking = pages.iter().filter(|(_, places)| !places.is_empty());
        let looking = looking.map(|(number, places)| {
            let mut call = self.living(self.shards[*number].shard, places);
            call.lane = lane;
            call
        });
        let mut answers = core.servers.ask_all(looking).await?.into_iter();
        for (number, places) in pages {
            let is_last = places.len() < length as usize;
            let last = places.last().copied().filter(|_| !is_last);
            if !places.is_empty() {
                let answer = answers.next().ok_or_else(answer::unexpected)?;
                let live = living_of(&places, answer)?;
                let own = self.update.id;
                let others = live.filter(|place| place.id != own);
                self.shards[number].live.extend(others);
            }
            self.shards[number].last = last;
        }
        Ok(())
    }

    fn living(&self, shard: &Shard, places: &[Cursor]) -> Call {
        let records = places.iter().map(|place| Key::Record(place.id));
        LIVING
            .on(shard, [Key::Epoch].into_iter().chain(records))
            .arg(self.update.now.as_millis())
            .arg(self.principal.as_str())
    }

    /// How many live ones were seen.
    pub(crate) fn count(&self) -> usize {
        self.shards.iter().map(|seen| seen.live.len()).sum()
    }

    /// Whether the newest so many live ones are among those that were seen, and whether there
    /// are others is known.
    pub(crate) fn knows_the_newest(&self, newest: usize) -> bool {
        // What nobody has seen is older than the last that was.
        let horizon = self.shards.iter().filter_map(|seen| seen.last).max();
        let Some(horizon) = horizon else { return true };
        let live = self.shards.iter().flat_map(|seen| &seen.live);
        live.filter(|place| **place >= horizon).count() >= newest
    }

    /// How many of the newest so many that were seen are live still.
    pub(crate) async fn still_live(&self, core: &Core, newest: usize) -> Result<usize> {
        let oldest = self.newest(newest);
        let looking = self.shards.iter().map(|seen| {
            let live = seen.live.iter().copied();
            let these: Vec<Cursor> = live
                .filter(|place| oldest.is_none_or(|oldest| *place >= oldest))
                .collect();
            (seen.shard, these)
        });
        let looking: Vec<_> = looking.collect();
        let mut still = 0;
        // In steps: a limit may be high.
        let steps = looking.iter().flat_map(|(shard, places)| {
            let steps = places.chunks(STEP as usize);
            steps.map(move |step| (*shard, step))
        });
        let steps: Vec<_> = steps.collect();
        let asking = steps.iter().map(|(shard, step)| self.living(shard, step));
        let answers = core.servers.ask_all(asking).await?;
        for ((_, step), answer) in steps.iter().zip(answers) {
            still += living_of(step, answer)?.count();
        }
        Ok(still)
    }

    /// The oldest of the newest so many; `None` if there are no more than that.
    fn newest(&self, newest: usize) -> Option<Cursor> {
        let live = self.shards.iter().flat_map(|seen| &seen.live);
        let mut live: Vec<Cursor> = live.copied().collect();
        live.sort_unstable_by(|one, other| other.cmp(one));
        live.get(newest.checked_sub(1)?).copied()
    }

    /// Ends all but the newest so many; counts them.
    pub(crate) async fn end_but_newest(
        &self,
        core: &Core,
        newest: usize,
        reason: EndReason,
        after: After,
        displaced: &mut u64,
        trail: &Trail,
    ) -> Result<()> {
        let by = By {
            principal: self.principal,
            reason,
            after,
            now: self.update.now,
        };
        let kept = match newest {
            0 => None,
            _ if self.count() <= newest => return Ok(()),
            newest => self.newest(newest),
        };
        let ending = self.shards.iter().map(|seen| async {
            let mut ended = 0;
            let ending = self
                .end_older(core, seen, kept, &by, &mut ended, trail)
                .await;
            (ended, ending)
        });
        let (counts, results): (Vec<u64>, Vec<Result<()>>) =
            join_all(ending).await.into_iter().unzip();
        *displaced += counts.into_iter().sum::<u64>();
        let ended = together(results).map(drop);
        ended.map_err(|error| {
            if *displaced > 0 {
                in_part(error)
            } else {
                error
            }
        })
    }

    /// Ends what is older than the kept ones in a shard: the oldest first, those that nobody
    /// has looked at, then those that were seen.
    async fn end_older(
        &self,
        core: &Core,
        seen: &Seen<'_>,
        kept: Option<Cursor>,
        by: &By<'_>,
        ended: &mut u64,
        trail: &Trail,
    ) -> Result<()> {
        let mut behind = None;
        while let Some(last) = seen.last {
            let listing = theirs(seen.shard, self.principal, behind, end::STEP);
            let mut places = place::places(core.servers.ask(listing).await?)?;
            let all = places.len();
            places.retain(|place| *place < last);
            behind = places.last().copied();
            let is_through = places.len() < all || all < end::STEP as usize;
            places.retain(|place| place.id != self.update.id);
            *ended += end_all(core, seen.shard, &places, by, trail).await?;
            if is_through {
                break;
            }
        }
        let mut rest: Vec<Cursor> = seen.live.clone();
        rest.retain(|place| kept.is_none_or(|kept| *place < kept));
        rest.sort_unstable();
        for step in rest.chunks(end::STEP as usize) {
            *ended += end_all(core, seen.shard, step, by, trail).await?;
        }
        Ok(())
    }
}

/// Those of the places that a script says are live.
fn living_of(places: &[Cursor], answer: Value) -> Result<impl Iterator<Item = Cursor>> {
    let answer = answer::array(answer)?;
    let live = places.iter().zip(answer);
    let live = live.filter(|(_, lives)| *lives == Value::Int(1));
    Ok(live.map(|(place, _)| *place))
}
