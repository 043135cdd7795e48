//! The runtime as its users hold it.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::context;
use crate::core::Core;
use crate::handle::Handle;
use crate::incident::Hook;
use crate::policy::Policy;
use crate::reactor::Reactor;
use crate::task::{JoinHandle, Options, TaskId, TaskInfo, TaskTree};

/// What can be set before a runtime starts.
#[derive(Clone)]
pub struct Config {
    /// How many receive buffers the sockets share.
    pub pool_chunks: u16,
    /// The size of one receive buffer, in bytes.
    pub chunk_len: usize,
    /// How many tasks are polled before the loop looks at the kernel and the timers again.
    pub polls_per_step: u32,
    /// How long the loop goes on looking for news before it lets the kernel wake it.
    pub spin_before_sleep: Duration,
    /// Makes the policy that chooses who runs next. Without one it is first in, first out.
    pub policy: Option<Arc<dyn Fn() -> Box<dyn Policy> + Send + Sync>>,
    /// A poll that takes longer is an incident.
    pub slow_poll: Option<Duration>,
    /// Who is told of incidents. Without a hook they are lines on stderr.
    pub on_incident: Option<Hook>,
    /// How many threads do blocking work at most; 0 counts as 1.
    pub blocking_threads: usize,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("pool_chunks", &self.pool_chunks)
            .field("chunk_len", &self.chunk_len)
            .field("polls_per_step", &self.polls_per_step)
            .field("spin_before_sleep", &self.spin_before_sleep)
            .field("policy", &self.policy.is_some())
            .field("slow_poll", &self.slow_poll)
            .field("on_incident", &self.on_incident.is_some())
            .field("blocking_threads", &self.blocking_threads)
            .finish()
    }
}

impl Default for Config {
    /// 128 chunks of 16 KiB, 256 polls, no spinning, 64 threads.
    fn default() -> Self {
        Self {
            pool_chunks: 128,
            chunk_len: 16 * 1024,
            polls_per_step: 256,
            spin_before_sleep: Duration::ZERO,
            policy: None,
            slow_poll: None,
            on_incident: None,
            blocking_threads: 64,
        }
    }
}

/// A single-threaded event loop over one reactor.
///
/// Dropping it drops all its tasks, cancels what they had in flight and waits for the kernel to let go of it
/// (at most 5 seconds, after which the memory in question is leaked and a line on stderr says so).
pub struct Runtime {
    core: Rc<Core>,
    /// Tasks are polled and dropped on the thread that made them.
    _not_send: PhantomData<*const ()>,
}

impl Runtime {
    /// A loop over `reactor`.
    ///
    /// # Panics
    ///
    /// If the configuration asks for an empty pool, or 65,536 runtimes are alive in the process.
    #[track_caller]
    pub fn new(reactor: Box<dyn Reactor>, config: &Config) -> Self {
        Self { core: Core::new(reactor, config), _not_send: PhantomData }
    }

    /// Runs the loop until `future` is ready, and returns its output. Other tasks run meanwhile; those that
    /// have not finished wait for the next `block_on`.
    ///
    /// # Panics
    ///
    /// If a carhop runtime is already running on this thread; in a forked child; with what `future` panics.
    /// The runtime can be used again after that.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.core.block_on(future)
    }

    /// Adds a task. It is first polled within `block_on`.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.core.look_at_clock();
        self.core.spawn(Location::caller(), future)
    }

    /// Hands work to it, from any thread.
    pub fn handle(&self) -> Handle {
        Handle::of(&self.core)
    }

    /// All its tasks, and what they wait for.
    pub fn tasks(&self) -> TaskTree {
        TaskTree::of(&self.core)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.core.shut_down();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runtime #{}", self.core.serial)
    }
}

/// Adds a task to the runtime of this thread. It is polled for the first time after those that are ready
/// now, and goes on even when its handle is dropped.
///
/// When it has finished, a task of up to 512 bytes keeps its memory, for the next one of the same type: a runtime holds
/// the memory of as many tasks as ever lived at once.
///
/// # Panics
///
/// Outside of a running runtime, and if 2^24 tasks are alive.
#[inline]
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    let site = Location::caller();
    context::with("spawn", |core| core.spawn(site, future))
}

/// As [`spawn`], with options.
///
/// # Panics
///
/// As [`spawn`].
#[track_caller]
pub fn spawn_with<F: Future + 'static>(options: Options, future: F) -> JoinHandle<F::Output> {
    let core = context::with("spawn", Rc::clone);
    core.spawn_with(options, future)
}

/// The task that is being polled on this thread, if one is.
pub fn current_task() -> Option<TaskId> {
    context::try_with(|core| core.current.get()).filter(|&id| id != TaskId::NONE)
}

/// What there is to say of the task that is being polled on this thread, if one is.
pub fn current_info() -> Option<TaskInfo> {
    let id = current_task()?;
    context::try_with(|core| core.info(id)).flatten()
}

/// All tasks of the runtime of this thread.
///
/// # Panics
///
/// Outside of a running runtime.
#[track_caller]
pub fn tasks() -> TaskTree {
    context::with("the list of tasks", |core| TaskTree::of(core))
}

/// What a runtime has under way, for tests that look for what was left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// How many timers it has.
    pub timers: usize,
    /// The names of the operations that have not completed.
    pub operations: Vec<&'static str>,
}

/// What the runtime of this thread has under way.
///
/// # Panics
///
/// Outside of a running runtime.
#[track_caller]
pub fn under_way() -> UnderWay {
    context::with("asking what is under way", |core| UnderWay {
        timers: core.timers.borrow().len(),
        operations: core.operations.names(),
    })
}
