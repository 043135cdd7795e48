//! The loop.
//!
//! - here: one step, which is a turn of the reactor and a batch of polls.
//! - `polls`: what holds while a task is polled.
//! - `spawning`: how tasks come about.
//! - `shutdown`: the end of a runtime.

mod polls;
mod shutdown;
mod spawning;

use std::cell::Cell;
use std::hint;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Nanos;
use crate::config::Config;
use crate::incident;
use crate::io::Io;
use crate::reactor::{Reactor, Wait};
use crate::remote::injector::{INJECTOR_SLOT, Injector};
use crate::remote::registry::{self, Identity, Serial};
use crate::remote::wakes::Wakes;
use crate::task::locals::Locals;
use crate::task::table::Table;
use crate::task::{self, Activity, Origin, Task, TaskId, TaskInfo, TaskTree, Tasks};
use crate::timers::Timers;

use polls::Polls;

/// How long a step may take. Less than a tick of most timers, more than a batch of requests needs.
const STEP_LIMIT: Duration = Duration::from_millis(1);

/// How long the loop may wait while other threads cannot end its wait.
const UNHEARD_LIMIT: Duration = Duration::from_millis(1);

/// After so many polls a step looks at the clock, which costs about as much as one poll, and at the remote wakes.
const POLLS_PER_LOOK: u32 = 16;

/// All that a runtime consists of.
pub(crate) struct Core {
    identity: Identity,
    io: Rc<Io>,
    tasks: Tasks,
    timers: Timers,
    wakes: Arc<Wakes>,
    injector: Arc<Injector>,
    polls: Polls,
    polls_per_step: u32,
    spin_before_sleep: Duration,
    /// The last turn left sockets unsettled.
    postponed: Cell<bool>,
    /// A host was told that it may rest, and there was no turn since. What called it is taken from the reactor by a turn.
    rested: Cell<bool>,
}

impl Core {
    /// # Errors
    ///
    /// If there is no memory for the receive buffers, or they cannot be.
    ///
    /// # Panics
    ///
    /// If 65,536 runtimes are alive, and with what the policy panics.
    pub(crate) fn new(reactor: Box<dyn Reactor>, config: &Config) -> io::Result<Rc<Self>> {
        // First, for these may fail: nothing may be left in the registry then.
        let io = Io::new(reactor, config.pool_chunks, config.chunk_len)?;
        let policy = config.policy.as_ref().map(|make| make());
        let wakes = Arc::new(Wakes::new());
        let start = io.now();
        // Without a kernel there is no wake-up to spare, and time may stand still until somebody waits.
        let has_kernel = io.reactor().borrow().descriptor().is_ok();
        let spin_before_sleep = if has_kernel { config.spin_before_sleep } else { Duration::ZERO };
        let identity = registry::register(Arc::clone(&wakes));
        incident::add_hook(identity.serial, config.on_incident.clone());
        Ok(Rc::new(Self {
            identity,
            io,
            tasks: Tasks::new(identity, &wakes, policy),
            timers: Timers::new(start),
            injector: Arc::new(Injector::new(Arc::clone(&wakes))),
            wakes,
            polls: Polls::new(start, config.slow_poll),
            polls_per_step: config.polls_per_step.max(1),
            spin_before_sleep,
            postponed: Cell::new(false),
            rested: Cell::new(false),
        }))
    }

    /// One step: a turn of the reactor, which may wait if that is allowed and there is nothing else to do; then a batch of
    /// polls. `poll_root` polls the future of a `block_on`; the step is over when that is ready, which it returns.
    ///
    /// The runtime is the one that runs on this thread.
    pub(crate) fn step(&self, may_wait: bool, poll_root: &mut dyn FnMut() -> bool) -> bool {
        self.turn(may_wait);
        // What wakers and drops have noted is no task's.
        task::take_noted();
        let start = self.now();
        self.polls.begin_step(start);
        let end = start.saturating_add(STEP_LIMIT);
        let mut look_after = 1;
        for polls in 1..=self.polls_per_step {
            match self.next() {
                None => break,
                Some(task) if task.header.id.is_root() => {
                    if self.run_root(&task, poll_root) {
                        return true;
                    }
                }
                Some(task) => self.run(task),
            }
            if polls == look_after {
                // The last one is followed by the turn, which looks as well.
                if !self.tasks.any_ready() {
                    break;
                }
                self.drain_remote();
                if self.now() > end {
                    break;
                }
                // Often at first: a few slow polls are as long as many quick ones.
                look_after += polls.min(POLLS_PER_LOOK);
            }
        }
        self.polls.end_step();
        false
    }

    /// How long a host need not take a step, as long as the reactor's descriptor is not readable. Other threads make it
    /// readable from here on.
    pub(crate) fn rest(&self) -> Wait {
        if self.tasks.any_ready() {
            return Wait::No;
        }
        // As before a turn that waits: what nobody reads must not keep the pool from others meanwhile.
        self.io.operations().settle();
        if self.io.has_news() {
            return Wait::No;
        }
        self.rested.set(true);
        let idle = self.io.reactor().borrow().idle(self.io.pool());
        match self.timers.wait().at_most(idle) {
            Wait::No => Wait::No,
            wait => self.fall_asleep(wait),
        }
    }

    /// Between two batches of polls: settles sockets, has the reactor perform what was staged, and waits for it if there
    /// is nothing else to do; then wakes tasks for completions, remote wakes and timers.
    fn turn(&self, may_wait: bool) {
        // Readers that have been woken and are still to run may as well find their bytes in the pool. But only once:
        // a task that is always ready must not keep a listener from pausing.
        let postpone = self.tasks.any_ready() && !self.io.pool().is_short() && !self.postponed.get();
        self.postponed.set(postpone);
        if !postpone {
            self.io.operations().settle();
        }
        let may_wait = may_wait && !self.tasks.any_ready();
        let may_spin = may_wait && !self.spin_before_sleep.is_zero();
        if !may_spin || !self.spin() {
            self.advance(if may_wait { self.timers.wait() } else { Wait::No });
        }
    }

    /// Goes on looking for news rather than sleep, for as long as that is wanted. Whether there is a task to run then.
    fn spin(&self) -> bool {
        let end = self.now().saturating_add(self.spin_before_sleep);
        loop {
            self.advance(Wait::No);
            if self.tasks.any_ready() {
                return true;
            }
            // What came for nobody who waits must not keep the pool from others.
            self.io.operations().settle();
            if self.now() > end {
                return false;
            }
            hint::spin_loop();
        }
    }

    /// Takes the news of the reactor, of other threads and of the clock, and waits for them if it may.
    fn advance(&self, wait: Wait) {
        // Without any operation, staged or in flight, and without a reason to wait, the reactor has no news.
        if wait != Wait::No || self.io.has_work() || self.rested.get() {
            self.rested.set(false);
            self.turn_reactor(wait).unwrap_or_else(|error| panic!("the reactor cannot go on: {error}"));
        }
        self.drain_remote();
        if self.timers.len() > 0 {
            self.timers.fire(self.now());
        }
    }

    /// One turn of the reactor, and the wakes that come of it.
    ///
    /// # Errors
    ///
    /// If the reactor cannot go on.
    fn turn_reactor(&self, mut wait: Wait) -> io::Result<()> {
        if wait != Wait::No {
            wait = self.fall_asleep(wait);
        }
        let _awake = StayAwake(&self.wakes);
        self.io.turn(wait)
    }

    /// Makes sure that other threads end the coming wait, and says how long it may be.
    fn fall_asleep(&self, wait: Wait) -> Wait {
        if !self.wakes.has_unparker() {
            match self.io.with_reactor(|reactor| reactor.unparker()) {
                Ok(unparker) => self.wakes.set_unparker(unparker),
                // No descriptor is left. Until one is, the loop looks for itself.
                Err(_) => return wait.until_at_most(self.now().saturating_add(UNHEARD_LIMIT)),
            }
        }
        if self.wakes.fall_asleep() { wait } else { Wait::No }
    }

    /// Tasks woken by other threads become ready, and what they posted becomes tasks.
    #[inline]
    fn drain_remote(&self) {
        // What they post has no parent, also in the middle of a step.
        self.polls.set_current(TaskId::NONE);
        self.wakes.drain(|slot| match slot {
            INJECTOR_SLOT => self.spawn_posted(),
            slot => self.tasks.wake_slot(slot),
        });
    }

    /// The time, which comes from the reactor.
    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        self.io.now()
    }

    /// The number that is never used again.
    #[inline]
    pub(crate) fn serial(&self) -> Serial {
        self.identity.serial
    }

    /// What its sockets share with it.
    #[inline]
    pub(crate) fn io(&self) -> &Rc<Io> {
        &self.io
    }

    /// Its timers.
    #[inline]
    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// The table of tasks, which wakers of this thread look for.
    pub(crate) fn table(&self) -> &Table {
        &self.tasks
    }

    /// Whether any task may run now.
    #[inline]
    pub(crate) fn any_ready(&self) -> bool {
        self.tasks.any_ready()
    }

    /// Where other threads leave work.
    pub(crate) fn injector(&self) -> &Arc<Injector> {
        &self.injector
    }

    /// Gives the future of a `block_on` its number, and schedules it.
    pub(crate) fn begin_root(&self, site: &'static std::panic::Location<'static>) -> std::task::Waker {
        let born = self.now();
        self.polls.begin_step(born);
        let id = self.tasks.begin_root(Origin { parent: TaskId::NONE, site, born });
        task::waker(self.identity.number, id)
    }

    /// The end of a `block_on`, however it ends. Performs what its last poll and the drop of its future staged: a socket
    /// that they dropped is closed now, not when the runtime runs the next time.
    pub(crate) fn end_root(&self) {
        self.polls.end_step();
        self.tasks.end_root();
        self.io.flush();
    }

    /// All tasks, and what they wait for.
    pub(crate) fn tree(&self) -> TaskTree {
        let now = self.now();
        let mut tasks = Vec::new();
        self.tasks.for_each(|header, activity| {
            let activity = if self.polls.is_polled(header.id) { Activity::Running } else { activity };
            tasks.push(header.info(activity, now));
        });
        TaskTree::new(tasks)
    }
}

/// The end of a wait, however it ends.
struct StayAwake<'a>(&'a Wakes);

impl Drop for StayAwake<'_> {
    fn drop(&mut self) {
        self.0.stay_awake();
    }
}
