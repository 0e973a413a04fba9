//! Who has the connection that callers share with the writer, and who is next.
//!
//! The hand-over alone, without connections, threads or locks: a value that moves. Each method is
//! one step under one lock, so that what is decided here is decided on everything that is known.

use std::collections::VecDeque;

/// One thing that one at a time has, and the jobs that wait for it.
///
/// The thing is moved out to its owner, and moved back only by [`leave`](Self::leave), in the
/// step that has seen that nobody waits. So **while jobs wait, somebody has the thing, or the
/// writer is coming for it**: no job is left to somebody who may not look again.
#[cfg_attr(test, derive(Clone, Debug, PartialEq, Eq, Hash))]
pub(crate) struct Line<D, J> {
    seat: Seat<D>,
    waiting: VecDeque<J>,
    /// The writer has it, or is the next to have it. It stays so if that breaks down, and nobody
    /// reads what it left.
    writing: bool,
}

#[cfg_attr(test, derive(Clone, Debug, PartialEq, Eq, Hash))]
enum Seat<D> {
    Free(D),
    Taken,
    Closed,
}

/// What a job finds that comes.
pub(crate) enum Arrival<D, J> {
    /// The thing is its own, until it [leaves](Line::leave).
    Turn(D, J),
    /// It waits, and will be carried out by whoever has the thing.
    Waits {
        /// Behind the writer, which may take its time.
        behind_writer: bool,
    },
    /// There is no room to wait.
    Full,
    Closed,
}

/// What is left to do for the owner who leaves.
pub(crate) enum Leaving<D, J> {
    /// Nothing: the thing is free, or the writer's.
    Left,
    /// These jobs, and then to leave again.
    Serve(D, Vec<J>),
    /// It may serve no more, and others wait: somebody else has to be the owner.
    HandOver(D),
}

impl<D, J> Line<D, J> {
    pub(crate) fn new(thing: D) -> Self {
        Self {
            seat: Seat::Free(thing),
            waiting: VecDeque::new(),
            writing: false,
        }
    }

    /// The thing, for somebody who need not wait for it.
    pub(crate) fn take_if_free(&mut self) -> Option<D> {
        if self.writing { None } else { self.take() }
    }

    /// A job comes. `has_room` may clear up among those who wait, and says whether one more may.
    pub(crate) fn arrive(
        &mut self,
        job: J,
        has_room: impl FnOnce(&mut VecDeque<J>) -> bool,
    ) -> Arrival<D, J> {
        if let Some(thing) = self.take_if_free() {
            return Arrival::Turn(thing, job);
        }
        if matches!(self.seat, Seat::Closed) {
            return Arrival::Closed;
        }
        if !has_room(&mut self.waiting) {
            return Arrival::Full;
        }
        self.waiting.push_back(job);
        Arrival::Waits {
            behind_writer: self.writing,
        }
    }

    /// The owner has done its own job, and may serve so many more.
    pub(crate) fn leave(&mut self, thing: D, most: usize) -> Leaving<D, J> {
        // The writer serves those who wait before it writes.
        if self.waiting.is_empty() || self.writing {
            self.seat = Seat::Free(thing);
            Leaving::Left
        } else if most == 0 {
            Leaving::HandOver(thing)
        } else {
            let served = most.min(self.waiting.len());
            Leaving::Serve(thing, self.waiting.drain(..served).collect())
        }
    }

    /// The owner found nobody to hand over to. Gives those who waited, to be told.
    pub(crate) fn give_up(&mut self, thing: D) -> VecDeque<J> {
        self.seat = Seat::Free(thing);
        std::mem::take(&mut self.waiting)
    }

    /// The writer comes: nobody who is not the owner by now will be, before it has had its turn.
    pub(crate) fn announce_writer(&mut self) {
        self.writing = true;
    }

    /// The writer's turn, and those who came before it; `None` as long as somebody else has the
    /// thing.
    pub(crate) fn start_writing(&mut self) -> Option<(D, VecDeque<J>)> {
        Some((self.take()?, std::mem::take(&mut self.waiting)))
    }

    /// The writer has written. It is an owner like any other now, and has to leave.
    pub(crate) fn end_writing(&mut self) {
        self.writing = false;
    }

    /// The owner lets nobody have it any more. Gives those who waited, to be told.
    pub(crate) fn close(&mut self) -> VecDeque<J> {
        self.seat = Seat::Closed;
        self.writing = false;
        std::mem::take(&mut self.waiting)
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.seat, Seat::Closed)
    }

    fn take(&mut self) -> Option<D> {
        match std::mem::replace(&mut self.seat, Seat::Taken) {
            Seat::Free(thing) => Some(thing),
            seat => {
                self.seat = seat;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Every order of the steps of some callers, a writer and a thread that relieves owners.

    use std::collections::HashSet;

    use super::*;

    const CALLERS: usize = 5;
    /// How many an owner serves beside itself.
    const MOST: usize = 1;
    const WRITES: usize = 2;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Caller {
        Comes,
        /// Has the thing, has served so many others, and serves these.
        Owns(usize, Vec<usize>),
        /// Has left. Nothing more is asked of it: it may never be polled again.
        Gone,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Writer {
        Comes,
        Announced,
        Writes,
        Owns(usize, Vec<usize>),
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct World {
        line: Line<(), usize>,
        callers: Vec<Caller>,
        writer: Writer,
        writes_left: usize,
        /// What was sent to the thread that relieves owners, and what it serves.
        sent: usize,
        relief: Option<Vec<usize>>,
        served: Vec<usize>,
    }

    impl World {
        fn new() -> Self {
            Self {
                line: Line::new(()),
                callers: vec![Caller::Comes; CALLERS],
                writer: Writer::Comes,
                writes_left: WRITES,
                sent: 0,
                relief: None,
                served: vec![0; CALLERS],
            }
        }

        /// How many have the thing.
        fn owners(&self) -> usize {
            let callers = self.callers.iter();
            let callers = callers.filter(|caller| matches!(caller, Caller::Owns(..)));
            let writes = matches!(self.writer, Writer::Writes | Writer::Owns(..));
            callers.count() + usize::from(writes) + self.sent + usize::from(self.relief.is_some())
        }

        fn serve(&mut self, jobs: impl IntoIterator<Item = usize>) {
            for job in jobs {
                self.served[job] += 1;
            }
        }

        /// The owner leaves: what it serves next, `None` if it has left.
        fn leave(&mut self, most: usize) -> Option<Vec<usize>> {
            match self.line.leave((), most) {
                Leaving::Left => None,
                Leaving::Serve((), jobs) => Some(jobs),
                Leaving::HandOver(()) => {
                    self.sent += 1;
                    None
                }
            }
        }

        /// All worlds one step further.
        fn next(&self) -> Vec<Self> {
            let callers = (0..CALLERS).filter_map(|caller| self.caller(caller));
            callers.chain(self.write()).chain(self.relieve()).collect()
        }

        fn caller(&self, number: usize) -> Option<Self> {
            let mut world = self.clone();
            world.callers[number] = match self.callers[number].clone() {
                Caller::Gone => return None,
                Caller::Comes => match world.line.arrive(number, |_| true) {
                    Arrival::Turn((), job) => {
                        world.serve([job]);
                        Caller::Owns(0, Vec::new())
                    }
                    Arrival::Waits { .. } => Caller::Gone,
                    Arrival::Full | Arrival::Closed => unreachable!("there is room"),
                },
                Caller::Owns(served, jobs) => {
                    let served = served + jobs.len();
                    world.serve(jobs);
                    let next = world.leave(MOST - served);
                    next.map_or(Caller::Gone, |jobs| Caller::Owns(served, jobs))
                }
            };
            Some(world)
        }

        fn write(&self) -> Option<Self> {
            let mut world = self.clone();
            world.writer = match self.writer.clone() {
                Writer::Comes if self.writes_left == 0 => return None,
                Writer::Comes => {
                    world.writes_left -= 1;
                    world.line.announce_writer();
                    Writer::Announced
                }
                Writer::Announced => {
                    let ((), before) = world.line.start_writing()?;
                    world.serve(before);
                    Writer::Writes
                }
                Writer::Writes => {
                    world.line.end_writing();
                    Writer::Owns(0, Vec::new())
                }
                Writer::Owns(served, jobs) => {
                    let served = served + jobs.len();
                    world.serve(jobs);
                    let next = world.leave(MOST - served);
                    next.map_or(Writer::Comes, |jobs| Writer::Owns(served, jobs))
                }
            };
            Some(world)
        }

        fn relieve(&self) -> Option<Self> {
            let mut world = self.clone();
            if let Some(jobs) = world.relief.take() {
                world.serve(jobs);
                world.relief = world.leave(MOST);
            } else if world.sent > 0 {
                world.sent -= 1;
                world.relief = Some(Vec::new());
            } else {
                return None;
            }
            Some(world)
        }
    }

    #[test]
    fn whatever_the_order_everybody_is_served_once_and_the_thing_is_free_in_the_end() {
        let mut seen = HashSet::new();
        let mut open = vec![World::new()];
        let mut ends = 0;
        while let Some(world) = open.pop() {
            let is_taken = world.line.seat == Seat::Taken;
            assert_eq!(world.owners(), usize::from(is_taken), "{world:#?}");
            let is_cared_for = is_taken || world.line.writing;
            assert!(world.line.waiting.is_empty() || is_cared_for, "{world:#?}");
            let next = world.next();
            if next.is_empty() {
                ends += 1;
                assert_eq!(world.served, vec![1; CALLERS], "{world:#?}");
                assert_eq!(world.line.seat, Seat::Free(()), "{world:#?}");
            }
            for world in next {
                if seen.insert(world.clone()) {
                    open.push(world);
                }
            }
        }
        assert!(ends > 0 && seen.len() > 1000, "{} worlds", seen.len());
    }
}
