//! The nodes of a network: what each has to look at, and what it waits for.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;

use runtime_core::clock::Nanos;
use runtime_core::reactor::Wait;

use super::socket::SocketId;

/// So many turns in a row of one node that waits for others are not explained by a host that steps all.
const MOST_TURNS_ALONE: usize = 1_000;

/// Names a node in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// All nodes of a network.
#[derive(Default)]
pub(crate) struct Nodes {
    all: BTreeMap<NodeId, Node>,
    made: u32,
    /// Who took the last turn, and how many in a row in which it waited for the others.
    latest: Option<(NodeId, usize)>,
    /// Something has happened to a socket of one of them since somebody last asked.
    news: bool,
}

struct Node {
    /// Sockets that something has happened to, in the order in which it did.
    ready: VecDeque<SocketId>,
    /// How long it may be left alone, as far as is known: not at all, unless its last turn was a wait and nothing has
    /// happened to it since.
    wait: Wait,
}

impl Nodes {
    pub(crate) fn add(&mut self) -> NodeId {
        let id = NodeId(self.made);
        self.made += 1;
        self.all.insert(id, Node { ready: VecDeque::new(), wait: Wait::No });
        id
    }

    pub(crate) fn remove(&mut self, id: NodeId) {
        self.all.remove(&id);
    }

    /// Something has happened to a socket of that node's.
    pub(super) fn notify(&mut self, id: NodeId, socket: SocketId) {
        if let Some(node) = self.all.get_mut(&id) {
            node.wait = Wait::No;
            node.ready.push_back(socket);
            self.news = true;
        }
    }

    /// Whether anything has happened to a socket of any of them since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        mem::take(&mut self.news)
    }

    /// Something has happened outside of the network, and may concern any of them.
    pub(crate) fn notify_all(&mut self) {
        self.all.values_mut().for_each(|node| node.wait = Wait::No);
    }

    pub(super) fn ready(&self, id: NodeId) -> impl Iterator<Item = SocketId> {
        self.all.get(&id).into_iter().flat_map(|node| node.ready.iter().copied())
    }

    pub(super) fn take_ready(&mut self, id: NodeId) -> Vec<SocketId> {
        self.all.get_mut(&id).map_or_else(Vec::new, |node| node.ready.drain(..).collect())
    }

    /// Gives back one that was taken and could not be looked at: it comes first the next time.
    pub(super) fn put_back(&mut self, id: NodeId, socket: SocketId) {
        if let Some(node) = self.all.get_mut(&id) {
            node.ready.push_front(socket);
        }
    }

    /// A node takes a turn.
    pub(crate) fn take_turn(&mut self, id: NodeId) {
        if let Some(node) = self.all.get_mut(&id) {
            node.wait = Wait::No;
        }
        if self.latest.is_none_or(|(latest, _)| latest != id) {
            self.latest = Some((id, 0));
        }
    }

    /// A node has nothing to do for so long: how long is that true of all? Not at all if the time of one has come.
    ///
    /// # Errors
    ///
    /// The others have not taken a turn for so long that they never will.
    pub(crate) fn wait(&mut self, id: NodeId, wait: Wait, now: Nanos) -> io::Result<Wait> {
        if let Some(node) = self.all.get_mut(&id) {
            node.wait = wait;
        }
        let all = match self.all.values().fold(Wait::Forever, |all, node| all.at_most(node.wait)) {
            Wait::Until(deadline) if deadline <= now => Wait::No,
            all => all,
        };
        let alone = self.latest.filter(|_| all == Wait::No).map_or(0, |(_, alone)| alone + 1);
        self.latest = Some((id, alone));
        if alone > MOST_TURNS_ALONE {
            return Err(io::Error::other(
                "a node waits, and another one of its network takes no turn: step all of them in turns",
            ));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wait_for_what_comes_first() {
        let mut nodes = Nodes::default();
        let (one, two) = (nodes.add(), nodes.add());
        let until = |time| Wait::Until(Nanos(time));
        let wait = |nodes: &mut Nodes, id, wait| nodes.wait(id, wait, Nanos(2)).unwrap();
        assert_eq!(wait(&mut nodes, one, until(5)), Wait::No, "the other has not said that it waits");
        assert_eq!(wait(&mut nodes, two, until(9)), until(5));
        assert_eq!(wait(&mut nodes, two, until(2)), Wait::No, "its time has come");
        assert_eq!(wait(&mut nodes, one, until(5)), Wait::No, "and it has not looked");
        nodes.take_turn(one);
        assert_eq!(wait(&mut nodes, two, until(9)), Wait::No);
        assert_eq!(wait(&mut nodes, one, Wait::Forever), until(9));
        nodes.notify(two, SocketId::FIRST);
        assert_eq!(wait(&mut nodes, one, Wait::Forever), Wait::No);
        nodes.remove(two);
        assert_eq!(wait(&mut nodes, one, Wait::Forever), Wait::Forever);
    }

    #[test]
    fn who_is_stepped_alone_hears_of_it() {
        let mut nodes = Nodes::default();
        let (one, _two) = (nodes.add(), nodes.add());
        let mut turns = (0..=MOST_TURNS_ALONE).map(|_| {
            nodes.take_turn(one);
            nodes.wait(one, Wait::Forever, Nanos(0))
        });
        let error = turns.find_map(Result::err).expect("an error in the end");
        assert!(error.to_string().contains("takes no turn"), "{error}");
    }
}
