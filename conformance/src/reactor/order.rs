//! The order of results, as literal traces: the same on every backend.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv6Addr, SocketAddr};

use runtime_core::op::Token;
use runtime_core::reactor::Wait;

use super::Env;
use crate::driver::Driver;

trials![
    immediate,
    immediate_failures,
    immediate_before_events,
    cancels,
    cancel_of_a_parked_receive,
    one_stream
];

fn immediate(env: &Env) {
    let mut driver = Driver::new(env);
    let pairs: Vec<_> = (0..4).map(|_| driver.pair()).collect();
    let [(a, _pa), (b, _pb), (c, _pc), (d, _pd)] = <[_; 4]>::try_from(pairs).expect("four");
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
        ("writable", driver.writable(connected)),
        ("accept too", driver.accept(connected)),
    ];
    driver.turn(Wait::Forever);
    assert_eq!(
        trace(&mut driver, &names),
        "accept: -EINVAL\nclose: 0\nconnect: -EAFNOSUPPORT\nwritable: 0\naccept too: -EINVAL\n"
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

/// An operation that is cancelled ends as an event does: after the immediate results.
fn cancels(env: &Env) {
    let mut driver = Driver::new(env);
    let pairs: Vec<_> = (0..4).map(|_| driver.pair()).collect();
    let [(a, _pa), (b, _pb), (c, _pc), (d, _pd)] = <[_; 4]>::try_from(pairs).expect("four");
    let receives = [&a, &b, &c].map(|socket| driver.receive(socket));
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
        "writable d: 0\nclose a: 0\nreceive c: -ECANCELED\nreceive a: -ECANCELED\nreceive b: -ECANCELED\n"
    );
}

/// Also when nobody needs to be asked.
fn cancel_of_a_parked_receive(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 4);
    let (a, mut a_peer) = driver.pair();
    let (b, _b_peer) = driver.pair();
    let receive = driver.receive(a);
    a_peer.write_all(b"12345678").expect("the peer writes");
    let held = driver.next(receive).data;
    driver.turn(Wait::No);
    driver.cancel(receive);
    let names = [("receive a", receive), ("writable b", driver.writable(b))];
    driver.run_until(|inbox| inbox.len() == names.len());
    assert_eq!(trace(&mut driver, &names), "writable b: 0\nreceive a: -ECANCELED\n");
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
        let result = match -completion.result {
            libc::ECANCELED => "-ECANCELED".into(),
            libc::EINVAL => "-EINVAL".into(),
            libc::EAFNOSUPPORT => "-EAFNOSUPPORT".into(),
            _ => completion.result.to_string(),
        };
        let more = if completion.more { " more" } else { "" };
        writeln!(trace, "{name}: {result}{more}").expect("a string takes everything");
    }
    trace
}
