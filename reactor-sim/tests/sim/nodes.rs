//! Several nodes on one thread: whoever steps them, the clock never passes what one of them waits for.

use std::time::Duration;

use reactor_sim::Network;
use runtime_core::clock::Nanos;
use runtime_core::op::{Fd, Op};
use runtime_core::reactor::{Reactor, Wait};

use crate::rig::{Node, connect, send};

const NOTHING: [&str; 0] = [];

/// A turn of the first node, then one of the second, neither of which waits.
fn round([one, two]: &mut [Node; 2]) -> [Vec<String>; 2] {
    [one.turn(Wait::No), two.turn(Wait::No)]
}

/// What a host does that steps nodes: all have a turn that does not wait; then time passes until one has something to
/// do.
fn pass(network: &Network, nodes: &[Node; 2]) {
    let idle = nodes.iter().fold(Wait::Forever, |all, node| all.at_most(node.reactor.idle(&node.pool)));
    network.wait(idle).unwrap();
}

/// A connection from the first node to the second, with a receive on either end.
fn connected(network: &Network) -> ([Node; 2], Fd, Fd) {
    let mut nodes = [(); 2].map(|()| Node::new(network));
    let (listener, addr) = nodes[1].listener(1);
    nodes[1].stage("accept", Op::Accept { fd: listener });
    let client = nodes[0].socket();
    nodes[0].stage("connect", connect(client, addr));
    assert_eq!(round(&mut nodes), [vec!["connect: done"], vec!["accept: accepted, more"]]);
    let server = nodes[1].accepted();
    nodes[0].stage("receive", Op::Receive { fd: client });
    nodes[1].stage("receive", Op::Receive { fd: server });
    assert_eq!(round(&mut nodes), [NOTHING; 2]);
    (nodes, client, server)
}

#[test]
fn two_nodes_talk_in_turns_and_no_time_passes() {
    let network = Network::new();
    let (mut nodes, client, server) = connected(&network);
    for _ in 0..3 {
        nodes[0].stage("send", send(client, b"ping"));
        assert_eq!(round(&mut nodes), [vec!["send: 4"], vec!["receive: ping, more"]]);
        nodes[1].stage("send", send(server, b"pong"));
        assert_eq!(nodes[1].turn(Wait::No), ["send: 4"]);
        assert_eq!(nodes[0].turn(Wait::No), ["receive: pong, more"]);
    }
    nodes[0].stage("close", Op::Close { fd: client });
    assert_eq!(round(&mut nodes), [vec!["close: done", "receive: 125"], vec!["receive: done"]]);
    assert_eq!(network.now(), Nanos(0));
}

#[test]
fn what_is_sent_arrives_when_the_host_lets_time_pass() {
    let network = Network::builder().latency(Duration::from_nanos(10)).build();
    let mut nodes = [(); 2].map(|()| Node::new(&network));
    let (listener, addr) = nodes[1].listener(1);
    nodes[1].stage("accept", Op::Accept { fd: listener });
    let client = nodes[0].socket();
    nodes[0].stage("connect", connect(client, addr));
    let mut history = Vec::new();
    loop {
        history.extend(round(&mut nodes).concat().into_iter().map(|line| (network.now().0, line)));
        if history.len() == 2 {
            break;
        }
        pass(&network, &nodes);
    }
    assert_eq!(history, [(20, "connect: done".to_owned()), (30, "accept: accepted, more".to_owned())]);
}

#[test]
fn a_turn_that_does_not_wait_never_moves_the_clock() {
    let network = Network::builder().latency(Duration::from_nanos(10)).build();
    let mut node = Node::new(&network);
    let socket = node.socket();
    node.stage("connect", connect(socket, "127.0.0.1:1".parse().unwrap()));
    for _ in 0..3 {
        assert_eq!(node.turn(Wait::No), NOTHING);
        assert_eq!((network.now(), network.next_event()), (Nanos(0), Some(Nanos(10))));
    }
    network.advance_to(Nanos(25));
    assert_eq!(node.turn(Wait::No), ["connect: 111"]);
    assert_eq!(network.now(), Nanos(25));
}

#[test]
fn nodes_that_all_wait_wait_for_the_first_of_them() {
    let network = Network::new();
    let mut nodes = [(); 2].map(|()| Node::new(&network));
    let deadlines = [[30, 20], [30, 50], [60, 50], [60, 90]];
    let mut times = Vec::new();
    for [one, two] in deadlines {
        nodes[0].turn(Wait::Until(Nanos(one)));
        times.push(network.now().0);
        nodes[1].turn(Wait::Until(Nanos(two)));
        times.push(network.now().0);
    }
    // Each turn ends early as long as the other node may have something to do.
    assert_eq!(times, [0, 20, 20, 30, 50, 50, 50, 60]);
}

#[test]
fn who_waits_does_not_keep_another_from_what_has_come() {
    let network = Network::new();
    let (mut nodes, client, _server) = connected(&network);
    nodes[1].turn(Wait::Forever);
    nodes[0].stage("send", send(client, b"ping"));
    nodes[0].turn(Wait::No);
    assert_eq!(nodes[0].turn(Wait::Until(Nanos(1_000))), NOTHING);
    assert_eq!(network.now(), Nanos(0), "the other node has something to look at");
    assert_eq!(nodes[1].turn(Wait::Forever), ["receive: ping, more"]);
}

#[test]
fn who_steps_one_node_alone_hears_of_it() {
    let network = Network::new();
    let (mut one, _other) = (Node::new(&network), Node::new(&network));
    let mut turns = (0..2_000).map(|_| one.try_turn(Wait::Forever));
    let error = turns.find_map(Result::err).expect("it does not go on for ever");
    assert!(error.to_string().contains("step all of them in turns"), "{error}");
}

/// The first one was asked before something happened to it.
#[test]
fn a_host_does_not_wait_before_all_have_heard_of_everything() {
    let network = Network::new();
    let (mut nodes, client, _server) = connected(&network);
    nodes.swap(0, 1);
    network.wait(Wait::Until(Nanos(0))).unwrap();
    nodes[1].stage("send", send(client, b"ping"));
    assert_eq!(round(&mut nodes), [vec![], vec!["send: 4"]]);
    network.wait(Wait::Until(Nanos(5))).unwrap();
    assert_eq!(
        (network.now(), round(&mut nodes)),
        (Nanos(0), [vec!["receive: ping, more".to_owned()], vec![]])
    );
    network.wait(Wait::Until(Nanos(5))).unwrap();
    assert_eq!(network.now(), Nanos(5));
}

#[test]
fn a_node_that_is_gone_is_waited_for_by_nobody() {
    let network = Network::new();
    let (mut one, other) = (Node::new(&network), Node::new(&network));
    drop(other);
    one.turn(Wait::Until(Nanos(7)));
    assert_eq!(network.now(), Nanos(7));
}

#[test]
fn names_are_those_of_the_network() {
    let network = Network::new();
    network.add_host("db", "10.0.0.1".parse().unwrap());
    network.add_host("db", "fd00::1".parse().unwrap());
    let mut node = Node::new(&network);
    for (name, host) in [("db", "db"), ("self", "localhost"), ("ip", "192.0.2.1"), ("nobody", "web")] {
        let call = runtime_core::call::Call::Resolve { host: host.into(), port: 80 };
        node.stage(name, Op::Call(call));
    }
    let expected = [
        "db: 10.0.0.1:80 [fd00::1]:80",
        "self: 127.0.0.1:80 [::1]:80",
        "ip: 192.0.2.1:80",
        "nobody: no host of the simulated network has the name web",
    ];
    assert_eq!(node.turn(Wait::No), expected);
}
