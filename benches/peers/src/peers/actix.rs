//! actix-session: its store in Redis, and its encrypted cookies, which its middleware always has.

use std::collections::HashMap;

use actix_session::storage::{
    RedisSessionStore, SessionKey, SessionStore as _, generate_session_key,
};
use actix_web::cookie::{Cookie, CookieJar, Key};
use deadpool_redis_022::{Config, PoolConfig, Runtime};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::subject::{Result, Subject};
use crate::visit::{Item, Visit};

/// How long a session lives without a request.
const IDLE: time::Duration = time::Duration::days(1);

/// The cookie's name when nothing else is said.
const COOKIE: &str = "id";

/// What no client ever got.
const FORGED: &str = "forged!";

/// Enough that Redis always has something to do.
const CONNECTIONS: usize = 16;

/// Sessions of actix-session in Redis.
pub(crate) struct Actix {
    /// Where they are.
    store: RedisSessionStore,
    /// What encrypts their keys on the way to the client.
    key: Key,
    /// The cookie's value for a session that never was.
    unknown: String,
}

/// A session's attributes, each as a text of JSON.
type State = HashMap<String, String>;

impl Actix {
    /// Through one pipelined connection.
    pub(crate) async fn plain(url: &str) -> Result<Self> {
        Ok(Self::over(RedisSessionStore::new(url).await?))
    }

    /// Through connections that each serve one command at a time.
    pub(crate) async fn pooled(url: &str) -> Result<Self> {
        let mut config = Config::from_url(url);
        config.pool = Some(PoolConfig::new(CONNECTIONS));
        let pool = config.create_pool(Some(Runtime::Tokio1))?;
        Ok(Self::over(RedisSessionStore::new_pooled(pool).await?))
    }

    /// With a key made up for this run.
    fn over(store: RedisSessionStore) -> Self {
        let key = Key::generate();
        let unknown = seal(&key, generate_session_key());
        Self {
            store,
            key,
            unknown,
        }
    }

    /// The session that a cookie's value is for, if it was made here.
    fn open(&self, sealed: &str) -> Option<SessionKey> {
        let mut jar = CookieJar::new();
        jar.add_original(Cookie::new(COOKIE, sealed.to_owned()));
        let cookie = jar.private(&self.key).get(COOKIE)?;
        cookie.value().to_owned().try_into().ok()
    }

    /// A live session that must be there.
    async fn found(&self, sealed: &str) -> Result<(SessionKey, State)> {
        let key = self.open(sealed).ok_or("the cookie was not made here")?;
        let state = self.store.load(&key).await?.ok_or("the session is gone")?;
        Ok((key, state))
    }
}

/// The cookie's value for a session, made as its middleware makes it.
fn seal(key: &Key, session: SessionKey) -> String {
    let mut jar = CookieJar::new();
    jar.private_mut(key)
        .add(Cookie::new(COOKIE, String::from(session)));
    jar.get(COOKIE)
        .map(|cookie| cookie.value().to_owned())
        .unwrap_or_default()
}

/// Reads an attribute as its `Session::get` does.
fn get<T: DeserializeOwned>(state: &State, name: &str) -> Result<T> {
    let text = state.get(name).ok_or("the session lacks an attribute")?;
    Ok(serde_json::from_str(text)?)
}

/// Sets an attribute as its `Session::insert` does.
fn set(state: &mut State, name: &str, value: impl Serialize) -> Result<()> {
    state.insert(name.to_owned(), serde_json::to_string(&value)?);
    Ok(())
}

impl Subject for Actix {
    /// The cookie's value.
    type Key = String;

    async fn create(&self, visit: &Visit) -> Result<String> {
        let mut state = State::new();
        set(&mut state, "user", visit.user)?;
        set(&mut state, "roles", &visit.roles)?;
        set(&mut state, "csrf", &visit.csrf)?;
        set(&mut state, "cart", &visit.cart)?;
        Ok(seal(&self.key, self.store.save(state, &IDLE).await?))
    }

    async fn load(&self, sealed: &String) -> Result<u64> {
        let (_, state) = self.found(sealed).await?;
        get(&state, "user")
    }

    async fn touch(&self, sealed: &String) -> Result<u64> {
        let (key, state) = self.found(sealed).await?;
        self.store.update_ttl(&key, &IDLE).await?;
        get(&state, "user")
    }

    async fn change(&self, sealed: &String, count: u32) -> Result<u64> {
        let (key, mut state) = self.found(sealed).await?;
        let user = get(&state, "user")?;
        let mut cart: Vec<Item> = get(&state, "cart")?;
        cart.first_mut().ok_or("the cart is empty")?.count = count;
        set(&mut state, "cart", &cart)?;
        self.store.update(key, state, &IDLE).await?;
        Ok(user)
    }

    async fn end(&self, sealed: String) -> Result<()> {
        let key = self.open(&sealed).ok_or("the cookie was not made here")?;
        Ok(self.store.delete(&key).await?)
    }

    async fn unknown(&self, _: u64) -> Result<bool> {
        let key = self
            .open(&self.unknown)
            .ok_or("the cookie was not made here")?;
        Ok(self.store.load(&key).await?.is_some())
    }

    async fn forged(&self) -> Result<bool> {
        let Some(key) = self.open(FORGED) else {
            return Ok(false);
        };
        Ok(self.store.load(&key).await?.is_some())
    }
}
