//! What an operator sees of an application's sessions, and may do to one by its id.

use futures_util::{Stream, TryStreamExt as _, stream};
use tenure_store::{Counts, Cursor, EndReason, Filter, Hooks, Resolve, SessionId, Status};

use crate::core::EndHooks;
use crate::{Error, Result, SessionInfo, Sessions};

/// One page of a [list](Sessions::list).
#[derive(Clone, Debug)]
pub struct SessionPage {
    /// In the order of their creation. May be fewer than the limit, or none, on any page.
    pub sessions: Vec<SessionInfo>,
    /// Where the next page begins; `None` ends the list, nothing else does.
    pub next: Option<Cursor>,
}

/// Looking: nothing here is an access, or changes anything.
impl Sessions {
    /// A page of sessions, whatever became of them. A session that exists, and matches,
    /// from the first page to the last is on exactly one of them.
    ///
    /// One round trip. Only the page is ever in memory; attributes stay encrypted until
    /// somebody [reads](SessionInfo::get) them.
    ///
    /// # Errors
    /// `Store`, with `Invalid` for a limit of 0.
    pub async fn list(&self, filter: &Filter) -> Result<SessionPage> {
        let core = &self.core;
        let now = core.now();
        let page = core.store.list(&core.ns, filter, now).await?;
        let sessions = page.entries.into_iter();
        Ok(SessionPage {
            sessions: sessions
                .map(|entry| SessionInfo::new(self, entry, now))
                .collect(),
            next: page.next,
        })
    }

    /// All sessions that match, one after the other: [`list`](Self::list), page after
    /// page, each loaded when the one before it has been taken. The filter's limit is the
    /// size of a page.
    ///
    /// ```
    /// # async fn who_is_on(sessions: tenure::Sessions) -> tenure::Result<()> {
    /// use futures_util::TryStreamExt;
    /// use tenure::{Filter, Status};
    ///
    /// let live = Filter { status: Some(Status::Live), ..Filter::all(100) };
    /// let mut live = sessions.scan(live);
    /// while let Some(session) = live.try_next().await? {
    ///     println!("{} since {}", session.id(), session.created().as_millis());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The stream ends with its first error. Begin another behind what was seen last:
    /// `after: Some(seen.cursor())`.
    pub fn scan(
        &self,
        filter: Filter,
    ) -> impl Stream<Item = Result<SessionInfo>> + Send + Unpin + use<> {
        let sessions = self.clone();
        let pages = stream::try_unfold(Some(filter), move |filter: Option<Filter>| {
            let sessions = sessions.clone();
            async move {
                let Some(filter) = filter else {
                    return Ok(None);
                };
                let page = sessions.list(&filter).await?;
                let rest = page.next.map(|next| Filter {
                    after: Some(next),
                    ..filter
                });
                let found = page.sessions.into_iter().map(Ok::<_, Error>);
                Ok::<_, Error>(Some((stream::iter(found), rest)))
            }
        });
        Box::pin(pages.try_flatten())
    }

    /// One session, whatever became of it; `None` if the store knows nothing of it. One
    /// round trip.
    ///
    /// # Errors
    /// `Store`.
    pub async fn inspect(&self, id: SessionId) -> Result<Option<SessionInfo>> {
        let core = &self.core;
        let now = core.now();
        let entry = core.store.inspect(&core.ns, id, now).await?;
        Ok(entry.map(|entry| SessionInfo::new(self, entry, now)))
    }

    /// How many sessions there are, by status, and how far behind the reapers are. The
    /// store may look at every session.
    ///
    /// # Errors
    /// `Store`.
    pub async fn count(&self) -> Result<Counts> {
        let core = &self.core;
        Ok(core.store.count(&core.ns, core.now()).await?)
    }

    /// The sessions whose end hook has failed as often as allowed: a
    /// [scan](Self::scan). [`requeue`](Self::requeue) or [`discard`](Self::discard) them.
    pub fn dead_letters(&self) -> impl Stream<Item = Result<SessionInfo>> + Send + Unpin + use<> {
        self.scan(Filter {
            status: Some(Status::Dead),
            ..Filter::all(100)
        })
    }
}

/// The operator's work.
impl Sessions {
    /// Ends a live session, for [`EndReason::Administrator`]; says whether there was one.
    /// Durable when it returns; the end hook runs at once in a task. One round trip.
    ///
    /// # Errors
    /// `Store`; after `Unavailable` call it again.
    pub async fn end_by_id(&self, id: SessionId) -> Result<bool> {
        self.core.end(id, None, EndReason::Administrator).await
    }

    /// Gives a dead letter back to the reapers, its failures forgotten; or one that waits
    /// out its back-off, to be run now. `false` if there is none, or somebody is running
    /// its hook. One round trip.
    ///
    /// # Errors
    /// `Store`.
    pub async fn requeue(&self, id: SessionId) -> Result<bool> {
        self.resolve(id, Resolve::Requeue).await
    }

    /// Drops an ended session whose end hook never succeeded, dead letter or waiting: its
    /// hook will not run again. `false` if there is none, or somebody is running its
    /// hook. One round trip.
    ///
    /// # Errors
    /// `Store`.
    pub async fn discard(&self, id: SessionId) -> Result<bool> {
        self.resolve(id, Resolve::Discard).await
    }

    async fn resolve(&self, id: SessionId, what: Resolve) -> Result<bool> {
        let core = &self.core;
        Ok(core.store.resolve(&core.ns, id, what, core.now()).await?)
    }

    /// Says, for all nodes, that no end hook will ever be run again for this application:
    /// one that nobody serves any more. Then a [reaper](Self::reaper) of sessions built
    /// with [`no_end_hook`](crate::SessionsBuilder::no_end_hook) removes what has ended,
    /// those that still wait for their hook included; all but dead letters. To have the
    /// waiting hooks run instead, run the reaper of sessions built with the hook.
    ///
    /// A service with an end hook that is started later, or whose reaper still runs, expects
    /// hooks again.
    ///
    /// # Errors
    /// `Policy` if these sessions have an end hook themselves; `Store`.
    pub async fn withdraw_hooks(&self) -> Result<()> {
        if let EndHooks::Run(_) = self.core.end_hooks {
            return Err(Error::Policy(
                "these sessions have an end hook: withdraw hooks from sessions built with \
                 no_end_hook",
            ));
        }
        let core = &self.core;
        Ok(core.store.open(&core.ns, Hooks::Withdrawn).await?)
    }
}
