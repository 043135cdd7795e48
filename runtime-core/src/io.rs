//! What a runtime and its sockets have to do with the reactor: the operations in flight, the turns that perform them,
//! and the descriptors.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use crate::address::{Family, Kind, SockAddr};
use crate::arena::Arena;
use crate::clock::Nanos;
use crate::contain::{self, contain};
use crate::op::{Completion, Control, End, Fd, Op, SocketOption, Token};
use crate::operations::{Completer, Operations, Role};
use crate::pool::Pool;
use crate::process::{self, Process};
use crate::reactor::{Reactor, Turn, Wait};

/// The part of a runtime that its sockets own together with it. It stays while one of them does.
pub(crate) struct Io {
    reactor: RefCell<Box<dyn Reactor>>,
    operations: Operations<Descriptor>,
    /// What the reactor has said and nobody has been told yet.
    done: RefCell<VecDeque<Completion>>,
    /// As `done`, of attempts to write.
    sent: RefCell<VecDeque<Completion>>,
    pool: Rc<Pool>,
    arena: Rc<Arena>,
    state: Cell<State>,
    /// A turn of the reactor is under way, or its results are being handed out.
    turning: Cell<bool>,
    /// A step of the loop is under way, so that there will be a turn.
    running: Cell<bool>,
    /// The process that made the runtime: after a fork, the child must not touch it.
    process: Process,
}

/// How far a runtime has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The runtime is being dropped: no operation may start any more but a close.
    Closing,
    /// The runtime is gone.
    Closed,
}

impl Io {
    /// # Errors
    ///
    /// Those of [`Pool::new`].
    pub(crate) fn new(reactor: Box<dyn Reactor>, pool_chunks: u16, chunk_len: usize) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            reactor: RefCell::new(reactor),
            operations: Operations::new(),
            done: RefCell::default(),
            sent: RefCell::default(),
            pool: Pool::new(pool_chunks, chunk_len)?,
            arena: Rc::default(),
            state: Cell::new(State::Open),
            turning: Cell::new(false),
            running: Cell::new(false),
            process: Process::current(),
        }))
    }

    /// The operations in flight.
    #[inline]
    pub(crate) fn operations(&self) -> &Operations<Descriptor> {
        &self.operations
    }

    /// Where receives find their memory.
    #[inline]
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// Where small writes are copied to.
    #[inline]
    pub(crate) fn arena(&self) -> &Rc<Arena> {
        &self.arena
    }

    /// The time, which comes from the reactor.
    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        self.reactor.borrow().now()
    }

    /// Stages an operation, whose results go to `completer`.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime is being dropped.
    #[inline]
    pub(crate) fn start(
        &self,
        op: Op,
        role: Role,
        completer: Rc<dyn Completer<Descriptor>>,
    ) -> io::Result<Token> {
        match self.state.get() {
            State::Open => Ok(self.operations.start(op, role, completer)),
            State::Closing | State::Closed => Err(self.gone()),
        }
    }

    /// Why nothing can be asked of it any more.
    pub(crate) fn gone(&self) -> io::Error {
        let why = if self.process.is_current() {
            "the carhop runtime of this socket is gone"
        } else {
            process::FORKED
        };
        io::Error::new(io::ErrorKind::NotConnected, why)
    }

    /// Asks the reactor something.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the runtime has been dropped, and in a forked child.
    #[inline]
    pub(crate) fn with_reactor<T>(&self, f: impl FnOnce(&mut dyn Reactor) -> io::Result<T>) -> io::Result<T> {
        match self.state.get() {
            State::Open | State::Closing if self.process.is_current() => f(&mut **self.reactor.borrow_mut()),
            State::Open | State::Closing | State::Closed => Err(self.gone()),
        }
    }

    /// The reactor, for a host's own loop to watch.
    pub(crate) fn reactor(&self) -> &RefCell<Box<dyn Reactor>> {
        &self.reactor
    }

    /// One turn of the reactor; its results are handed out. A socket that one of the wakes drops is closed in the next
    /// turn, or by the `flush` that this is part of. While no step runs, a wake may also run the runtime or drop it: the
    /// turns within this one hand out what it has yet to hand out.
    ///
    /// # Errors
    ///
    /// If the reactor cannot go on.
    pub(crate) fn turn(self: &Rc<Self>, wait: Wait) -> io::Result<()> {
        let _turning = Raised::new(&self.turning);
        let result = self.perform(wait);
        // What arrived comes before what was written. Otherwise the connections that are answered first, and so may have
        // sent more already, would be the first to be answered again and again.
        while let Some(completion) = self.next_completion() {
            // A new descriptor has an owner before anybody sees it.
            let completion = completion.map_fd(|fd| Descriptor::new(self, fd));
            self.operations.dispatch(completion);
        }
        result
    }

    /// Has the reactor perform what is staged, without waiting. What comes of it is handed out in the next turn.
    ///
    /// # Errors
    ///
    /// If the reactor cannot go on.
    ///
    /// # Panics
    ///
    /// In a child that `fork` made; with what the reactor panics.
    pub(crate) fn perform(&self, wait: Wait) -> io::Result<()> {
        self.process.assert_current();
        let mut staged = self.operations.staged().borrow_mut();
        let (mut done, mut sent) = (self.done.borrow_mut(), self.sent.borrow_mut());
        self.reactor.borrow_mut().turn(Turn {
            staged: &mut staged,
            done: &mut done,
            sent: &mut sent,
            pool: &self.pool,
            wait,
        })?;
        // A loop that turns until nothing is staged would never end.
        assert!(staged.is_empty(), "the reactor left staged operations where they were");
        Ok(())
    }

    #[inline]
    fn next_completion(&self) -> Option<Completion> {
        let done = self.done.borrow_mut().pop_front();
        if done.is_some() { done } else { self.sent.borrow_mut().pop_front() }
    }

    /// Whether a turn that does not wait has something to do.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        self.operations.any_in_flight() || !self.operations.staged().borrow().is_empty()
    }

    /// Performs what is staged, unless a turn is under way, which then is part of a `flush`.
    pub(crate) fn flush(self: &Rc<Self>) {
        let may_turn = !self.turning.get() && self.process.is_current();
        while may_turn && !self.operations.staged().borrow().is_empty() {
            // Drops call this, so a reactor that panics must not unwind from here: two such drops end the process.
            match contain(|| self.turn(Wait::No)) {
                Ok(Ok(())) => {}
                // The next step will say so.
                Ok(Err(_)) => break,
                Err(payload) => {
                    contain::report("the reactor", payload);
                    break;
                }
            }
        }
    }

    /// Closes a descriptor after what was staged before: in the next turn or, where none is to be expected, at
    /// once.
    fn close(self: &Rc<Self>, fd: Fd) {
        if !self.process.is_current() {
            // The reactor is the parent's. The child lets go of its own copy.
            return self.reactor.borrow_mut().disown(fd);
        }
        self.operations.start_last(Op::Close { fd });
        if !self.running.get() {
            self.flush();
        }
    }

    /// Whether there is something to do that was staged, or something to hand out, since the last turn.
    pub(crate) fn has_news(&self) -> bool {
        let staged = !self.operations.staged().borrow().is_empty();
        staged || !self.done.borrow().is_empty() || !self.sent.borrow().is_empty()
    }

    /// Whether operations may start.
    pub(crate) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Whether a step is under way, so that there will be a turn.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.running.get()
    }

    /// Says whether a step is under way. Returns whether one was.
    pub(crate) fn set_running(&self, running: bool) -> bool {
        self.running.replace(running)
    }

    /// From now on no operation starts but a close.
    pub(crate) fn begin_closing(&self) {
        self.state.set(State::Closing);
    }

    /// The runtime is gone.
    pub(crate) fn end(&self) {
        self.state.set(State::Closed);
    }

    /// False in a child that `fork` made.
    #[inline]
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    /// # Panics
    ///
    /// In a child that `fork` made.
    pub(crate) fn assert_same_process(&self) {
        self.process.assert_current();
    }
}

/// A flag that is up until this is dropped, also by a panic; then it is as before.
struct Raised<'a> {
    flag: &'a Cell<bool>,
    before: bool,
}

impl<'a> Raised<'a> {
    fn new(flag: &'a Cell<bool>) -> Self {
        Self { flag, before: flag.replace(true) }
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.flag.set(self.before);
    }
}

/// An open descriptor. Its drop closes it through the loop, so after whatever its owner cancelled just before.
pub(crate) struct Descriptor {
    io: Rc<Io>,
    fd: Fd,
    /// From the first time that somebody asked for it: it keeps the descriptor open for as long as that borrow lasts, also
    /// if the runtime is dropped.
    shared: OnceCell<Arc<OwnedFd>>,
}

impl Descriptor {
    fn new(io: &Rc<Io>, fd: Fd) -> Self {
        Self { io: Rc::clone(io), fd, shared: OnceCell::new() }
    }

    /// A new socket.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    pub(crate) fn open(io: &Rc<Io>, family: Family, kind: Kind) -> io::Result<Self> {
        let fd = io.with_reactor(|reactor| reactor.open(family, kind))?;
        Ok(Self::new(io, fd))
    }

    /// A descriptor that was opened elsewhere.
    ///
    /// # Errors
    ///
    /// `Unsupported` on a reactor that has no kernel; those of `fcntl(2)`.
    pub(crate) fn import(io: &Rc<Io>, fd: OwnedFd) -> io::Result<Self> {
        let fd = io.with_reactor(|reactor| reactor.import(fd).map_err(|(error, _closed)| error))?;
        Ok(Self::new(io, fd))
    }

    /// Its name.
    #[inline]
    pub(crate) fn fd(&self) -> Fd {
        self.fd
    }

    /// Its runtime.
    #[inline]
    pub(crate) fn io(&self) -> &Rc<Io> {
        &self.io
    }

    /// A request that answers at once.
    pub(crate) fn control(&self, request: Control<'_>) -> io::Result<()> {
        self.io.with_reactor(|reactor| reactor.control(self.fd, request))
    }

    /// The value of a socket option.
    pub(crate) fn option(&self, option: SocketOption) -> io::Result<u32> {
        self.io.with_reactor(|reactor| reactor.option(self.fd, option))
    }

    /// The address of one end.
    pub(crate) fn address(&self, end: End) -> io::Result<SockAddr> {
        self.io.with_reactor(|reactor| reactor.address(self.fd, end))
    }
}

impl AsFd for Descriptor {
    /// # Panics
    ///
    /// On a reactor that has no kernel, and so no descriptors of the kernel's.
    fn as_fd(&self) -> BorrowedFd<'_> {
        let share = || match self.io.reactor.borrow_mut().share(self.fd) {
            Ok(shared) => shared,
            Err(error) => panic!("{} is no descriptor of the kernel's: {error}", self.fd),
        };
        self.shared.get_or_init(share).as_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // The reactor is to be the last owner when it closes.
        self.shared.take();
        self.io.close(self.fd);
    }
}
