//! Dropping a reactor with operations in flight. Alone in its program, because it counts descriptors.

use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use reactor_uring::UringReactor;
use runtime_core::op::{Op, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Wait};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs").count()
}

#[test]
fn descriptors_return_to_the_baseline() {
    let sockets: Vec<_> = (0..150).map(|_| UnixStream::pair().expect("a socket pair")).collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let baseline = descriptors();

    let mut reactor = match UringReactor::new() {
        Ok(reactor) => reactor,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let mut ops = vec![Op::Accept { fd: listener.as_raw_fd() }];
    for (here, there) in &sockets {
        ops.push(Op::Receive { fd: here.as_raw_fd() });
        ops.push(Op::Receive { fd: there.as_raw_fd() });
    }
    let mut staged = ops.into_iter().enumerate().map(|(at, op)| (Token::new(at as u32, 1), op)).collect();
    let (mut done, pool) = (Vec::new(), Pool::new(16, 1024));
    let turn = Turn { staged: &mut staged, done: &mut done, pool: &pool, wait: Wait::No };
    // SAFETY: the sockets outlive the reactor, and no operation names memory.
    unsafe { reactor.turn(turn) }.expect("the ring works");
    assert!(done.is_empty());

    drop(reactor);

    assert_eq!(descriptors(), baseline);
    assert_eq!(pool.available(), 16);
}
