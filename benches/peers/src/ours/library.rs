//! The whole library: tokens opened, payloads decrypted, a hook registered.

use std::sync::Arc;
use std::time::Duration;

use tenure::{
    EndedSession, Error as TenureError, KeyRing, ManualClock, MasterSecret, Session, SessionStore,
    Sessions, SessionsBuilder, Timestamp, Token,
};

use crate::subject::{Result, Subject};
use crate::visit::{Item, Visit};

/// Much longer than a run.
const IDLE: Duration = Duration::from_hours(24);

pub(crate) struct Library {
    /// Where no access is so late that it is worth a write.
    calm: Sessions,
    /// Where every access is written.
    eager: Sessions,
    /// With the default resolution, a minute, on a clock that is moved by hand.
    aging: Sessions,
    clock: Arc<ManualClock>,
    /// How far that clock moves with each request: so far that each session is used twenty
    /// times a minute.
    step: Duration,
    /// A token of a session that is over.
    unknown: String,
    /// A token with one character changed.
    forged: String,
}

impl Library {
    /// On this store, for so many sessions.
    pub(crate) async fn new(store: Arc<dyn SessionStore>, sessions: usize) -> Result<Self> {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?;
        let now = Timestamp::from_millis(i64::try_from(now.as_millis())?)?;
        let clock = Arc::new(ManualClock::new(now));
        let ring = KeyRing::new("2026-11", MasterSecret::generate()?)?;
        let builder = || -> SessionsBuilder {
            Sessions::builder(Arc::clone(&store), ring.clone(), "portal")
                .idle_timeout(IDLE)
                .lifetime(None)
                .on_end(|_: EndedSession| async { Ok::<_, TenureError>(()) })
        };
        let calm = builder().touch_resolution(IDLE / 2).build().await?;
        let session = calm.start()?;
        session.set("user", &0_u64)?;
        let token = session.commit().await?.ok_or("a new session has a token")?;
        calm.end(&token).await?;
        let unknown = token.as_str().to_owned();
        let last = if unknown.ends_with('A') { "B" } else { "A" };
        let forged = format!("{}{last}", &unknown[..unknown.len() - 1]);
        Ok(Self {
            calm,
            eager: builder().touch_resolution(Duration::ZERO).build().await?,
            aging: builder().clock(Arc::clone(&clock) as _).build().await?,
            clock,
            step: Duration::from_mins(1) / 20 / u32::try_from(sessions)?,
            unknown,
            forged,
        })
    }
}

async fn resumed(sessions: &Sessions, token: &str) -> Result<Session> {
    let session = sessions.resume(&Token::new(token)).await?;
    session.ok_or_else(|| "the session is gone".into())
}

fn user(session: &Session) -> Result<u64> {
    session
        .get("user")?
        .ok_or_else(|| "nobody's session".into())
}

impl Subject for Library {
    type Key = String;

    async fn create(&self, visit: &Visit) -> Result<String> {
        let session = self.calm.start()?;
        session.set("user", &visit.user)?;
        session.set("roles", &visit.roles)?;
        session.set("csrf", &visit.csrf)?;
        session.set("cart", &visit.cart)?;
        let token = session.commit().await?.ok_or("a new session has a token")?;
        Ok(token.as_str().to_owned())
    }

    async fn load(&self, token: &String) -> Result<u64> {
        user(&resumed(&self.calm, token).await?)
    }

    async fn touch(&self, token: &String) -> Result<u64> {
        let session = resumed(&self.eager, token).await?;
        let user = user(&session)?;
        session.commit().await?;
        Ok(user)
    }

    async fn change(&self, token: &String, count: u32) -> Result<u64> {
        let session = resumed(&self.calm, token).await?;
        let mut cart: Vec<Item> = session.get("cart")?.ok_or("there is no cart")?;
        cart[0].count = count;
        session.set("cart", &cart)?;
        session.commit().await?;
        user(&session)
    }

    async fn end(&self, token: String) -> Result<()> {
        let ended = self.calm.end(&Token::new(token)).await?;
        if ended {
            Ok(())
        } else {
            Err("it was over already".into())
        }
    }

    async fn unknown(&self, _: u64) -> Result<bool> {
        let found = self.calm.resume(&Token::new(self.unknown.as_str())).await?;
        Ok(found.is_some())
    }

    async fn forged(&self) -> Result<bool> {
        let found = self.calm.resume(&Token::new(self.forged.as_str())).await?;
        Ok(found.is_some())
    }

    async fn touch_now_and_then(&self, token: &String) -> Result<Option<u64>> {
        self.clock.advance(self.step);
        let session = resumed(&self.aging, token).await?;
        let user = user(&session)?;
        session.commit().await?;
        Ok(Some(user))
    }
}
