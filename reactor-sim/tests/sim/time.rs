//! Virtual time, and what other threads do in real time.

use std::io::ErrorKind;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reactor_sim::{Network, SimReactor};
use runtime_core::call::{Call, Job};
use runtime_core::clock::Nanos;
use runtime_core::op::Op;
use runtime_core::reactor::{Reactor, Wait};

use crate::rig::Node;

const NOTHING: [&str; 0] = [];
const YEAR: Nanos = Nanos(365 * 24 * 60 * 60 * 1_000_000_000);

fn job(f: impl FnOnce() + Send + 'static) -> Op {
    Op::Call(Call::Run(Job::new(f)))
}

#[test]
fn a_year_costs_nothing() {
    let network = Network::new();
    let mut node = Node::new(&network);
    assert_eq!(node.turn(Wait::Until(YEAR)), NOTHING);
    assert_eq!((node.reactor.now(), network.now()), (YEAR, YEAR));
    node.turn(Wait::Until(Nanos(5)));
    assert_eq!(network.now(), YEAR);
}

#[test]
fn a_network_of_its_own_has_a_clock_of_its_own() {
    let (one, two) = (SimReactor::alone(), SimReactor::alone());
    one.network().advance_to(YEAR);
    assert_eq!((one.now(), two.now()), (YEAR, Nanos(0)));
}

#[test]
fn when_nothing_can_happen_any_more_that_is_an_error() {
    let network = Network::builder().patience(Duration::from_millis(1)).build();
    let mut node = Node::new(&network);
    let (listener, _) = node.listener(1);
    node.stage("accept", Op::Accept { fd: listener });
    for wait in [Wait::Forever, Wait::Until(Nanos::NEVER)] {
        let error = node.try_turn(wait).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadlock);
        assert!(error.to_string().contains("nothing can happen any more"), "{error}");
    }
}

#[test]
fn another_thread_ends_a_wait_that_has_no_other_end() {
    let network = Network::new();
    let mut node = Node::new(&network);
    let unparker = node.reactor.unparker().unwrap();
    for _ in 0..20 {
        thread::scope(|scope| {
            scope.spawn(|| unparker.unpark());
            assert_eq!(node.turn(Wait::Forever), NOTHING);
        });
    }
    assert_eq!(network.now(), Nanos(0));
}

#[test]
fn the_clock_waits_for_a_node_that_another_thread_has_woken() {
    let network = Network::new();
    let mut nodes = [(); 2].map(|()| Node::new(&network));
    let unparker = nodes[0].reactor.unparker().unwrap();
    nodes[0].turn(Wait::Forever);
    unparker.unpark();
    nodes[1].turn(Wait::Until(Nanos(7)));
    assert_eq!(network.now(), Nanos(0));
}

#[test]
fn the_clock_stands_still_while_a_call_is_made() {
    let network = Network::new();
    let mut node = Node::new(&network);
    let (go, told) = mpsc::channel::<()>();
    node.stage("job", job(move || assert!(told.recv().is_err())));
    assert_eq!(node.turn(Wait::No), NOTHING);
    let unparker = node.reactor.unparker().unwrap();
    unparker.unpark();
    assert_eq!(node.turn(Wait::Until(Nanos(7))), NOTHING);
    assert_eq!(network.now(), Nanos(0), "an unpark ends the wait, and not the call");
    drop(go);
    assert_eq!(node.turn(Wait::Until(Nanos(7))), ["job: done"]);
    assert_eq!(network.now(), Nanos(0));
    node.turn(Wait::Until(Nanos(7)));
    assert_eq!(network.now(), Nanos(7));
}

#[test]
fn a_host_that_waits_hears_of_the_end_of_a_call() {
    let network = Network::new();
    let mut node = Node::new(&network);
    node.stage("job", job(|| ()));
    node.turn(Wait::No);
    while node.reactor.idle(&node.pool) != Wait::No {
        network.wait(Wait::Until(Nanos(7))).unwrap();
    }
    assert_eq!((node.turn(Wait::No), network.now()), (vec!["job: done".to_owned()], Nanos(0)));
}

#[test]
fn the_clock_stands_still_for_all_nodes() {
    let network = Network::new();
    let mut nodes = [(); 2].map(|()| Node::new(&network));
    let (go, told) = mpsc::channel::<()>();
    nodes[0].stage("job", job(move || assert!(told.recv().is_err())));
    nodes[0].turn(Wait::No);
    let host = thread::spawn(move || drop(go));
    // However often they are asked: only the end of the call is worth while.
    let mut lines = Vec::new();
    while lines.is_empty() {
        nodes[1].turn(Wait::Until(Nanos(7)));
        lines = nodes[0].turn(Wait::Until(Nanos(9)));
        assert_eq!(network.now(), Nanos(0));
    }
    assert_eq!(lines, ["job: done"]);
    host.join().unwrap();
}

#[test]
fn a_call_that_was_given_up_holds_up_nobody() {
    let network = Network::new();
    let mut node = Node::new(&network);
    let (begin, begun) = mpsc::channel();
    let (go, told) = mpsc::channel::<()>();
    let call = node.stage(
        "job",
        job(move || {
            begin.send(()).unwrap();
            assert!(told.recv().is_err());
        }),
    );
    node.turn(Wait::No);
    begun.recv().unwrap();
    node.cancel(call);
    assert_eq!(node.turn(Wait::No), ["job: 125"]);
    node.turn(Wait::Until(YEAR));
    assert_eq!(network.now(), YEAR);
    drop(go);
}

#[test]
fn a_node_that_is_dropped_while_it_makes_calls_holds_up_nobody() {
    let network = Network::new();
    let (mut one, mut other) = (Node::new(&network), Node::new(&network));
    let (go, told) = mpsc::channel::<()>();
    one.stage("job", job(move || assert!(told.recv().is_err())));
    one.turn(Wait::No);
    drop(one);
    other.turn(Wait::Until(YEAR));
    assert_eq!(network.now(), YEAR);
    drop(go);
}
