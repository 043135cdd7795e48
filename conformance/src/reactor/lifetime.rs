//! Reactors come and go, with operations in flight.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use runtime_core::reactor::Wait;

use super::Env;
use super::connect::FullListener;
use super::loopback::fill;
use crate::driver::Driver;
use crate::machine;

trials![
    dropped_with_everything_in_flight,
    dropped_while_parked,
    chunks_outlive_it,
    unparker_outlives_it,
    unparked_while_dropped,
    many_in_a_row,
    two_at_once,
    own_descriptors_close_on_exec,
];

fn dropped_with_everything_in_flight(env: &Env) {
    let mut driver = Driver::with_pool(env, 16, 512);
    let full = FullListener::new();
    let (listener, address) = driver.listener(16);
    let connecting = driver.socket();
    let (blocked, _blocked_peer) = driver.pair();
    driver.fill(blocked);
    let mut pairs: Vec<_> = (0..40).map(|_| driver.pair()).collect();

    driver.connect(connecting, full.address);
    driver.accept(listener);
    driver.writable(blocked);
    for (ours, _) in &pairs {
        driver.receive(ours);
    }
    driver.turn(Wait::No);

    let pool = driver.abandon();
    assert_eq!(pool.available(), 16, "chunks are lost");
    let mut chunks: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
    chunks.iter_mut().for_each(|chunk| chunk.space().fill(0xA5));

    // An operation that lived on would take these bytes, and write them to where it once was allowed to.
    for (_, peer) in &mut pairs {
        peer.write_all(b"late").expect("the peer writes");
    }
    for (ours, _peer) in pairs {
        let mut ours = TcpStream::from(ours);
        ours.set_nonblocking(false).expect("blocking mode");
        assert!(machine::readable(&ours, Duration::from_secs(10)), "a dead operation has eaten them");
        let mut arrived = [0; 4];
        ours.read_exact(&mut arrived).expect("read");
        assert_eq!(&arrived, b"late");
    }
    assert!(chunks.iter_mut().all(|chunk| chunk.space().iter().all(|&byte| byte == 0xA5)), "written to");

    let _peer = driver.world().connect(address).expect("connect");
    let listener = TcpListener::from(listener);
    assert!(machine::readable(&listener, Duration::from_secs(10)), "a dead operation has accepted it");
}

fn dropped_while_parked(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 4);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    peer.write_all(b"12345678").expect("the peer writes");
    let held = driver.next(token).data.expect("four bytes");
    driver.turn(Wait::No);
    let pool = driver.abandon();
    assert_eq!(*held, *b"1234");
    drop(held);
    assert_eq!(pool.available(), 1);
    let mut rest = [0; 4];
    TcpStream::from(ours).read_exact(&mut rest).expect("read");
    assert_eq!(&rest, b"5678");
}

fn chunks_outlive_it(env: &Env) {
    let mut driver = Driver::with_pool(env, 4, 64);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    peer.write_all(b"mine").expect("the peer writes");
    let held = driver.next(token).data.expect("four bytes");
    drop(driver.abandon());
    peer.write_all(b"more").expect("the peer writes");
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
    let listener = TcpListener::bind(super::loopback::ANY).expect("bind");
    for _ in 0..50 {
        let mut driver = Driver::new(env);
        let ours = driver.socket();
        let token = driver.connect(ours, listener.local_addr().expect("getsockname"));
        assert_eq!(driver.end(token), Ok(0));
        driver.receive(ours);
        driver.turn(Wait::No);
        driver.abandon();
        let (mut peer, _) = listener.accept().expect("accept");
        drop(ours);
        assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0, "nobody else keeps it open");
    }
}

/// Their tokens are the same numbers.
fn two_at_once(env: &Env) {
    let (mut one, mut two) = (Driver::new(env), Driver::new(env));
    let (one_ours, mut one_peer) = one.pair();
    let (two_ours, mut two_peer) = two.pair();
    let (one_token, two_token) = (one.receive(&one_ours), two.receive(&two_ours));
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

fn own_descriptors_close_on_exec(env: &Env) {
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
