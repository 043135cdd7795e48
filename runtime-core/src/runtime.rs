//! The runtime as its users hold it.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::panic::Location;
use std::rc::Rc;

use crate::clock::Nanos;
use crate::config::Config;
use crate::context;
use crate::core::Core;
use crate::drive;
use crate::handle::Handle;
use crate::reactor::{Reactor, Wait};
use crate::task::{JoinHandle, TaskTree};

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
    /// # Errors
    ///
    /// `InvalidInput` if there cannot be such receive buffers, `OutOfMemory` if there is no memory for them.
    ///
    /// # Panics
    ///
    /// If 65,536 runtimes are alive in the process.
    pub fn new(reactor: Box<dyn Reactor>, config: &Config) -> io::Result<Self> {
        let core = Core::new(reactor, config)?;
        context::remember(&core);
        Ok(Self { core, _not_send: PhantomData })
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
        drive::block_on(&self.core, future)
    }

    /// One step of the loop, which does not wait: a turn of the reactor and a batch of polls. Until when nobody need take
    /// another one, as long as the reactor's descriptor is not readable: [`Wait::No`] if there is more to do at once.
    /// Another thread that has work for the loop makes the descriptor readable.
    ///
    /// # Panics
    ///
    /// If a carhop runtime is already running on this thread; in a forked child; if the reactor cannot go on.
    #[track_caller]
    pub fn step(&self) -> Wait {
        drive::step(&self.core)
    }

    /// Calls `f` with what a host's own loop may watch ([`Reactor::descriptor`]).
    ///
    /// # Errors
    ///
    /// `Unsupported` on a reactor that has no kernel.
    pub fn with_descriptor<T>(&self, f: impl FnOnce(BorrowedFd<'_>) -> T) -> io::Result<T> {
        Ok(f(self.core.io().reactor().borrow().descriptor()?))
    }

    /// The time of its reactor.
    pub fn now(&self) -> Nanos {
        self.core.now()
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
        self.core.tree()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drive::shut_down(&self.core);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runtime {}", self.core.serial())
    }
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
        timers: core.timers().len(),
        operations: core.io().operations().names(),
    })
}
