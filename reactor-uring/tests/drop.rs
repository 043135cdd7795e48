//! Dropping a reactor with operations in flight. Alone in its program, because it counts descriptors.

use std::collections::VecDeque;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use reactor_uring::UringReactor;
use runtime_core::call::Call;
use runtime_core::op::{Op, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Wait};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs").count()
}

#[test]
fn descriptors_return_to_the_baseline() {
    let baseline = descriptors();
    let mut reactor = match UringReactor::new() {
        Ok(reactor) => reactor,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let mut ops = vec![Op::Accept { fd: reactor.import(listener.into()).expect("a socket") }];
    for _ in 0..150 {
        let (here, there) = UnixStream::pair().expect("a socket pair");
        for end in [here, there] {
            ops.push(Op::Receive { fd: reactor.import(end.into()).expect("a socket") });
        }
    }
    // Opened in the turn, or when the reactor is dropped.
    ops.push(Op::Call(Call::Open { path: "/dev/null".into() }));
    let mut staged = (0..).zip(ops).map(|(at, op)| (Token::new(at, 1), op)).collect();
    let (mut done, mut sent) = (VecDeque::new(), VecDeque::new());
    let pool = Pool::new(16, 1024).expect("a pool");
    let turn = Turn { staged: &mut staged, done: &mut done, sent: &mut sent, pool: &pool, wait: Wait::No };
    reactor.turn(turn).expect("the ring works");
    assert!(done.iter().all(|one| !one.more), "nobody has sent or connected");

    drop(reactor);

    assert_eq!(descriptors(), baseline);
    assert_eq!(pool.available(), 16);
}
