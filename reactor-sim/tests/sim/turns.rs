//! What one turn brings, and in which order.

use std::io::{ErrorKind, Read, Write};

use reactor_sim::{Network, Peer};
use runtime_core::address::{Family, Kind};
use runtime_core::call::Call;
use runtime_core::op::{Fd, Op};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Wait};

use crate::rig::Node;

/// So many connections to a node, each with a receive, and the other ends.
fn connections(network: &Network, node: &mut Node, names: &[&'static str]) -> Vec<(Fd, Peer)> {
    let (listener, addr) = node.listener(100);
    let accept = node.stage("accept", Op::Accept { fd: listener });
    let peers: Vec<_> = names.iter().map(|_| network.connect(addr).unwrap()).collect();
    assert_eq!(node.turn(Wait::No).len(), names.len());
    node.cancel(accept);
    assert_eq!(node.turn(Wait::No), ["accept: 125"]);
    let ours: Vec<_> = names
        .iter()
        .map(|name| {
            let fd = node.accepted();
            node.stage(name, Op::Receive { fd });
            fd
        })
        .collect();
    assert_eq!(node.turn(Wait::No).len(), 0);
    ours.into_iter().zip(peers).collect()
}

#[test]
fn what_happened_first_is_told_first() {
    let network = Network::new();
    let mut node = Node::new(&network);
    let mut pairs = connections(&network, &mut node, &["a", "b", "c"]);
    for (index, bytes) in [(2, "1"), (0, "2"), (2, "3"), (1, "4")] {
        pairs[index].1.write_all(bytes.as_bytes()).unwrap();
    }
    assert_eq!(node.turn(Wait::No), ["c: 13, more", "a: 2, more", "b: 4, more"]);
}

/// What a node receives of three peers who write the same at one instant.
fn shuffled(seed: u64) -> Vec<String> {
    let network = Network::builder().seed(seed).shuffle(true).build();
    let mut node = Node::new(&network);
    let mut pairs = connections(&network, &mut node, &["a", "b", "c"]);
    for (_, peer) in &mut pairs {
        peer.write_all(b"01234567").unwrap();
    }
    let mut lines = Vec::new();
    loop {
        let more = node.turn(Wait::No);
        if more.is_empty() {
            return lines;
        }
        lines.extend(more);
    }
}

#[test]
fn the_seed_decides_the_order_and_the_pieces_if_that_is_wanted() {
    let runs: Vec<_> = (0..20).map(shuffled).collect();
    assert_eq!(runs, (0..20).map(shuffled).collect::<Vec<_>>(), "the same again");
    assert!(runs.iter().any(|run| run != &runs[0]));
    assert!(runs.iter().all(|run| run.len() >= 3) && runs.iter().any(|run| run.len() > 6));
    assert!(["a", "b", "c"].iter().all(|&name| runs.iter().any(|run| run[0].starts_with(name))));
    for run in runs {
        for name in ["a: ", "b: ", "c: "] {
            let pieces = run.iter().filter_map(|line| line.strip_prefix(name)?.strip_suffix(", more"));
            assert_eq!(pieces.collect::<String>(), "01234567");
        }
    }
}

#[test]
fn a_flood_of_connections_is_accepted_in_shares() {
    let network = Network::new();
    let mut node = Node::new(&network);
    let (listener, addr) = node.listener(200);
    node.stage("accept", Op::Accept { fd: listener });
    let _peers: Vec<_> = (0..150).map(|_| network.connect(addr).unwrap()).collect();
    let shares = [(); 4].map(|()| node.turn(Wait::No).len());
    assert_eq!(shares, [64, 64, 22, 0]);
}

#[test]
fn a_turn_receives_some_bytes_and_the_next_one_the_rest() {
    const LEN: usize = 48 * 1024;
    let network = Network::new();
    let mut node = Node::with_pool(&network, Pool::new(8, LEN).unwrap());
    let mut pairs = connections(&network, &mut node, &["a", "b", "c", "d"]);
    for (_, peer) in &mut pairs {
        peer.write_all(&[b'x'; LEN]).unwrap();
    }
    let names = |lines: Vec<String>| lines.iter().map(|line| line[..1].to_owned()).collect::<String>();
    assert_eq!([(); 3].map(|()| names(node.turn(Wait::No))), ["abc", "d", ""]);
}

#[test]
fn who_lacks_a_chunk_comes_first_when_there_is_one() {
    let network = Network::new();
    let mut node = Node::with_pool(&network, Pool::new(1, 2).unwrap());
    let mut pairs = connections(&network, &mut node, &["a", "b", "c"]);
    for (_, peer) in &mut pairs {
        peer.write_all(b"1234").unwrap();
    }
    let lines = [(); 6].map(|()| node.turn(Wait::No).concat());
    assert_eq!(
        lines,
        ["a: 12, more", "b: 12, more", "c: 12, more", "a: 34, more", "b: 34, more", "c: 34, more"]
    );
}

#[test]
fn each_side_of_a_socket_has_one_who_waits() {
    let network = Network::new();
    let mut node = Node::new(&network);
    let pairs = connections(&network, &mut node, &["first"]);
    let fd = pairs[0].0;
    node.stage("second", Op::Receive { fd });
    assert_eq!(node.turn(Wait::No), ["second: 16"]);
}

#[test]
fn what_the_network_has_not_is_said_in_words() {
    let network = Network::new();
    let mut node = Node::new(&network);
    let (fd, _) = node.listener(1);
    let reactor = &mut node.reactor;
    let refused = [
        reactor.open(Family::V4, Kind::Datagram).unwrap_err(),
        reactor.open(Family::V6, Kind::SeqPacket).unwrap_err(),
        reactor.open(Family::Unix, Kind::Stream).unwrap_err(),
        reactor.export(fd).unwrap_err(),
        reactor.share(fd).unwrap_err(),
        reactor.descriptor().unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("the simulated network "), "{error}");
    }
    node.stage("open", Op::Call(Call::Open { path: "/dev/null".into() }));
    node.stage("stat", Op::Call(Call::Stat { path: "/dev/null".into() }));
    assert_eq!(node.turn(Wait::No), ["open: 38", "stat: 38"]);
}

#[test]
#[should_panic(expected = "a peer waits for something to read, which never comes")]
fn a_peer_does_not_wait_for_ever() {
    let network = Network::new();
    let mut node = Node::new(&network);
    let (_listener, addr) = node.listener(1);
    let mut peer = network.connect(addr).unwrap();
    peer.write_all(b"hello").unwrap();
    let _ = peer.read(&mut [0; 8]);
}
