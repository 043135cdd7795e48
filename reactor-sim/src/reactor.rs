//! One node of the network, as a reactor.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::clock::Nanos;
use runtime_core::errno::Errno;
use runtime_core::op::{Attempt, Control, End, Fd, SocketOption, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Unpark, Wait};

use crate::descriptors::Descriptors;
use crate::jobs::Jobs;
use crate::network::Network;
use crate::network::nodes::NodeId;
use crate::network::signal::Unparker;
use crate::network::socket::SocketId;
use crate::network::state::State;

/// How many closures of one node run at a time, unless it was made with another limit. More wait.
const MOST_THREADS: usize = 64;

/// A node of a [`Network`].
///
/// A turn that waits moves the clock to what it waits for. In a network of several nodes it does so when all of them wait, and
/// else returns early: the others have something to do first. A turn that does not wait never moves the clock.
///
/// So what a node computes takes no time. Only one that looks at the clock thousands of times while it stands still has each
/// further look take a microsecond: a loop that is busy until some time comes ends, and so does one whose tasks are always
/// ready while a timer is to fire.
pub struct SimReactor {
    pub(crate) network: Network,
    pub(crate) node: NodeId,
    pub(crate) descriptors: Descriptors,
    pub(crate) jobs: Jobs,
    /// What this turn's cancels and closes ended: reported after the immediate results.
    pub(crate) cancelled: Vec<Token>,
    unparker: Arc<Unparker>,
}

impl SimReactor {
    /// A new node of that network.
    pub fn new(network: &Network) -> Self {
        Self::with_workers(network, MOST_THREADS)
    }

    /// The same, with so many threads at most for closures that may block, at least one. Without a limit there are 64.
    pub fn with_workers(network: &Network, limit: usize) -> Self {
        let signal = network.signal();
        Self {
            network: network.clone(),
            node: network.with(|state| state.nodes.add()),
            descriptors: Descriptors::default(),
            jobs: Jobs::new(Arc::clone(signal), limit.max(1)),
            cancelled: Vec::new(),
            unparker: Arc::new(Unparker::new(Arc::clone(signal))),
        }
    }

    /// The only node of a network of its own.
    pub fn alone() -> Self {
        Network::new().reactor()
    }

    /// The network that it is a node of.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Waits until there is something to look at, and says whether to look: not if the turn is to end.
    fn wait(&mut self, wait: Wait) -> io::Result<bool> {
        let is_over = match wait {
            Wait::No => true,
            Wait::Until(deadline) => deadline <= self.now(),
            Wait::Forever => false,
        };
        if is_over || self.unparker.take() {
            return Ok(false);
        }
        self.network.wait_as(self.node, wait)
    }

    /// Does something with the socket of that name.
    pub(crate) fn with_socket<R>(
        &self,
        fd: Fd,
        act: impl FnOnce(&mut State, SocketId) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let socket = self.descriptors.get(fd)?.socket;
        self.network.with(|state| act(state, socket))
    }

    pub(crate) fn send(&self, fd: Fd, bytes: &[u8]) -> Result<usize, Errno> {
        self.with_socket(fd, |state, socket| state.write(socket, bytes))
    }

    /// Gives a socket of the network to this node.
    pub(crate) fn own(&mut self, socket: SocketId) -> Fd {
        let fd = self.descriptors.insert(socket);
        self.network.with(|state| state.get(socket).owner = Some((self.node, fd)));
        fd
    }
}

impl Reactor for SimReactor {
    fn turn(&mut self, turn: Turn<'_>) -> io::Result<()> {
        self.network.with(|state| state.nodes.take_turn(self.node));
        for (token, op) in turn.staged.drain(..) {
            self.perform(token, op, turn.done, turn.sent);
        }
        self.report_cancelled(turn.done);
        loop {
            self.report_jobs(turn.done);
            self.serve(turn.pool, turn.done);
            if turn.has_results() || !self.wait(turn.wait)? {
                return Ok(());
            }
        }
    }

    fn idle(&self, pool: &Pool) -> Wait {
        if self.jobs.any_finished() || self.has_results(pool) {
            return Wait::No;
        }
        self.network.next_event().map_or(Wait::Forever, Wait::Until)
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Err(unsupported("has no descriptor to watch: wait with `Network::wait`"))
    }

    fn now(&self) -> Nanos {
        self.network.with(State::look)
    }

    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>> {
        Ok(Arc::clone(&self.unparker) as _)
    }

    fn attempt(&mut self, fd: Fd, attempt: Attempt<'_>) -> io::Result<usize> {
        match attempt {
            Attempt::Send(bytes) => Ok(self.send(fd, bytes)?),
        }
    }

    fn open(&mut self, family: Family, kind: Kind) -> io::Result<Fd> {
        match (family, kind) {
            (Family::V4 | Family::V6, Kind::Stream) => {
                let socket = self.network.with(|state| state.socket(family));
                Ok(self.own(socket))
            }
            (Family::V4 | Family::V6, Kind::Datagram) => Err(unsupported("has no datagrams")),
            (Family::V4 | Family::V6, Kind::SeqPacket) => Err(unsupported("has no sequenced packets")),
            (Family::Unix, Kind::Stream | Kind::Datagram | Kind::SeqPacket) => {
                Err(unsupported("has no Unix sockets"))
            }
        }
    }

    fn import(&mut self, fd: OwnedFd) -> Result<Fd, (io::Error, OwnedFd)> {
        Err((unsupported("cannot use a descriptor of the kernel's"), fd))
    }

    fn export(&mut self, _: Fd) -> io::Result<OwnedFd> {
        Err(unsupported("has no descriptor of the kernel's to give away"))
    }

    fn disown(&mut self, _: Fd) {
        // A child that `fork` made has a network of its own: its copy of this one.
    }

    fn share(&mut self, _: Fd) -> io::Result<Arc<OwnedFd>> {
        Err(unsupported("has no descriptor of the kernel's to share"))
    }

    fn control(&mut self, fd: Fd, request: Control<'_>) -> io::Result<()> {
        Ok(self.with_socket(fd, |state, socket| match request {
            Control::Bind(addr) => state.bind(socket, addr),
            Control::Listen(backlog) => state.listen(socket, backlog),
            Control::Shutdown(how) => state.shutdown(socket, how),
            Control::Set(option, value) => {
                state.set_option(socket, option, value);
                Ok(())
            }
        })?)
    }

    fn option(&mut self, fd: Fd, option: SocketOption) -> io::Result<u32> {
        Ok(self.with_socket(fd, |state, socket| Ok(state.get(socket).settings.get(option)))?)
    }

    fn address(&mut self, fd: Fd, end: End) -> io::Result<SockAddr> {
        Ok(self.with_socket(fd, |state, socket| match end {
            End::Local => Ok(state.get(socket).local()),
            End::Peer => state.get(socket).remote(),
        })?)
    }
}

impl Drop for SimReactor {
    fn drop(&mut self) {
        self.network.with(|state| {
            for socket in self.descriptors.sockets() {
                state.close(socket, false);
            }
            state.nodes.remove(self.node);
            state.calls -= self.jobs.under_way();
        });
    }
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("the simulated network {what}"))
}
