//! Making a runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::incident::Incident;
use runtime_core::policy::Policy;
use runtime_core::{Config, Reactor};

use crate::backend::Backend;
use crate::report::BackendReport;
use crate::runtime::Runtime;

/// The environment variable with which a user chooses the backend of a program that leaves it open.
const VARIABLE: &str = "CARHOP_BACKEND";

/// The environment variable that has every program report slow polls.
const DEBUG: &str = "CARHOP_DEBUG";

/// What counts as slow then.
const SLOW: Duration = Duration::from_millis(100);

/// Runs `future` on a new runtime, and returns its output. What `future` spawned and did not wait for is
/// dropped.
///
/// ```
/// let answer = carhop::run(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
///
/// # Panics
///
/// If no backend can be started (the text says why; [`Builder::build`] returns it as an error), and if a
/// runtime is already running on this thread.
#[track_caller]
pub fn run<F: Future>(future: F) -> F::Output {
    match Builder::new().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("{error}"),
    }
}

/// Chooses how a runtime is made.
///
/// ```
/// use carhop::{Backend, Builder};
///
/// let runtime = Builder::new().backend(Backend::Auto).build()?;
/// runtime.block_on(async { println!("on {}", runtime.backend()) });
/// # Ok::<(), carhop::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    backend: Backend,
    config: Config,
    blocking_threads: BlockingThreads,
}

impl Builder {
    /// The default: any backend, 128 receive buffers of 16 KiB, up to 64 threads for blocking work.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a backend. [`Backend::Auto`], the default, leaves the choice to the environment variable
    /// `CARHOP_BACKEND` (`auto`, `epoll`, `uring` or `sim`) and then to the machine.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// How many receive buffers all sockets share, and the size of each in bytes. An idle connection holds none. The memory
    /// is asked for when the runtime is made; the kernel provides a page of it when it is used first.
    pub fn receive_buffers(mut self, count: u16, bytes_each: usize) -> Self {
        (self.config.pool_chunks, self.config.chunk_len) = (count, bytes_each);
        self
    }

    /// How many tasks are polled at most before the loop looks at the kernel and the timers again; 256 by default,
    /// 0 counts as 1. It also does so after about a millisecond. Less means that sockets and timers wait for less
    /// behind busy tasks, at more system calls.
    pub fn polls_per_step(mut self, polls: u32) -> Self {
        self.config.polls_per_step = polls;
        self
    }

    /// Has the loop look for news again and again, for up to this long, before it sleeps until the kernel wakes it. A
    /// request that comes within that time is answered without the wake-up. It costs a processor: for the whole of
    /// `time` after the last event, and all the while where events come faster than that. It is for a service that has
    /// a processor of its own; where it has not, this holds up whatever is to wake the loop. The default is zero: to
    /// sleep at once.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = carhop::Builder::new().spin_before_sleep(Duration::from_micros(50)).build()?;
    /// # runtime.block_on(carhop::time::sleep(Duration::from_micros(60)));
    /// # Ok::<(), carhop::BuildError>(())
    /// ```
    pub fn spin_before_sleep(mut self, time: Duration) -> Self {
        self.config.spin_before_sleep = time;
        self
    }

    /// Has tasks run in the order of a [policy](crate::policy) rather than first in, first out. `make` is called for
    /// each runtime that is built.
    pub fn policy<P: Policy + 'static>(mut self, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        self.config.policy = Some(Arc::new(move || Box::new(make())));
        self
    }

    /// Reports each poll that takes longer than `limit`: a task that computes or blocks instead of awaiting holds up
    /// all others. It costs two looks at the clock for each poll, so the default is not to. The environment variable
    /// `CARHOP_DEBUG=1` sets 100 ms where the program sets nothing, like asyncio's debug mode.
    ///
    /// ```
    /// use carhop::{Builder, task};
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::thread::sleep;
    /// use std::time::Duration;
    ///
    /// static NAMED: AtomicBool = AtomicBool::new(false);
    ///
    /// let runtime = Builder::new()
    ///     .slow_poll(Duration::from_millis(5))
    ///     .on_incident(|incident| _ = NAMED.fetch_or(incident.to_string().contains("`sleeper`"), Ordering::Relaxed))
    ///     .build()?;
    /// runtime.block_on(async {
    ///     // Blocks the loop. `carhop::time::sleep` would not.
    ///     let sleeper = task::Builder::new().name("sleeper").spawn(async { sleep(Duration::from_millis(20)) });
    ///     sleeper.await.unwrap();
    /// });
    /// assert!(NAMED.load(Ordering::Relaxed));
    /// # Ok::<(), carhop::BuildError>(())
    /// ```
    pub fn slow_poll(mut self, limit: Duration) -> Self {
        self.config.slow_poll = Some(limit);
        self
    }

    /// Calls `hook` with each [`Incident`]: a task that panicked though nobody has its handle, a poll that took too
    /// long, and the like. By default each is a line on stderr. Like asyncio's `set_exception_handler`.
    ///
    /// The hook is called in the middle of the loop; it may spawn and wake, but not block. A panic of its own is
    /// contained. What goes wrong within the hook is a line on stderr, and so is what goes wrong after the runtime has
    /// been dropped, or in a drop on one of the threads for blocking work.
    ///
    /// ```
    /// use carhop::incident::Incident;
    ///
    /// let runtime = carhop::Builder::new().on_incident(|incident| match incident {
    ///     Incident::TaskPanicked { task, .. } => eprintln!("lost: {task}"),
    ///     other => eprintln!("{other}"),
    /// });
    /// ```
    pub fn on_incident(mut self, hook: impl Fn(&Incident<'_>) + Send + Sync + 'static) -> Self {
        self.config.on_incident = Some(Arc::new(hook));
        self
    }

    /// How many threads [`spawn_blocking`](crate::task::spawn_blocking) uses at most; 64 by default, 0 counts as 1. More
    /// work than that waits for its turn. A thread is started when all others are busy, and ends when it has had
    /// nothing to do for ten seconds.
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.blocking_threads = BlockingThreads(threads);
        self
    }

    /// Has the runtime stand on a reactor of the program's own rather than on a [`Backend`]: a simulated network that it
    /// shares with others, say, or what a test has written. See [`reactor`](crate::reactor) for the contract.
    ///
    /// What concerns a reactor alone (the backend, and the number of threads for blocking work) is the program's to choose
    /// then.
    pub fn reactor<R: Reactor + 'static>(self, reactor: R) -> ReactorBuilder<R> {
        ReactorBuilder { builder: self, reactor }
    }

    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// If the backend that was asked for is refused or not linked, if none at all can be had, if `CARHOP_BACKEND` says
    /// something unknown, and if there is no memory for the receive buffers, there are to be none, or one has 4 GiB or
    /// more.
    ///
    /// # Panics
    ///
    /// If 65,536 runtimes are alive in the process.
    #[track_caller]
    pub fn build(mut self) -> Result<Runtime, BuildError> {
        self.debug();
        let (reactor, report) = choose(self.backend, self.blocking_threads.0)?;
        start(reactor, &self.config, report)
    }
}

impl Builder {
    /// Does what the environment asks of every program.
    fn debug(&mut self) {
        if self.config.slow_poll.is_none() && std::env::var_os(DEBUG).is_some_and(|value| value == "1") {
            self.config.slow_poll = Some(SLOW);
        }
    }
}

/// Makes a runtime on a reactor of the program's own; see [`Builder::reactor`].
pub struct ReactorBuilder<R> {
    builder: Builder,
    reactor: R,
}

impl<R: Reactor + 'static> ReactorBuilder<R> {
    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// If there is no memory for the receive buffers, there are to be none, or one has 4 GiB or more.
    ///
    /// # Panics
    ///
    /// If 65,536 runtimes are alive in the process.
    #[track_caller]
    pub fn build(mut self) -> Result<Runtime, BuildError> {
        self.builder.debug();
        let report = BackendReport::new(Backend::Custom, "the program brought it".to_owned(), Vec::new());
        start(Box::new(self.reactor), &self.builder.config, report)
    }
}

impl<R> fmt::Debug for ReactorBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReactorBuilder({:?})", self.builder)
    }
}

fn start(reactor: Box<dyn Reactor>, config: &Config, report: BackendReport) -> Result<Runtime, BuildError> {
    match runtime_core::Runtime::new(reactor, config) {
        Ok(core) => Ok(Runtime::on(core, report)),
        Err(error) => Err(BuildError(error.to_string())),
    }
}

/// How many threads do blocking work at most.
#[derive(Clone, Copy, Debug)]
struct BlockingThreads(usize);

impl Default for BlockingThreads {
    fn default() -> Self {
        Self(64)
    }
}

/// Starts the backend that was asked for, or the first that the machine offers.
fn choose(asked: Backend, blocking_threads: usize) -> Result<(Box<dyn Reactor>, BackendReport), BuildError> {
    let (wanted, by) = match (asked, std::env::var_os(VARIABLE).filter(|name| !name.is_empty())) {
        (Backend::Auto, Some(name)) => {
            let wanted =
                name.to_string_lossy().parse().map_err(|error| BuildError(format!("{VARIABLE}: {error}")))?;
            (wanted, format!("{VARIABLE} asks for it"))
        }
        (Backend::Auto, None) => (Backend::Auto, String::new()),
        (asked, _) => (asked, "the program asks for it".to_owned()),
    };
    if wanted != Backend::Auto {
        return match wanted.start(blocking_threads) {
            Ok(reactor) => Ok((reactor, BackendReport::new(wanted, by, Vec::new()))),
            Err(refusal) => Err(BuildError(format!("{wanted} cannot be used: {refusal}"))),
        };
    }
    let mut refusals = Vec::new();
    for &backend in Backend::LINKED {
        match backend.start(blocking_threads) {
            Ok(reactor) => return Ok((reactor, BackendReport::automatic(backend, refusals))),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if refusals.is_empty() {
        let text = "only the simulator is linked, which a program has to ask for: with Backend::Sim";
        return Err(BuildError(text.to_owned()));
    }
    let reasons = refusals.iter().map(|refusal| format!("{}: {refusal}", refusal.backend()));
    Err(BuildError(format!("no backend can be used. {}", reasons.collect::<Vec<_>>().join(" "))))
}

/// Why a runtime could not be made: errno, likely cause and remedy, in a sentence or two.
#[derive(Clone, Debug)]
pub struct BuildError(String);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}
