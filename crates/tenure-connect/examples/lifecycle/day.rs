//! The day's events. Time is a clock that the example moves, so the day takes seconds.

use std::sync::Arc;
use std::time::Duration;

use tenure::{
    Attribute, BoxError, Clock, EndReason, EndedSession, Error, KeyRing, ManualClock, MasterSecret,
    Sessions, Token,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::report::Report;

const CART: Attribute<Vec<String>> = Attribute::new("cart");
const MINUTE: Duration = Duration::from_mins(1);
const IDLE: Duration = Duration::from_mins(20);
/// How many sessions the reset at the end of the day ends.
const CROWD: u64 = 10_000;

pub(crate) struct Day {
    url: String,
    clock: Arc<ManualClock>,
    keys: KeyRing,
    sessions: Sessions,
    /// What the end hook was told.
    hooks: mpsc::UnboundedReceiver<EndedSession>,
    token: Token,
}

type Step = Result<(), BoxError>;

impl Day {
    pub(crate) async fn begin(url: &str) -> Result<Self, BoxError> {
        let clock = Arc::new(ManualClock::default());
        let keys = KeyRing::new("today", MasterSecret::generate()?)?;
        let (sessions, hooks) = open(url, &clock, &keys).await?;
        Ok(Self {
            url: url.to_owned(),
            clock,
            keys,
            sessions,
            hooks,
            token: Token::new(""),
        })
    }

    pub(crate) async fn first_visit(&mut self, report: &mut Report) -> Step {
        let session = self.sessions.start()?;
        let nothing = session.commit().await?;
        let stored = self.live().await?;
        report.step(
            "a visitor comes and does nothing",
            format_args!("{stored} sessions stored"),
            nothing.is_none() && stored == 0,
        );

        session.set("theme", "dark")?;
        session.set(CART, &vec!["tea".to_owned()])?;
        self.token = session.commit().await?.ok_or("a new session has a token")?;
        let stored = self.live().await?;
        let length = self.token.as_str().len();
        report.step(
            "she puts tea in her cart",
            format_args!("{stored} session stored, a token of {length} characters"),
            stored == 1 && length == 68,
        );
        Ok(())
    }

    pub(crate) async fn log_in(&mut self, report: &mut Report) -> Step {
        let session = self.resume().await?;
        session.log_in("alice")?;
        let old = std::mem::replace(
            &mut self.token,
            session
                .commit()
                .await?
                .ok_or("a log-in rotates the token")?,
        );
        let old_opens = self.sessions.resume(&old).await?.is_some();
        let new = self.resume().await?;
        let cart = new.get(CART)?.unwrap_or_default();
        report.step(
            "she logs in, and gets a new token",
            format_args!("old token opens: {old_opens}, cart: {cart:?}"),
            !old_opens && cart == ["tea"] && new.id() == session.id(),
        );
        Ok(())
    }

    pub(crate) async fn two_changes_at_once(&mut self, report: &mut Report) -> Step {
        let (one, two) = (self.resume().await?, self.resume().await?);
        one.set("language", "fr")?;
        two.set("currency", "EUR")?;
        let (first, second) = tokio::join!(one.commit(), two.commit());
        first.and(second)?;
        let names = self.resume().await?.names();
        report.step(
            "two tabs change different things at once",
            format_args!("both survive: {names:?}"),
            names == ["cart", "currency", "language", "theme"],
        );

        let mut tabs = JoinSet::new();
        for _ in 0..20 {
            let session = self.resume().await?;
            tabs.spawn(async move {
                session
                    .update("hits", |n: Option<u32>| n.unwrap_or(0) + 1)
                    .await
            });
        }
        while let Some(done) = tabs.join_next().await {
            done??;
        }
        let hits: Option<u32> = self.resume().await?.get("hits")?;
        report.step(
            "twenty tabs count one attribute up at once",
            format_args!("hits: {}", hits.unwrap_or(0)),
            hits == Some(20),
        );
        Ok(())
    }

    pub(crate) async fn a_peek(&mut self, report: &mut Report) -> Step {
        let before = self.sessions.peek(&self.token).await?.ok_or("live")?;
        self.clock.advance(MINUTE * 5);
        for _ in 0..100 {
            self.sessions.peek(&self.token).await?;
        }
        let after = self.sessions.peek(&self.token).await?.ok_or("live")?;
        let lost = before
            .time_left
            .zip(after.time_left)
            .map(|(before, after)| before.abs_diff(after).as_secs());
        report.step(
            "a feed looks at it 100 times in 5 minutes",
            format_args!("time left went down by {} s", lost.unwrap_or(0)),
            lost == Some(300) && before.last_access == after.last_access,
        );
        Ok(())
    }

    pub(crate) async fn clear(&mut self, report: &mut Report) -> Step {
        let session = self.resume().await?;
        session.clear();
        session.commit().await?;
        let after = self.resume().await?;
        let who = after.principal().map(|p| p.as_str().to_owned());
        report.step(
            "she clears her session",
            format_args!(
                "{} attributes, still {} and live",
                after.names().len(),
                who.as_deref().unwrap_or("nobody"),
            ),
            after.names().is_empty()
                && who.as_deref() == Some("alice")
                && after.id() == session.id(),
        );
        Ok(())
    }

    pub(crate) async fn logout(&mut self, report: &mut Report) -> Step {
        let session = self.resume().await?;
        session.set("saved", &true)?;
        session.commit().await?;
        let ended = session.end().await?;
        let opens = self.sessions.resume(&self.token).await?.is_some();
        report.step(
            "she logs out",
            format_args!("ended: {ended}, her token opens: {opens}"),
            ended && !opens,
        );
        let call = self.hooks.recv().await.ok_or("the hook runs")?;
        let saved = call.get::<bool>("saved")?;
        report.step(
            "her end hook runs at once",
            format_args!(
                "reason {}, attempt {}, last data: {saved:?}",
                call.reason(),
                call.attempt()
            ),
            call.id() == session.id() && call.reason() == EndReason::Logout && saved == Some(true),
        );
        Ok(())
    }

    pub(crate) async fn a_late_write(&mut self, report: &mut Report) -> Step {
        let session = self.sessions.start()?;
        session.set("theme", "light")?;
        let token = session.commit().await?.ok_or("a token")?;
        let slow = self.sessions.resume(&token).await?.ok_or("live")?;
        session.end().await?;
        self.hooks.recv().await.ok_or("the hook runs")?;
        slow.set("late", &1)?;
        let refused = slow.commit().await;
        let live = self.live().await?;
        report.step(
            "a slow request writes after a logout",
            format_args!("refused: {}, sessions live: {live}", refused.is_err()),
            matches!(refused, Err(Error::Gone)) && live == 0,
        );
        Ok(())
    }

    pub(crate) async fn out_while_we_were_down(&mut self, report: &mut Report) -> Step {
        let session = self.sessions.start()?;
        session.set("note", "left open overnight")?;
        session.commit().await?;
        let ran_out = self.clock.now().plus(IDLE);
        self.reopen().await?;
        self.clock.advance(IDLE * 24);
        let reaped = self.sessions.reaper()?.run_once().await?;
        let call = self.hooks.recv().await.ok_or("the hook runs")?;
        let late = self.clock.now().since(call.ended_at()).as_secs() / 60;
        report.step(
            "a session runs out while the process is down",
            format_args!(
                "{} hook, reason {}, for an end {late} minutes ago",
                reaped.succeeded,
                call.reason(),
            ),
            reaped.succeeded == 1
                && call.id() == session.id()
                && call.reason() == EndReason::IdleTimeout
                && call.ended_at() == ran_out,
        );
        Ok(())
    }

    pub(crate) async fn reset(&mut self, report: &mut Report) -> Step {
        let mut crowd = JoinSet::new();
        for task in 0..64 {
            let sessions = self.sessions.clone();
            crowd.spawn(async move {
                let mut last = None;
                for n in (task..CROWD).step_by(64) {
                    let session = sessions.start()?;
                    session.set("n", &n)?;
                    last = session.commit().await?;
                }
                Ok::<_, Error>(last)
            });
        }
        let mut tokens = Vec::new();
        while let Some(done) = crowd.join_next().await {
            tokens.extend(done??);
        }
        let before = self.live().await?;
        self.sessions.reset().await?;
        let after = self.live().await?;
        let mut opens = 0;
        for token in &tokens {
            opens += u32::from(self.sessions.resume(token).await?.is_some());
        }
        report.step(
            "the application is reset",
            format_args!("{before} sessions live before, {after} after; {opens} tokens open"),
            before == CROWD && after == 0 && opens == 0,
        );
        let reaped = self.sessions.reaper()?.run_once().await?;
        let mut told = 0;
        while let Ok(call) = self.hooks.try_recv() {
            told += u64::from(call.reason() == EndReason::ApplicationReset);
        }
        let left = self.counts().await?;
        let left = left.over + left.waiting + left.held + left.dead;
        report.step(
            "the reaper drains what the reset ended",
            format_args!(
                "{} hooks, {told} for the reset, {left} sessions left",
                reaped.succeeded
            ),
            reaped.succeeded == CROWD && told == CROWD && left == 0,
        );
        Ok(())
    }

    pub(crate) async fn close(self) -> Step {
        self.sessions.shutdown().await;
        self.sessions.store().close().await?;
        Ok(())
    }

    async fn resume(&self) -> Result<tenure::Session, BoxError> {
        Ok(self
            .sessions
            .resume(&self.token)
            .await?
            .ok_or("her session is live")?)
    }

    async fn live(&self) -> Result<u64, BoxError> {
        Ok(self.counts().await?.live)
    }

    async fn counts(&self) -> Result<tenure_store::Counts, BoxError> {
        let sessions = &self.sessions;
        Ok(sessions
            .store()
            .count(sessions.namespace(), self.clock.now())
            .await?)
    }

    /// As after a restart of the process: everything anew but the data. What lives in
    /// memory would be gone with its process, so there the store stays.
    async fn reopen(&mut self) -> Step {
        self.sessions.shutdown().await;
        if self.url.starts_with("memory:") {
            return Ok(());
        }
        self.sessions.store().close().await?;
        (self.sessions, self.hooks) = open(&self.url, &self.clock, &self.keys).await?;
        Ok(())
    }
}

async fn open(
    url: &str,
    clock: &Arc<ManualClock>,
    keys: &KeyRing,
) -> Result<(Sessions, mpsc::UnboundedReceiver<EndedSession>), BoxError> {
    let store = tenure_connect::connect(url).await?;
    let (tell, told) = mpsc::unbounded_channel();
    let sessions = Sessions::builder(store, keys.clone(), "portal")
        .idle_timeout(IDLE)
        .clock(Arc::clone(clock) as _)
        .on_end(move |session: EndedSession| {
            let tell = tell.clone();
            async move { tell.send(session) }
        })
        .build()
        .await?;
    Ok((sessions, told))
}
