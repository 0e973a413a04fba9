//! From settings to `Sessions`.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_store::{
    Error as StoreError, ErrorKind, Eviction, Hooks, Kind, Namespace, SessionStore, Timeout,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::attributes::Limits;
use crate::core::{Core, EndHooks, StartHook};
use crate::jump::JumpWatch;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::payload::Sealing;
use crate::policy::{HookPolicy, OnExcess, Policy};
use crate::queue::Queues;
use crate::reopening::Reopening;
use crate::{
    BoxError, Clock, EndHook, Error, KeyRing, OsRandomness, Randomness, Result, Session, Sessions,
    SystemClock,
};

/// Describes the sessions of one application, from [`Sessions::builder`] to
/// [`build`](Self::build).
pub struct SessionsBuilder {
    store: Arc<dyn SessionStore>,
    keys: KeyRing,
    application: String,
    idle_timeout: Option<Duration>,
    lifetime: Option<Duration>,
    touch_resolution: Option<Duration>,
    rotation_grace: Duration,
    limits: Limits,
    per_principal: Option<(u32, OnExcess)>,
    sealing: Sealing,
    hooks: HookPolicy,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    start_hooks: Vec<StartHook>,
    end_hooks: EndHooks,
}

impl SessionsBuilder {
    pub(crate) fn new(store: Arc<dyn SessionStore>, keys: KeyRing, application: String) -> Self {
        Self {
            store,
            keys,
            application,
            idle_timeout: Some(Duration::from_mins(20)),
            lifetime: Some(Duration::from_hours(12)),
            touch_resolution: None,
            rotation_grace: Duration::ZERO,
            limits: Limits::default(),
            per_principal: None,
            sealing: Sealing::default(),
            hooks: HookPolicy::default(),
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(OsRandomness),
            start_hooks: Vec::new(),
            end_hooks: EndHooks::Unstated,
        }
    }

    /// How long a session lives without an access: 20 minutes by default. `None` for
    /// ever. A single session can have [its own](Session::set_idle_timeout).
    #[must_use]
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = timeout.into();
        self
    }

    /// How long a session lives at all, however busy: 12 hours by default. `None` for
    /// ever.
    #[must_use]
    pub fn lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.lifetime = lifetime.into();
        self
    }

    /// How old the access on record may be before the next one is written; zero writes
    /// every access. By default a twentieth of the session's idle time-out, at most a
    /// minute; never more than half of it. A session may end this much early, never late.
    #[must_use]
    pub fn touch_resolution(mut self, resolution: Duration) -> Self {
        self.touch_resolution = Some(resolution);
        self
    }

    /// How long the old token still reads after a [rotation](Session::rotate): not at
    /// all by default. After a log-in it is dead at once, whatever this says.
    #[must_use]
    pub fn rotation_grace(mut self, grace: Duration) -> Self {
        self.rotation_grace = grace;
        self
    }

    /// How many attributes a session may have, and how large.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many live sessions a principal may have, and what becomes of one too many: any
    /// number by default. It is kept by each [log-in](Session::log_in) as it is
    /// committed, exactly, however many come at once on however many nodes; a limit that
    /// is lowered takes effect with the principal's next log-in. A session that has never
    /// been committed costs a log-in two round trips instead of one.
    #[must_use]
    pub fn sessions_per_principal(mut self, limit: u32, excess: OnExcess) -> Self {
        self.per_principal = Some((limit, excess));
        self
    }

    /// Stores attributes in the clear from now on, for tools that are to read them in the
    /// store: whoever can read the store reads them, and whoever can write to it can give
    /// any session any attributes. Tokens stay encrypted. Encrypted attributes are still
    /// read, and are in the clear after the session's next use.
    ///
    /// The way back is [`accept_plain_payloads`](Self::accept_plain_payloads).
    #[must_use]
    pub fn plain_payloads(mut self) -> Self {
        self.sealing = Sealing::Off;
        self
    }

    /// Encrypts attributes, as by default, but reads those in the clear as well, which
    /// are otherwise `Unreadable`: for as long as it takes until every session that
    /// [plain payloads](Self::plain_payloads) left behind was used or has ended.
    #[must_use]
    pub fn accept_plain_payloads(mut self) -> Self {
        self.sealing = Sealing::PlainAccepted;
        self
    }

    /// Is run in each [`start`](Sessions::start), before anybody else sees the session;
    /// hooks run in the order in which they were given. What it sets is stored with the
    /// session's first write, but is no reason for one. If it fails, the session is not
    /// started.
    #[must_use]
    pub fn on_start<E: Into<BoxError>>(
        mut self,
        hook: impl Fn(&Session) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.start_hooks
            .push(Box::new(move |session| hook(session).map_err(Into::into)));
        self
    }

    /// Is run for each session that has ended; see [`EndHook`]. From now on the store
    /// keeps every ended session until its hook has succeeded, so run a
    /// [reaper](Sessions::reaper) as well.
    #[must_use]
    pub fn on_end(mut self, hook: impl EndHook) -> Self {
        self.end_hooks = EndHooks::Run(Arc::new(hook));
        self
    }

    /// Says that no end hook is wanted: a [reaper](Sessions::reaper) of these sessions
    /// removes what has ended. It is refused where another process expects hooks.
    #[must_use]
    pub fn no_end_hook(mut self) -> Self {
        self.end_hooks = EndHooks::None;
        self
    }

    /// How long one run of the end hook may take: 30 s by default. A hook that takes longer
    /// is stopped where it waits, and the attempt has failed; see [`EndHook`] on blocking
    /// work, which nothing stops.
    #[must_use]
    pub fn hook_time_limit(mut self, limit: Duration) -> Self {
        self.hooks.time_limit = limit;
        self
    }

    /// How often a failing end hook is run before its session is set aside as a dead
    /// letter: 10 by default.
    #[must_use]
    pub fn hook_attempts(mut self, attempts: u32) -> Self {
        self.hooks.attempts = attempts;
        self
    }

    /// The wait after an end hook's first failure: 1 s by default. It doubles with each
    /// further failure, up to an hour. Each wait is shortened at random, by a quarter at
    /// most. A [reaper](Sessions::reaper) of this process wakes up for the next attempt, or
    /// sees to it when hooks that it is busy with are through; those of other processes look
    /// at least as often as they [pause](crate::Reaper::pause).
    #[must_use]
    pub fn hook_retry(mut self, first: Duration) -> Self {
        self.hooks.first_retry = first;
        self
    }

    /// How long a node that runs end hooks holds them without a sign of life: 90 s by
    /// default; more than 30 s, by which clocks may differ, and at most an hour. After a
    /// crash, that is how long its hooks wait.
    #[must_use]
    pub fn hook_lease(mut self, lease: Duration) -> Self {
        self.hooks.lease = lease;
        self
    }

    /// Where the time comes from; a [`ManualClock`](crate::ManualClock) in tests.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where random bytes come from: the operating system by default. Only tests have a
    /// reason to change it.
    #[must_use]
    pub fn randomness(mut self, random: Arc<dyn Randomness>) -> Self {
        self.random = random;
        self
    }

    /// Checks the settings and the store, and makes the application known to it. To be
    /// called inside a Tokio runtime, with its timers enabled: hooks, and what is left to a
    /// task, run on the runtime of whoever calls, and on this one where there is none.
    ///
    /// # Errors
    /// `Store` with `Invalid` for a name or time-out outside the rules, with
    /// `Misconfigured` for a store that may evict sessions; `Policy` for other settings.
    pub async fn build(self) -> Result<Sessions> {
        self.build_as(Kind::Sessions).await
    }

    pub(crate) async fn build_as(self, kind: Kind) -> Result<Sessions> {
        let runtime = Handle::try_current().map_err(|_| {
            Error::Policy("sessions need a Tokio runtime: build them inside one, and keep it")
        })?;
        let ns = Namespace::new(kind, &self.application)?;
        let per_principal = self.per_principal;
        let policy = Policy {
            principal_limit: per_principal
                .map(|(sessions, excess)| excess.limit(sessions))
                .transpose()?,
            idle_timeout: self.idle_timeout.map(Timeout::new).transpose()?,
            lifetime: self.lifetime.map(Timeout::new).transpose()?,
            touch_resolution: self.touch_resolution,
            rotation_grace: self.rotation_grace,
            limits: self.limits,
            hooks: self.hooks,
        };
        policy.hooks.check()?;
        let description = self.store.describe(self.clock.now()).await?;
        if description.eviction == Eviction::Possible {
            return Err(Error::Store(StoreError::new(
                ErrorKind::Misconfigured,
                "the store may drop sessions to make room; set its eviction policy to none",
            )));
        }
        let hooks = match self.end_hooks {
            EndHooks::Run(_) => Hooks::Expected,
            EndHooks::Unstated | EndHooks::None => Hooks::Unstated,
        };
        self.store.open(&ns, hooks).await?;
        let mut writer = [0; 4];
        self.random.fill(&mut writer)?;
        let core = Core {
            writer: u32::from_le_bytes(writer),
            metrics: Metrics::new(&ns),
            jumps: Mutex::new(JumpWatch::new(self.clock.as_ref(), policy.hooks.lease)),
            keys: Keys::new(&self.keys, &ns, self.sealing),
            store: Reopening::new(self.store, hooks),
            ns,
            policy,
            clock: self.clock,
            random: self.random,
            start_hooks: self.start_hooks,
            end_hooks: self.end_hooks,
            queues: Queues::default(),
            built_on: runtime,
            running: TaskTracker::new(),
            retries: watch::Sender::new(()),
            lost_claims: AtomicBool::new(false),
        };
        Ok(Sessions {
            core: Arc::new(core),
        })
    }
}

impl fmt::Debug for SessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsBuilder")
            .field("application", &self.application)
            .field("idle_timeout", &self.idle_timeout)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
