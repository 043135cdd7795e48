//! The loop.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::hint;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use timers::Wheel;

use crate::blocking::Threads;
use crate::clock::Nanos;
use crate::contain::wake_contained;
use crate::context;
use crate::inbox::Inbox;
use crate::incident;
use crate::mailbox::{MAIL_SLOT, Mailbox};
use crate::op::{Op, Token};
use crate::operations::{Completer, Operations};
use crate::pool::Pool;
use crate::process::Process;
use crate::reactor::{Completion, Reactor, Turn, Wait};
use crate::registry::{self, RuntimeId};
use crate::runtime::Config;
use crate::sys;
use crate::task::{self, Origin, TaskId, Tasks};

/// How long a step may take. Less than a tick of most timers, more than a batch of requests needs.
const STEP_LIMIT: Duration = Duration::from_millis(1);

/// Where timers are many, those that are due sooner than this after others fired wait for it to be over: each would
/// cost a wake-up. It is as long as the kernel's own timer slack (`PR_SET_TIMERSLACK` in prctl(2)), which it adds to.
const TIMER_GAP: Duration = Duration::from_micros(50);

/// So many timers are many. Fewer are as exact as the kernel is.
const MANY_TIMERS: usize = 64;

/// How long the loop may wait while other threads cannot end its wait.
const UNHEARD_LIMIT: Duration = Duration::from_millis(1);

/// After so many polls a step looks at the clock, which costs about as much as one poll, and at the inbox.
const POLLS_PER_LOOK: u32 = 16;

/// All that a runtime consists of. Shared by the runtime, its sockets, and the thread that runs it.
pub(crate) struct Core {
    /// What wakers carry. Reused after the runtime is gone.
    pub(crate) id: RuntimeId,
    /// Never reused, for values that may outlive the runtime without being wakers.
    pub(crate) serial: u64,
    pub(crate) tasks: Tasks,
    pub(crate) operations: Operations,
    pub(crate) timers: RefCell<Wheel<Waker>>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) inbox: Arc<Inbox>,
    /// Those that do blocking work. There are none before the first of it.
    pub(crate) threads: Arc<Threads>,
    /// `None` once the runtime has been dropped.
    pub(crate) reactor: RefCell<Option<Box<dyn Reactor>>>,
    /// Scratch space of `turn_reactor`.
    done: RefCell<Vec<Completion>>,
    /// What the reactor has said and nobody has heard yet.
    undelivered: RefCell<VecDeque<Completion>>,
    /// The last turn left sockets unsettled.
    postponed: Cell<bool>,
    polls_per_step: u32,
    spin_before_sleep: Duration,
    /// When timers fired last.
    fired: Cell<Nanos>,
    pub(crate) tries_left: Cell<u32>,
    /// The task that is being polled, or [`TaskId::NONE`].
    pub(crate) current: Cell<TaskId>,
    /// Those in the middle of whose polls it was spawned, eagerly.
    pub(crate) outer: RefCell<Vec<TaskId>>,
    /// Any task has ever set a task-local.
    pub(crate) uses_locals: Cell<bool>,
    /// When the step began.
    pub(crate) time: Cell<Nanos>,
    /// A poll that takes longer is an incident.
    pub(crate) slow_poll: Option<Duration>,
    pub(crate) on_incident: Option<incident::Hook>,
    /// Made when the first handle is.
    pub(crate) mailbox: OnceCell<Arc<Mailbox>>,
    /// The runtime is being dropped: no operation may start any more.
    pub(crate) closing: Cell<bool>,
    /// A turn of the reactor is under way.
    turning: Cell<bool>,
    /// The process that made the runtime: after a fork, the child must not touch it.
    process: Process,
}

impl Core {
    #[track_caller]
    pub(crate) fn new(reactor: Box<dyn Reactor>, config: &Config) -> Rc<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        // First, for these may panic: nothing may be left in the registry then.
        let pool = Pool::new(config.pool_chunks, config.chunk_len);
        let policy = config.policy.as_ref().map(|make| make());
        let inbox = Arc::new(Inbox::new());
        let start = reactor.now();
        let id = registry::register(Arc::clone(&inbox));
        let core = Rc::new(Self {
            id,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            tasks: Tasks::new(id, &inbox, policy),
            operations: Operations::new(),
            timers: RefCell::new(Wheel::new(start.0)),
            pool,
            inbox,
            threads: Threads::new(config.blocking_threads),
            reactor: RefCell::new(Some(reactor)),
            done: RefCell::default(),
            undelivered: RefCell::default(),
            postponed: Cell::new(false),
            polls_per_step: config.polls_per_step.max(1),
            spin_before_sleep: config.spin_before_sleep,
            fired: Cell::new(Nanos(0)),
            tries_left: Cell::new(0),
            current: Cell::new(TaskId::NONE),
            outer: RefCell::default(),
            uses_locals: Cell::new(false),
            time: Cell::new(start),
            slow_poll: config.slow_poll,
            on_incident: config.on_incident.clone(),
            mailbox: OnceCell::new(),
            closing: Cell::new(false),
            turning: Cell::new(false),
            process: Process::current(),
        });
        context::remember(&core);
        core
    }

    /// Runs the loop until `future` is ready.
    #[track_caller]
    pub(crate) fn block_on<F: Future>(self: &Rc<Self>, future: F) -> F::Output {
        let site = Location::caller();
        self.assert_same_process();
        if context::try_with(|_| ()).is_some() {
            panic!(
                "block_on inside of a running carhop runtime: it would stop every task of that runtime; \
                 await the future instead, or spawn it"
            );
        }
        let _entered = context::enter(self);
        let _left = LeaveOnDrop(self);
        let born = self.now();
        self.time.set(born);
        let root = task::waker(self.id, self.tasks.start_root(Origin { parent: TaskId::NONE, site, born }));
        let mut future = pin!(future);
        loop {
            self.turn();
            // What wakers and drops have noted is no task's.
            task::take_noted();
            let start = self.now();
            self.time.set(start);
            let end = start.saturating_add(STEP_LIMIT);
            let mut look_after = 1;
            for polls in 1..=self.polls_per_step {
                match self.next() {
                    None => break,
                    Some(task) if task.header.id.is_root() => {
                        let poll = || future.as_mut().poll(&mut Context::from_waker(&root));
                        if let Poll::Ready(output) = self.run_root(&task, poll) {
                            return output;
                        }
                    }
                    Some(task) => self.run(task),
                }
                if polls == look_after {
                    // The last one is followed by the turn, which looks as well.
                    if !self.tasks.any_ready() {
                        break;
                    }
                    self.hear_others();
                    if self.now() > end {
                        break;
                    }
                    // Often at first: a few slow polls are as long as many quick ones.
                    look_after += polls.min(POLLS_PER_LOOK);
                }
            }
            self.current.set(TaskId::NONE);
        }
    }

    /// Asks the reactor something.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the runtime has been dropped.
    pub(crate) fn with_reactor<T>(&self, f: impl FnOnce(&mut dyn Reactor) -> io::Result<T>) -> io::Result<T> {
        match &mut *self.reactor.borrow_mut() {
            Some(reactor) => f(&mut **reactor),
            None => Err(gone()),
        }
    }

    /// Whether operations may be started.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime is being dropped.
    pub(crate) fn open(&self) -> io::Result<()> {
        if self.closing.get() { Err(gone()) } else { Ok(()) }
    }

    /// Stages an operation, whose results go to `completer`.
    ///
    /// # Errors
    ///
    /// See [`Core::open`].
    ///
    /// # Safety
    ///
    /// See [`Operations::start`].
    pub(crate) unsafe fn start(&self, op: Op, completer: Rc<dyn Completer>) -> io::Result<Token> {
        self.open()?;
        // SAFETY: the caller's promise is the one that is asked for.
        Ok(unsafe { self.operations.start(op, completer) })
    }

    /// The time, which comes from the reactor.
    pub(crate) fn now(&self) -> Nanos {
        self.reactor.borrow().as_ref().map_or_else(sys::now, |reactor| reactor.now())
    }

    /// Closes a descriptor after what was staged before: in the next turn or, where none is to be expected, at
    /// once.
    pub(crate) fn close(&self, fd: OwnedFd) {
        if self.reactor.borrow().is_none() || !self.is_of_this_process() {
            return drop(fd);
        }
        self.operations.close(fd);
        if !self.is_running() {
            self.flush();
        }
    }

    /// Whether this thread is in its `block_on`.
    pub(crate) fn is_running(&self) -> bool {
        context::try_with(|core| core.serial == self.serial) == Some(true)
    }

    /// Between two passes over the ready tasks: settle sockets, let the kernel do what was staged and wait
    /// for it if there is nothing else to do; then wake whom that, other threads and the time have woken.
    fn turn(&self) {
        // Readers that have been woken and are still to run may as well find their bytes in the pool. But only once:
        // a task that is always ready must not keep a listener from pausing.
        let postpone = self.tasks.any_ready() && !self.pool.is_short() && !self.postponed.get();
        self.postponed.set(postpone);
        if !postpone {
            self.operations.settle();
        }
        let may_spin = !self.spin_before_sleep.is_zero() && !self.tasks.any_ready();
        if !may_spin || !self.spin() {
            self.advance(self.wait());
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
            self.operations.settle();
            if self.now() > end {
                return false;
            }
            hint::spin_loop();
        }
    }

    /// Hears the news of the kernel, of other threads and of the clock, and waits for them if it may.
    fn advance(&self, wait: Wait) {
        // Without any operation, staged or in flight, and without a reason to wait, the kernel has no news.
        if wait != Wait::No || self.operations.any_in_flight() {
            self.turn_reactor(wait).unwrap_or_else(|error| panic!("the reactor cannot go on: {error}"));
        }
        self.hear_others();
        self.fire_timers();
    }

    /// Tasks woken by other threads become ready, and what they posted becomes tasks.
    #[inline]
    fn hear_others(&self) {
        // What they post is nobody's child, also in the middle of a step.
        self.current.set(TaskId::NONE);
        self.inbox.drain(|slot| match slot {
            MAIL_SLOT => self.deliver(),
            slot => self.tasks.wake_slot(slot),
        });
    }

    /// One turn of the reactor, and the wakes that come of it. A socket that one of the wakes drops is closed in the
    /// next turn, or by the `flush` that this is part of. While no `block_on` runs, a wake may also run the runtime
    /// or drop it: the turns within this one deliver what it has yet to deliver.
    ///
    /// # Errors
    ///
    /// If the reactor cannot go on.
    pub(crate) fn turn_reactor(&self, mut wait: Wait) -> io::Result<()> {
        self.assert_same_process();
        let was_turning = self.turning.replace(true);
        if wait != Wait::No {
            wait = self.fall_asleep(wait);
        }
        let mut done = self.done.take();
        let result = self.with_reactor(|reactor| {
            let mut staged = self.operations.staged.borrow_mut();
            let turn = Turn { staged: &mut staged, done: &mut done, pool: &self.pool, wait };
            // SAFETY: memory that a staged operation names is owned by its completer or by the outbox, which the
            // operations own until the terminal completion or, failing that, leak (`shut_down`); or by a future that
            // hands it to the completer rather than free it (`Operations::start`).
            unsafe { reactor.turn(turn) }
        });
        self.inbox.stay_awake();
        self.deliver_later(&mut done);
        self.done.replace(done);
        while let Some(completion) = self.next_undelivered() {
            self.operations.dispatch(completion);
        }
        self.turning.set(was_turning);
        result
    }

    /// Makes sure that other threads end the coming wait, and says how long it may be.
    fn fall_asleep(&self, wait: Wait) -> Wait {
        if !self.inbox.has_unparker() {
            match self.with_reactor(|reactor| reactor.unparker()) {
                Ok(unparker) => self.inbox.set_unparker(unparker),
                // No descriptor is left. Until one is, the loop looks for itself.
                Err(_) => return wait.until_at_most(self.now().saturating_add(UNHEARD_LIMIT)),
            }
        }
        if self.inbox.fall_asleep() { wait } else { Wait::No }
    }

    /// What arrived comes before what was written. Otherwise the connections that are answered first, and so may have
    /// sent more already, would be the first to be answered again and again.
    fn deliver_later(&self, done: &mut Vec<Completion>) {
        let mut undelivered = self.undelivered.borrow_mut();
        if self.operations.any_send() {
            undelivered.extend(done.extract_if(.., |completion| !self.operations.is_send(completion.token)));
        }
        undelivered.extend(done.drain(..));
    }

    fn next_undelivered(&self) -> Option<Completion> {
        self.undelivered.borrow_mut().pop_front()
    }

    /// How long the coming turn may wait.
    fn wait(&self) -> Wait {
        if self.tasks.any_ready() {
            return Wait::No;
        }
        let timers = self.timers.borrow();
        let Some(deadline_ns) = timers.next_wakeup() else { return Wait::Forever };
        let gap = if timers.len() < MANY_TIMERS { Duration::ZERO } else { TIMER_GAP };
        Wait::Until(Nanos(deadline_ns).max(self.fired.get().saturating_add(gap)))
    }

    fn fire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.now();
        // One borrow each: a waker may be a user's, and set timers.
        while let Some(waker) = self.pop_timer(now) {
            self.fired.set(now);
            wake_contained(waker);
        }
    }

    pub(crate) fn pop_timer(&self, now: Nanos) -> Option<Waker> {
        self.timers.borrow_mut().pop_expired(now.0)
    }

    /// Performs what is staged, unless a turn is under way, which then is part of a `flush`.
    fn flush(&self) {
        let may_turn = !self.turning.get() && self.is_of_this_process();
        while may_turn && !self.operations.staged.borrow().is_empty() {
            if self.turn_reactor(Wait::No).is_err() {
                // The next `block_on` will say so.
                break;
            }
        }
    }

    /// False in a child that `fork` made.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    pub(crate) fn assert_same_process(&self) {
        self.process.assert_current();
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the carhop runtime of this socket is gone")
}

/// The end of a `block_on`, however it ends. Performs what its last poll and the drop of its future staged: a socket
/// that they dropped is closed now, not when the runtime runs the next time.
struct LeaveOnDrop<'a>(&'a Core);

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        self.0.current.set(TaskId::NONE);
        self.0.tasks.end_root();
        self.0.flush();
    }
}
