//! A network in memory, with a clock of its own.
//!
//! - `state`: all of it, as plain data that one borrow reaches; how time passes.
//! - `clock`: virtual time, and the events that lie ahead.
//! - `nodes`: who takes part, what each has to look at, and until when it waits.
//! - `hosts`, `ports`: which addresses and names there are, and who has which port.
//! - `socket`, `listener`, `connection`: what there is to know of a socket.
//! - `calls`: what a program does with a socket.
//! - `packets`: what travels, and what it does where it arrives.
//! - `random`: the order in which nothing happens by itself.
//! - `signal`: how other threads make themselves heard.

pub(crate) mod calls;
mod clock;
mod connection;
mod hosts;
mod listener;
pub(crate) mod nodes;
mod packets;
mod ports;
mod random;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::call::Resolved;
use runtime_core::clock::Nanos;
use runtime_core::reactor::Wait;

use self::nodes::NodeId;
use self::random::Random;
use self::signal::Signal;
use self::state::State;
use crate::reactor::SimReactor;

/// How long nothing happens, in real time, until it is clear that nothing will.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network in memory: nodes on one thread that share a clock and can talk to each other.
///
/// A handle: clones are the same network.
#[derive(Clone)]
pub struct Network {
    inner: Rc<Inner>,
}

struct Inner {
    state: RefCell<State>,
    signal: Arc<Signal>,
    /// How much of what other threads did has been looked at.
    seen: Cell<u64>,
    patience: Duration,
}

impl Network {
    /// A network without latency, in which all happens in the order in which it was asked for.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A network with a will of its own.
    pub fn builder() -> NetworkBuilder {
        NetworkBuilder { seed: 0, shuffle: false, latency: Duration::ZERO, patience: PATIENCE }
    }

    /// The reactor of a new node.
    pub fn reactor(&self) -> SimReactor {
        SimReactor::new(self)
    }

    /// Adds an address, and a name for it. A name may have several addresses, and an address several names.
    ///
    /// As far as addresses go, all nodes are programs on one machine, which has `127.0.0.0/8` and `::1`, with the name
    /// `localhost`, and what was added.
    pub fn add_host(&self, name: &str, ip: IpAddr) {
        self.with(|state| state.hosts.add(name, ip));
    }

    /// The time, of all nodes.
    pub fn now(&self) -> Nanos {
        self.with(|state| state.clock.now())
    }

    /// When the next thing happens in the network by itself. What the nodes wait for is not among it.
    pub fn next_event(&self) -> Option<Nanos> {
        self.with(|state| state.clock.next())
    }

    /// Moves the clock, unless it is later already. What happens in the network until then happens at its time.
    ///
    /// Nobody is asked: neither nodes that wait for something earlier, nor calls that are being made.
    pub fn advance_to(&self, time: Nanos) {
        self.with(|state| state.advance_to(time));
    }

    /// Waits for the next event, but no longer than until `until`: what a host does when no node has anything to do.
    ///
    /// That moves the clock and takes no time, unless a call is being made on another thread ([`Op::Call`]): for that
    /// the clock stands still. It may return early, when a call has ended or a node was unparked. It returns
    /// at once if anything has happened in the network since it last returned: a node that had nothing to do before that
    /// has to be stepped again.
    ///
    /// # Errors
    ///
    /// Nothing can happen any more: nothing is under way, the wait has no end, and for a minute of real time no other
    /// thread has unparked a node.
    ///
    /// [`Op::Call`]: runtime_core::op::Op::Call
    pub fn wait(&self, until: Wait) -> io::Result<()> {
        let is_stirred = self.is_stirred(Duration::ZERO);
        if self.with(|state| state.nodes.take_news()) || is_stirred || until == Wait::No {
            return Ok(());
        }
        if self.with(|state| state.calls > 0) {
            self.is_stirred(Duration::MAX);
            return Ok(());
        }
        match self.next_event().map_or(until, |next| until.until_at_most(next)) {
            Wait::Until(Nanos::NEVER) | Wait::Forever => self.wait_for_others(),
            Wait::Until(time) => {
                self.advance_to(time);
                Ok(())
            }
            Wait::No => Ok(()),
        }
    }

    /// Waits for one node, which has nothing to do until then: says whether that was possible. It is not if another one
    /// may have something to do.
    pub(crate) fn wait_as(&self, node: NodeId, until: Wait) -> io::Result<bool> {
        let all = self.with(|state| state.nodes.wait(node, until, state.clock.now()))?;
        self.wait(all)?;
        Ok(all != Wait::No)
    }

    /// Borrows it all. What was done to it has its consequences before anybody looks again.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.inner.state.borrow_mut();
        let result = act(&mut state);
        state.happen_due();
        result
    }

    /// What other threads stir when there is something to look at.
    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.inner.signal
    }

    /// The addresses of a host, with a port.
    pub(crate) fn resolve(&self, host: &str, port: u16) -> Resolved {
        let ips = self.with(|state| state.hosts.resolve(host));
        let ips = ips.ok_or_else(|| {
            let text = format!("no host of the simulated network has the name {host}");
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    fn wait_for_others(&self) -> io::Result<()> {
        if self.is_stirred(self.inner.patience) {
            return Ok(());
        }
        let text = format!(
            "nothing can happen any more: all nodes of the simulated network wait, without a timer, nothing is on its way \
             to them, and for {:?} no other thread has woken one",
            self.inner.patience
        );
        Err(io::Error::new(io::ErrorKind::Deadlock, text))
    }

    /// Whether other threads have made themselves heard, or do within `patience`. Then every node has to look.
    fn is_stirred(&self, patience: Duration) -> bool {
        let seen = self.inner.seen.get();
        let stirs = self.inner.signal.wait(seen, patience);
        self.inner.seen.set(stirs);
        if stirs != seen {
            self.with(|state| state.nodes.notify_all());
        }
        stirs != seen
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a [`Network`].
#[derive(Clone, Debug)]
pub struct NetworkBuilder {
    seed: u64,
    shuffle: bool,
    latency: Duration,
    patience: Duration,
}

impl NetworkBuilder {
    /// What decides where nothing else does. The same seed gives the same run, as far as no other threads take part.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether the seed decides in which order a node sees what happened to its sockets since it last looked, and how
    /// many of the bytes that have arrived one receive brings. Otherwise that is the order in which it happened, and
    /// as many as fit.
    #[must_use]
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// How long everything travels that one socket sends to another. At first, no time.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// How long other threads have, in real time, to wake a node when nothing else can happen any more: at first, 60
    /// seconds. When it is over, that is an error.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The network, without a node.
    pub fn build(self) -> Network {
        let dice = self.shuffle.then(|| Random::new(self.seed));
        let inner = Inner {
            state: RefCell::new(State::new(self.latency, dice)),
            signal: Arc::default(),
            seen: Cell::new(0),
            patience: self.patience,
        };
        Network { inner: Rc::new(inner) }
    }
}
