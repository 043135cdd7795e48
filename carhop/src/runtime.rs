//! The runtime as its users hold it.

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use runtime_core::JoinHandle;
use runtime_core::reactor::Wait;
use runtime_core::task::TaskTree;

use crate::builder::{BuildError, Builder};
use crate::handle::Handle;
use crate::report::BackendReport;

/// A single-threaded event loop.
///
/// Like asyncio's `Runner`, it runs one future after the other, and what they spawned goes on with the next. A thread
/// may own several, and runs one at a time.
///
/// ```
/// use carhop::Runtime;
/// use std::thread;
///
/// let runtime = Runtime::new()?;
/// let task = runtime.spawn(async { 6 * 7 });
/// let handle = runtime.handle();
/// thread::spawn(move || handle.post(|| println!("on the loop's thread")).unwrap()).join().unwrap();
/// assert_eq!(runtime.block_on(task).unwrap(), 42);
/// # Ok::<(), carhop::BuildError>(())
/// ```
///
/// Dropping it drops all its tasks, cancels what they had in flight and closes their sockets.
#[derive(Debug)]
pub struct Runtime {
    core: runtime_core::Runtime,
    report: BackendReport,
    /// A duplicate of what the reactor waits on, from the first time that a host asked for it.
    descriptor: OnceCell<OwnedFd>,
}

impl Runtime {
    pub(crate) fn on(core: runtime_core::Runtime, report: BackendReport) -> Self {
        Self { core, report, descriptor: OnceCell::new() }
    }

    /// A runtime as [`Builder::new`] makes it.
    ///
    /// # Errors
    ///
    /// See [`Builder::build`].
    ///
    /// # Panics
    ///
    /// If 65,536 runtimes are alive in the process.
    #[track_caller]
    pub fn new() -> Result<Self, BuildError> {
        Builder::new().build()
    }

    /// Runs the loop until `future` is ready, and returns its output. Tasks that have not finished by then
    /// wait for the next `block_on`.
    ///
    /// # Panics
    ///
    /// If a runtime is already running on this thread; in a child process that `fork` made; with what
    /// `future` panics. The runtime can be used again after that.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.core.block_on(future)
    }

    /// Adds a task, which is first polled within [`Runtime::block_on`]. Inside of that, use
    /// [`spawn`](crate::spawn).
    ///
    /// # Panics
    ///
    /// If 2^24 tasks are alive.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.core.spawn(future)
    }

    /// Hands work to it, from any thread, also before the first [`Runtime::block_on`]. Inside of that, there is
    /// [`Handle::current`].
    pub fn handle(&self) -> Handle {
        Handle(self.core.handle())
    }

    /// All its tasks, and what they wait for. Inside of [`Runtime::block_on`], use
    /// [`task::tasks`](crate::task::tasks).
    pub fn tasks(&self) -> TaskTree {
        self.core.tasks()
    }

    /// Which backend this runtime uses, why, and what was tried before.
    pub fn backend(&self) -> &BackendReport {
        &self.report
    }

    /// One step of the loop, for a host whose own loop drives this runtime. It takes what news there are and polls the
    /// tasks that are ready, a batch at most; it waits for nothing.
    ///
    /// Returns how long the host may leave the runtime alone, as long as its descriptor ([`AsFd`]) is not readable: zero
    /// if there is more to do at once, `None` if only the descriptor matters. That is what `poll(2)` takes.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = carhop::Runtime::new()?;
    /// let task = runtime.spawn(async {
    ///     carhop::time::sleep(Duration::from_millis(1)).await;
    ///     6 * 7
    /// });
    /// while !task.is_finished() {
    ///     if let Some(time) = runtime.step() {
    ///         // A host would poll(2) the runtime's descriptor and its own here, for at most so long.
    ///         std::thread::sleep(time);
    ///     }
    /// }
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// # Ok::<(), carhop::BuildError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If a carhop runtime is already running on this thread; in a child process that `fork` made; and if the kernel
    /// refuses to go on, like [`Runtime::block_on`].
    #[track_caller]
    pub fn step(&self) -> Option<Duration> {
        match self.core.step() {
            Wait::No => Some(Duration::ZERO),
            Wait::Until(deadline) => Some(deadline.saturating_since(self.core.now())),
            Wait::Forever => None,
        }
    }
}

/// What a host's own loop may watch for reading: the epoll or ring descriptor. It is readable when [`Runtime::step`] has
/// something to do that time alone does not bring, also when another thread has work for the runtime.
///
/// # Panics
///
/// On a reactor that has no kernel, such as the simulator, and if there is no descriptor left for a duplicate.
impl AsFd for Runtime {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let duplicate = || {
            let duplicate = self.core.with_descriptor(|fd| fd.try_clone_to_owned()).and_then(|cloned| cloned);
            duplicate.unwrap_or_else(|error| {
                panic!("{} has no descriptor to watch: {error}", self.report.chosen())
            })
        };
        self.descriptor.get_or_init(duplicate).as_fd()
    }
}
