//! Takes one step: calls the store, asks the model, compares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_store::{
    After, Cursor, Description, Entry, Epoch, ErrorKind, Filter, Namespace, Outcome, Result,
    SessionId, SessionStore, Ticket, Timestamp,
};

use super::draft::{Drawing, pick, whose};
use super::plan::{Act, Afterwards, Expected, NODES, Read, SPACES, Step, Tick};
use crate::model::{Judgement, Model, same_answer};
use crate::props;

/// A store and its model, side by side.
pub(super) struct Machine<'a> {
    pub(super) nodes: &'a [Arc<dyn SessionStore>],
    pub(super) spaces: [Namespace; SPACES],
    pub(super) skew: [i64; NODES],
    pub(super) model: Model,
    /// Milliseconds into the story, by the right clock.
    pub(super) clock: i64,
    /// How many versions were drawn.
    pub(super) drawn: u64,
    pub(super) epochs: Epochs,
}

/// The epoch that was read last for each session: the store's, and the model's.
pub(super) type Epochs = BTreeMap<(Namespace, SessionId), (Epoch, usize)>;

impl Machine<'_> {
    pub(super) async fn take(&mut self, step: &Step) -> Judgement {
        let ns = &self.spaces[step.space];
        let skew = self.skew[step.node];
        self.clock = match step.tick {
            Tick::By(millis) => self.clock + millis,
            Tick::Beside(id, millis) => match self.model.next_edge(ns, pick(id)) {
                Some(edge) => edge.as_millis() - props::at(0).as_millis() + millis - skew,
                None => self.clock,
            },
        };
        self.scene(step.space, step.node).act(&step.act).await
    }

    /// A namespace, as a node sees it now.
    pub(super) fn scene(&mut self, space: usize, node: usize) -> Scene<'_> {
        Scene {
            store: &*self.nodes[node],
            ns: &self.spaces[space],
            now: props::at(self.clock + self.skew[node]),
            model: &mut self.model,
            drawn: &mut self.drawn,
            epochs: &mut self.epochs,
        }
    }
}

/// One call's surroundings.
pub(super) struct Scene<'a> {
    pub(super) store: &'a dyn SessionStore,
    pub(super) ns: &'a Namespace,
    pub(super) now: Timestamp,
    pub(super) model: &'a mut Model,
    pub(super) drawn: &'a mut u64,
    pub(super) epochs: &'a mut Epochs,
}

impl Scene<'_> {
    async fn act(&mut self, act: &Act) -> Judgement {
        match act {
            Act::Load(id) => self.load(pick(*id)).await,
            Act::Touch(id) => self.touch(pick(*id)).await,
            Act::Inspect(id) => self.inspect(pick(*id)).await,
            Act::Epoch(id) => self.epoch(pick(*id)).await,
            Act::Create(_) | Act::Update(..) | Act::Import(..) => self.write(act).await,
            Act::End(..) | Act::EndPrincipal(..) | Act::Reset => self.end(act).await,
            Act::Claim { lease, limit } => {
                let limit = self.accepted(*limit);
                self.claim(Duration::from_millis(*lease), limit).await
            }
            Act::Purge { limit } => self.purge(self.accepted(*limit)).await,
            Act::Renew { .. } | Act::Settle(_) | Act::Resolve(..) => self.work(act).await,
            Act::List(lookup) => {
                let filter = Filter {
                    limit: self.accepted(lookup.limit),
                    ..lookup.filter()
                };
                self.list(&filter).await.map(|_| ())
            }
            Act::Count => self.count().await,
            Act::Open(_) | Act::Namespaces | Act::Describe => self.manage(act).await,
        }
    }

    /// The limit, but not both 0 and in a namespace where nothing is found anyway: which
    /// of the two a store notices first is its own business.
    fn accepted(&self, limit: u32) -> u32 {
        if self.model.is_open(self.ns) {
            limit
        } else {
            limit.max(1)
        }
    }

    async fn load(&mut self, id: SessionId) -> Judgement {
        let got = self.store.load(self.ns, id, self.now).await;
        same_answer("load", got, Ok(self.model.load(self.ns, id, self.now)))
    }

    async fn touch(&mut self, id: SessionId) -> Judgement {
        let got = self.store.touch(self.ns, id, self.now).await;
        same_answer("touch", got, Ok(self.model.touch(self.ns, id, self.now)))
    }

    pub(super) async fn inspect(&mut self, id: SessionId) -> Judgement {
        let got = self.store.inspect(self.ns, id, self.now).await;
        same_answer(
            "inspect",
            got,
            Ok(self.model.inspect(self.ns, id, self.now)),
        )
    }

    async fn write(&mut self, act: &Act) -> Judgement {
        let (store, ns, now) = (self.store, self.ns, self.now);
        *self.drawn += 1;
        let drawing = Drawing {
            now,
            version: props::version(*self.drawn),
        };
        match act {
            Act::Create(birth) => {
                let record = drawing.record(birth);
                let got = store.create(ns, &record, now).await;
                same_answer("create", got, self.model.create(ns, &record))
            }
            Act::Import(birth, past, read) => self.import(drawing.entry(birth, *past), *read).await,
            Act::Update(id, expected, draft) => {
                let id = pick(*id);
                let right = self.model.version(ns, id);
                let expected = match expected {
                    Expected::Right => right.unwrap_or(props::version(0)),
                    Expected::Wrong => props::version(0),
                };
                let change = drawing.change(draft);
                let got = store.update(ns, id, expected, &change, now).await;
                let updated = self.model.update(ns, id, expected, &change, now);
                same_answer("update", got, Ok(updated))
            }
            _ => Ok(()),
        }
    }

    async fn epoch(&mut self, id: SessionId) -> Judgement {
        let got = self.store.epoch(self.ns, id).await;
        let expected = self.model.epoch(self.ns);
        if let (Ok(got), Ok(expected)) = (&got, &expected) {
            let read = (*got, *expected);
            self.epochs.insert((self.ns.clone(), id), read);
        }
        // What its numbers are is the store's own business.
        same_answer("epoch", got.map(|_| ()), expected.map(|_| ()))
    }

    async fn import(&mut self, entry: Entry, read: Read) -> Judgement {
        let key = (self.ns.clone(), entry.record.id);
        if matches!(read, Read::Now) || !self.epochs.contains_key(&key) {
            self.epoch(entry.record.id).await?;
        }
        let unknown = (Epoch::new(0), 0);
        let (epoch, resets) = self.epochs.get(&key).copied().unwrap_or(unknown);
        let got = self.store.import(self.ns, &entry, epoch, self.now).await;
        let expected = self.model.import(self.ns, &entry, resets);
        same_answer("import", got, expected)
    }

    async fn end(&mut self, act: &Act) -> Judgement {
        let (store, ns, now) = (self.store, self.ns, self.now);
        match act {
            Act::End(id, reason, after) => {
                let (id, after) = (pick(*id), after.after());
                let got = store.end(ns, id, None, *reason, after, now).await;
                let ended = self.model.end(ns, id, *reason, after, now);
                same_answer("end", got, Ok(ended))
            }
            Act::EndPrincipal(name, except, after) => {
                let after = match after {
                    Afterwards::Hold(_) if !self.model.is_open(ns) => After::Queue,
                    after => after.after(),
                };
                let (principal, except) = (whose(*name), except.map(pick));
                let got = store
                    .end_principal(ns, &principal, except, after, now)
                    .await;
                let ended = self.model.end_principal(ns, &principal, except, after, now);
                same_answer("end_principal", got, ended)
            }
            Act::Reset => {
                let got = store.reset(ns, now).await;
                same_answer("reset", got, self.model.reset(ns, now))
            }
            _ => Ok(()),
        }
    }

    async fn work(&mut self, act: &Act) -> Judgement {
        let (store, ns, now) = (self.store, self.ns, self.now);
        match act {
            Act::Renew { tickets, lease } => {
                let lease = Duration::from_millis(*lease);
                let mut tickets: Vec<Ticket> =
                    tickets.iter().map(|t| t.ticket(self.model, ns)).collect();
                // Whether a ticket that comes twice was renewed once or twice is open.
                tickets.dedup();
                let got = store.renew(ns, &tickets, lease, now).await;
                same_answer("renew", got, Ok(self.model.renew(ns, &tickets, lease, now)))
            }
            Act::Settle(outcomes) => {
                let outcomes: Vec<(Ticket, Outcome)> = outcomes
                    .iter()
                    .map(|(ticket, how)| (ticket.ticket(self.model, ns), how.outcome(now)))
                    .collect();
                self.settle(&outcomes).await
            }
            Act::Resolve(id, what) => {
                let id = pick(*id);
                let got = store.resolve(ns, id, *what, now).await;
                let resolved = self.model.resolve(ns, id, *what, now);
                same_answer("resolve", got, Ok(resolved))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn settle(&mut self, outcomes: &[(Ticket, Outcome)]) -> Judgement {
        let got = self.store.settle(self.ns, outcomes, self.now).await;
        let settled = self.model.settle(self.ns, outcomes, self.now);
        same_answer("settle", got, Ok(settled))
    }

    /// Judges a page; says where the next one begins.
    pub(super) async fn list(&mut self, filter: &Filter) -> Result<Option<Cursor>, String> {
        let got = self.store.list(self.ns, filter, self.now).await;
        if filter.limit == 0 {
            let refused = Err(ErrorKind::Invalid);
            return same_answer("list", got.map(|_| ()), refused).map(|()| None);
        }
        let page = got.map_err(|error| format!("list is {error:?}"))?;
        self.model
            .check_page(self.ns, filter, self.now, &page)
            .map(|()| page.next)
    }

    pub(super) async fn count(&mut self) -> Judgement {
        let got = self.store.count(self.ns, self.now).await;
        let counts = got.map_err(|error| format!("count is {error:?}"))?;
        self.model.check_counts(self.ns, self.now, &counts)
    }

    async fn manage(&mut self, act: &Act) -> Judgement {
        match act {
            Act::Open(hooks) => {
                self.model.open(self.ns, *hooks);
                same_answer("open", self.store.open(self.ns, *hooks).await, Ok(()))
            }
            Act::Namespaces => {
                let got = self.store.namespaces().await;
                let got = got.map_err(|error| format!("namespaces is {error:?}"))?;
                self.model.check_namespaces(&got)
            }
            _ => {
                let got = self.store.describe(self.now).await;
                let got: Description = got.map_err(|error| format!("describe is {error:?}"))?;
                if got.backend.is_empty() || got.payload_limit == 0 {
                    return Err(format!("the store does not know itself: {got:?}"));
                }
                Ok(())
            }
        }
    }
}
