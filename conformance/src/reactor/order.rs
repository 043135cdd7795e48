//! The order of results, as literal traces: the same on every backend.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv6Addr, SocketAddr};

use runtime_core::errno::Errno;
use runtime_core::op::Token;
use runtime_core::reactor::Wait;

use super::{Env, trials};
use crate::driver::{Driver, count};

trials![
    immediate,
    immediate_failures,
    immediate_before_events,
    sends_apart,
    cancels,
    closes_end_what_waits_as_cancels_do,
    cancel_of_a_parked_receive,
    one_stream,
];

fn immediate(env: &Env) {
    let mut driver = Driver::new(env);
    let [(a, _pa), (b, _pb), (c, _pc), (d, _pd)] = [(); 4].map(|()| driver.pair());
    let (writable_a, close_b) = (driver.writable(a), driver.close(b));
    driver.cancel(Token::new(999, 9));
    let (writable_c, close_d) = (driver.writable(c), driver.close(d));
    let names =
        [("writable a", writable_a), ("close b", close_b), ("writable c", writable_c), ("close d", close_d)];
    driver.turn(Wait::Forever);
    assert_eq!(trace(&mut driver, &names), "writable a: 0\nclose b: 0\nwritable c: 0\nclose d: 0\n");
}

fn immediate_failures(env: &Env) {
    let mut driver = Driver::new(env);
    let (connected, _peer) = driver.pair();
    let (doomed, _doomed_peer) = driver.pair();
    let fresh = driver.socket();
    let names = [
        ("accept", driver.accept(connected)),
        ("close", driver.close(doomed)),
        ("connect", driver.connect(fresh, SocketAddr::from((Ipv6Addr::LOCALHOST, 1)))),
        ("close again", driver.close(doomed)),
        ("writable", driver.writable(connected)),
        ("accept too", driver.accept(connected)),
        ("receive", driver.receive(doomed)),
    ];
    driver.turn(Wait::Forever);
    assert_eq!(
        trace(&mut driver, &names),
        "accept: EINVAL\nclose: 0\nconnect: EAFNOSUPPORT\nclose again: EBADF\nwritable: 0\naccept too: EINVAL\n\
         receive: EBADF\n"
    );
}

fn immediate_before_events(env: &Env) {
    let mut driver = Driver::new(env);
    let (a, mut a_peer) = driver.pair();
    let (b, _b_peer) = driver.pair();
    let (c, _c_peer) = driver.pair();
    let receive = driver.receive(a);
    driver.turn(Wait::No);
    a_peer.write_all(b"event").expect("the peer writes");
    let names = [("receive a", receive), ("writable b", driver.writable(b)), ("close c", driver.close(c))];
    driver.run_until(|inbox| inbox.iter().any(|c| c.token == receive));
    assert_eq!(trace(&mut driver, &names), "writable b: 0\nclose c: 0\nreceive a: 5 more\n");
}

/// In the order of staging among themselves, whatever else is staged. The driver lists them behind the others.
fn sends_apart(env: &Env) {
    let mut driver = Driver::new(env);
    let (a, _a_peer) = driver.pair();
    let (b, _b_peer) = driver.pair();
    let names = [
        ("send b", driver.send(b, b"one")),
        ("writable a", driver.writable(a)),
        ("send a", driver.send(a, b"to")),
        ("close b", driver.close(b)),
        ("send b again", driver.send(b, b"lost")),
        ("send a again", driver.send(a, b"!")),
    ];
    driver.turn(Wait::Forever);
    assert_eq!(
        trace(&mut driver, &names),
        "writable a: 0\nclose b: 0\nsend b: 3\nsend a: 2\nsend b again: EBADF\nsend a again: 1\n"
    );
}

/// An operation that is cancelled ends as an event does: after the immediate results.
fn cancels(env: &Env) {
    let mut driver = Driver::new(env);
    let [(a, _pa), (b, _pb), (c, _pc), (d, _pd)] = [(); 4].map(|()| driver.pair());
    let receives = [a, b, c].map(|socket| driver.receive(socket));
    driver.turn(Wait::No);
    driver.cancel(receives[2]);
    let writable = driver.writable(d);
    driver.cancel(receives[0]);
    let close = driver.close(a);
    driver.cancel(receives[1]);
    let names = [
        ("receive a", receives[0]),
        ("receive b", receives[1]),
        ("receive c", receives[2]),
        ("writable d", writable),
        ("close a", close),
    ];
    driver.run_until(|inbox| inbox.len() == names.len());
    assert_eq!(
        trace(&mut driver, &names),
        "writable d: 0\nclose a: 0\nreceive c: ECANCELED\nreceive a: ECANCELED\nreceive b: ECANCELED\n"
    );
}

fn closes_end_what_waits_as_cancels_do(env: &Env) {
    let mut driver = Driver::new(env);
    let [(a, _pa), (b, _pb), (c, _pc)] = [(); 3].map(|()| driver.pair());
    let receives = [a, b, c].map(|socket| driver.receive(socket));
    driver.turn(Wait::No);
    let close_b = driver.close(b);
    driver.cancel(receives[2]);
    let names = [
        ("receive a", receives[0]),
        ("receive b", receives[1]),
        ("receive c", receives[2]),
        ("close b", close_b),
        ("close a", driver.close(a)),
    ];
    driver.run_until(|inbox| inbox.len() == names.len());
    assert_eq!(
        trace(&mut driver, &names),
        "close b: 0\nclose a: 0\nreceive b: ECANCELED\nreceive c: ECANCELED\nreceive a: ECANCELED\n"
    );
}

/// Also when nobody needs to be asked.
fn cancel_of_a_parked_receive(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 4);
    let (a, mut a_peer) = driver.pair();
    let (b, _b_peer) = driver.pair();
    let receive = driver.receive(a);
    a_peer.write_all(b"12345678").expect("the peer writes");
    let held = driver.next(receive);
    driver.turn(Wait::No);
    driver.cancel(receive);
    let names = [("receive a", receive), ("writable b", driver.writable(b))];
    driver.run_until(|inbox| inbox.len() == names.len());
    assert_eq!(trace(&mut driver, &names), "writable b: 0\nreceive a: ECANCELED\n");
    drop(held);
}

fn one_stream(env: &Env) {
    let mut driver = Driver::with_pool(env, 8, 4);
    let (ours, mut peer) = driver.pair();
    peer.write_all(b"0123456789").expect("the peer writes");
    drop(peer);
    let receive = driver.receive(ours);
    driver.run_until(|inbox| inbox.iter().any(|c| !c.more));
    let names = [("receive", receive)];
    assert_eq!(trace(&mut driver, &names), "receive: 4 more\nreceive: 4 more\nreceive: 2 more\nreceive: 0\n");
}

/// One line for each result since the last trace.
fn trace(driver: &mut Driver, names: &[(&str, Token)]) -> String {
    let mut trace = String::new();
    for completion in driver.take_all() {
        let name = names.iter().find(|(_, token)| *token == completion.token).map_or("?", |(name, _)| name);
        let result = match count(&completion) {
            Ok(count) => count.to_string(),
            Err(Errno::EBADF) => "EBADF".into(),
            Err(Errno::EINVAL) => "EINVAL".into(),
            Err(Errno::EAFNOSUPPORT) => "EAFNOSUPPORT".into(),
            Err(Errno::ECANCELED) => "ECANCELED".into(),
            Err(errno) => format!("{errno:?}"),
        };
        let more = if completion.more { " more" } else { "" };
        writeln!(trace, "{name}: {result}{more}").expect("a string takes everything");
    }
    trace
}
