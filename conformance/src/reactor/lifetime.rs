//! Reactors come and go, with operations in flight.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use runtime_core::reactor::Wait;

use super::connect::FullListener;
use super::loopback::{bytes, fd_of};
use super::{Env, trials};
use crate::driver::{DONE, Driver};
use crate::machine;

trials![
    dropped_with_everything_in_flight,
    what_is_shared_is_not_touched_any_more: Descriptors,
    dropped_while_parked,
    chunks_outlive_it,
    unparker_outlives_it,
    unparked_while_dropped,
    many_in_a_row,
    two_at_once,
    two_that_talk,
    own_descriptors_close_on_exec: Exec,
];

fn dropped_with_everything_in_flight(env: &Env) {
    let mut driver = Driver::with_pool(env, 16, 512);
    let full = FullListener::new(&**env.world());
    let (listener, address) = driver.listener(16);
    let connecting = driver.socket();
    let (blocked, mut blocked_peer) = driver.pair();
    driver.fill(blocked);
    let pairs: Vec<_> = (0..40).map(|_| driver.pair()).collect();

    driver.connect(connecting, full.address);
    driver.accept(listener);
    driver.writable(blocked);
    for &(ours, _) in &pairs {
        driver.receive(ours);
    }
    driver.turn(Wait::No);
    assert_eq!(driver.abandon().available(), 16, "chunks are lost");

    // All of its descriptors are closed.
    blocked_peer.read_to_end(&mut Vec::new()).expect("all that was sent, and the end");
    for (_, mut peer) in pairs {
        assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0);
    }
    assert!(env.world().connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
}

/// An operation that lived on would eat what comes, and write it to where it once was allowed to.
fn what_is_shared_is_not_touched_any_more(env: &Env) {
    let mut driver = Driver::with_pool(env, 16, 512);
    let (listener, address) = driver.listener(16);
    let mut pairs: Vec<_> = (0..40).map(|_| driver.pair()).collect();
    let shared_listener = driver.reactor().share(listener).expect("a second owner");
    let shared: Vec<_> =
        pairs.iter().map(|&(ours, _)| driver.reactor().share(ours).expect("a second owner")).collect();
    driver.accept(listener);
    for &(ours, _) in &pairs {
        driver.receive(ours);
    }
    driver.turn(Wait::No);

    let pool = driver.abandon();
    let mut chunks: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
    assert_eq!(chunks.len(), 16, "chunks are lost");
    chunks.iter_mut().for_each(|chunk| chunk.space().fill(0xA5));

    for (_, peer) in &mut pairs {
        peer.write_all(b"late").expect("the peer writes");
    }
    for ours in shared {
        let mut ours = TcpStream::from(ours.try_clone().expect("dup"));
        ours.set_nonblocking(false).expect("blocking mode");
        assert!(machine::readable(&ours, Duration::from_secs(10)), "a dead operation has eaten them");
        let mut arrived = [0; 4];
        ours.read_exact(&mut arrived).expect("read");
        assert_eq!(&arrived, b"late");
    }
    assert!(chunks.iter_mut().all(|chunk| chunk.space().iter().all(|&byte| byte == 0xA5)), "written to");

    let _peer = env.world().connect(address).expect("connect");
    let listener = TcpListener::from(shared_listener.try_clone().expect("dup"));
    assert!(machine::readable(&listener, Duration::from_secs(10)), "a dead operation has accepted it");
}

fn dropped_while_parked(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 4);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    peer.write_all(b"12345678").expect("the peer writes");
    let held = bytes(driver.next(token));
    driver.turn(Wait::No);
    let pool = driver.abandon();
    assert_eq!(*held, *b"1234");
    drop(held);
    assert_eq!(pool.available(), 1);
    let error = peer.read(&mut [0; 8]).expect_err("closed with unread data");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

fn chunks_outlive_it(env: &Env) {
    let mut driver = Driver::with_pool(env, 4, 64);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    peer.write_all(b"mine").expect("the peer writes");
    let held = bytes(driver.next(token));
    drop(driver.abandon());
    // Nobody is there to read it. Whether that fails depends on when the other end learns of that.
    let _ = peer.write_all(b"more");
    assert_eq!(*held, *b"mine");
}

fn unparker_outlives_it(env: &Env) {
    let mut driver = Driver::new(env);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    drop(driver);
    thread::spawn(move || unparker.unpark()).join().expect("no panic");
}

fn unparked_while_dropped(env: &Env) {
    for _ in 0..20 {
        let mut driver = Driver::new(env);
        let unparker = driver.reactor().unparker().expect("a descriptor is left");
        thread::scope(move |scope| {
            scope.spawn(move || (0..5_000).for_each(|_| unparker.unpark()));
            driver.turn(Wait::Forever);
            driver.abandon();
        });
    }
}

fn many_in_a_row(env: &Env) {
    let listener = env.world().listen(16);
    for _ in 0..50 {
        let mut driver = Driver::new(env);
        let ours = driver.socket();
        let token = driver.connect(ours, listener.address());
        assert_eq!(driver.end(token), DONE);
        driver.receive(ours);
        driver.turn(Wait::No);
        let mut peer = listener.accept().expect("accept");
        driver.abandon();
        assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0, "nobody else keeps it open");
    }
}

/// Their tokens are the same numbers.
fn two_at_once(env: &Env) {
    let (mut one, mut two) = (Driver::new(env), Driver::new(env));
    let (one_ours, mut one_peer) = one.pair();
    let (two_ours, mut two_peer) = two.pair();
    let (one_token, two_token) = (one.receive(one_ours), two.receive(two_ours));
    assert_eq!(one_token, two_token);
    for _ in 0..20 {
        one_peer.write_all(b"one").expect("the peer writes");
        two_peer.write_all(b"two").expect("the peer writes");
        assert_eq!(two.receive_exact(two_token, 3), b"two");
        assert_eq!(one.receive_exact(one_token, 3), b"one");
    }
    drop(one);
    two_peer.write_all(b"two").expect("the peer writes");
    assert_eq!(two.receive_exact(two_token, 3), b"two");
}

fn two_that_talk(env: &Env) {
    let (mut server, mut client) = (Driver::new(env), Driver::new(env));
    let (listener, address) = server.listener(4);
    let accepting = server.accept(listener);
    server.turn(Wait::No);
    let near = client.socket();
    let connecting = client.connect(near, address);
    assert_eq!(client.end(connecting), DONE);
    let far = fd_of(server.next(accepting));
    let (asked, answered) = (server.receive(far), client.receive(near));
    for _ in 0..20 {
        assert_eq!(client.attempt(near, b"question").expect("send"), 8);
        assert_eq!(server.receive_exact(asked, 8), b"question");
        assert_eq!(server.attempt(far, b"answer").expect("send"), 6);
        assert_eq!(client.receive_exact(answered, 6), b"answer");
    }
    drop(server);
    assert_eq!(client.end(answered), DONE);
}

fn own_descriptors_close_on_exec(env: &Env) {
    // The world's own come first.
    env.world().settle();
    let before = machine::descriptors().expect("/proc/self/fd");
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    driver.receive(ours);
    driver.turn(Wait::No);
    let own = machine::descriptors().expect("/proc/self/fd").into_iter().filter(|fd| !before.contains(fd));
    let inherited: Vec<_> = own.filter(|fd| !machine::is_close_on_exec(fd.number)).collect();
    assert!(inherited.is_empty(), "{inherited:?}");
    drop(peer);
}
