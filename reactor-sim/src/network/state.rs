//! All that there is in a network, and how time passes in it.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::op::Fd;

use super::clock::Clock;
use super::connection::{Connection, Segment};
use super::hosts::Hosts;
use super::nodes::{NodeId, Nodes};
use super::packets::Event;
use super::ports::Ports;
use super::random::Random;
use super::socket::{Socket, SocketId};

/// So often nodes may look at the clock while it stands still. A program that computes looks once in a while.
const FREE_LOOKS: u32 = 10_000;

/// What a look takes beyond that.
const LOOK: Duration = Duration::from_micros(1);

/// A network.
pub(crate) struct State {
    pub(crate) clock: Clock<Event>,
    pub(crate) hosts: Hosts,
    pub(crate) nodes: Nodes,
    /// How often nodes have looked at the clock since it was last moved.
    looks: u32,
    /// What decides where nothing else does, if that is wanted.
    dice: Option<Random>,
    /// How many calls other threads are making, for which the clock stands still.
    pub(crate) calls: usize,
    pub(super) ports: Ports,
    pub(super) sockets: BTreeMap<SocketId, Socket>,
    /// How many sockets there have been.
    opened: u64,
    latency: Duration,
}

impl State {
    pub(crate) fn new(latency: Duration, dice: Option<Random>) -> Self {
        Self {
            clock: Clock::new(),
            hosts: Hosts::new(),
            nodes: Nodes::default(),
            looks: 0,
            dice,
            calls: 0,
            ports: Ports::new(),
            sockets: BTreeMap::new(),
            opened: 0,
            latency,
        }
    }

    /// The time, for a node that asks. Computing takes none; but a node that asks again and again, since it is busy until
    /// some time comes, sees it come.
    pub(crate) fn look(&mut self) -> Nanos {
        if self.looks == FREE_LOOKS {
            self.pass_until(self.clock.now().saturating_add(LOOK));
        } else {
            self.looks += 1;
        }
        self.clock.now()
    }

    /// Lets time pass, and happen what happens in it.
    pub(crate) fn advance_to(&mut self, time: Nanos) {
        self.looks = 0;
        self.pass_until(time);
    }

    fn pass_until(&mut self, time: Nanos) {
        while let Some(next) = self.clock.next().filter(|&next| next <= time) {
            self.clock.move_to(next);
            self.happen_due();
        }
        self.clock.move_to(time);
    }

    /// What is due happens, and what that entails, if it is at once.
    pub(crate) fn happen_due(&mut self) {
        while let Some(event) = self.clock.pop_due() {
            self.happen(event);
        }
    }

    pub(super) fn send(&mut self, from: SocketId, to: SocketId, segment: Segment) {
        self.transmit(Event::Segment { from, to, segment });
    }

    /// It happens when it has arrived.
    pub(super) fn transmit(&mut self, event: Event) {
        let arrival = self.clock.now().saturating_add(self.latency);
        self.clock.schedule(arrival, event);
    }

    pub(super) fn add(&mut self, socket: Socket) -> SocketId {
        let id = SocketId::new(self.opened);
        self.opened += 1;
        self.sockets.insert(id, socket);
        id
    }

    pub(super) fn remove(&mut self, id: SocketId) {
        if let Some(addr) = self.sockets.remove(&id).and_then(|socket| socket.address()) {
            self.ports.release(addr.port(), id);
        }
    }

    /// A socket that somebody holds.
    pub(crate) fn get(&mut self, id: SocketId) -> &mut Socket {
        self.sockets.get_mut(&id).expect("it is there as long as somebody holds it")
    }

    /// The same, to look at.
    pub(crate) fn peek(&self, id: SocketId) -> &Socket {
        self.sockets.get(&id).expect("it is there as long as somebody holds it")
    }

    /// The connection of a socket, if both are still there.
    pub(super) fn connection(&mut self, id: SocketId) -> Option<&mut Connection> {
        self.sockets.get_mut(&id)?.connection()
    }

    /// Tells the owner of a socket, once until it looks, that something has happened to it.
    pub(crate) fn notify(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(&id)
            && let Some((node, _)) = socket.owner
            && !mem::replace(&mut socket.is_ready, true)
        {
            self.nodes.notify(node, id);
        }
    }

    /// What a node should look at, in order.
    pub(crate) fn ready(&self, node: NodeId) -> impl Iterator<Item = Fd> {
        self.nodes.ready(node).filter_map(|id| self.sockets.get(&id)?.owner).map(|(_, fd)| fd)
    }

    /// The same, for the node that looks now: in the order in which it happened, or in any.
    pub(crate) fn take_ready(&mut self, node: NodeId) -> Vec<Fd> {
        let mut ready = self.nodes.take_ready(node);
        if let Some(dice) = &mut self.dice {
            dice.shuffle(&mut ready);
        }
        let told = ready.into_iter().filter_map(|id| {
            let socket = self.sockets.get_mut(&id)?;
            socket.is_ready = false;
            socket.owner
        });
        told.map(|(_, fd)| fd).collect()
    }

    /// How many of so many bytes one receive brings.
    pub(crate) fn share_of(&mut self, len: usize) -> usize {
        self.dice.as_mut().map_or(len, |dice| 1 + dice.below(len))
    }

    /// Gives back what was taken and could not be looked at: it comes first the next time.
    pub(crate) fn put_back(&mut self, node: NodeId, sockets: Vec<SocketId>) {
        for id in sockets.into_iter().rev() {
            if !mem::replace(&mut self.get(id).is_ready, true) {
                self.nodes.put_back(node, id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_at_the_clock_again_and_again_sees_time_pass() {
        let mut state = State::new(Duration::ZERO, None);
        let deadline = Nanos(50_000);
        let looks = (1..).find(|_| state.look() >= deadline).unwrap();
        assert_eq!((looks, state.clock.now()), (FREE_LOOKS + 50, deadline));
        state.advance_to(Nanos(60_000));
        assert!((0..FREE_LOOKS).all(|_| state.look() == Nanos(60_000)), "after a wait it stands still again");
        assert!(state.look() > Nanos(60_000));
    }
}
