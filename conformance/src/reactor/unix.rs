//! Sockets of the family `AF_UNIX`, which the reactor opens itself.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process;

use runtime_core::address::{Family, Kind, SockAddr, UnixAddr};
use runtime_core::errno::Errno;
use runtime_core::op::{Control, End, Fd, Op};

use super::loopback::fd_of;
use super::{Env, trials};
use crate::driver::{DONE, Driver};

trials![
    connect_and_accept: UnixSockets,
    addresses: UnixSockets,
    nobody_listens: UnixSockets,
    pairs_of_reactors: UnixSockets,
];

fn connect_and_accept(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::new("accept");
    for addr in place.addrs() {
        let listener = driver.unix_listener(&addr);
        let accepting = driver.accept(listener);
        let near = driver.unix_connect(&addr, DONE);
        let far = fd_of(driver.next(accepting));
        let receiving = driver.receive(far);
        assert_eq!(driver.attempt(near, b"hello").expect("send"), 5);
        assert_eq!(driver.receive_exact(receiving, 5), b"hello");
        let close = driver.close(near);
        assert_eq!((driver.end(close), driver.end(receiving)), (DONE, DONE));
    }
}

fn addresses(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::new("addresses");
    for addr in place.addrs() {
        let listener = driver.unix_listener(&addr);
        let accepting = driver.accept(listener);
        let near = driver.unix_connect(&addr, DONE);
        let far = fd_of(driver.next(accepting));
        let unnamed = SockAddr::Unix(UnixAddr::Unnamed);
        let ends = [
            (listener, End::Local, &addr),
            (near, End::Local, &unnamed),
            (near, End::Peer, &addr),
            (far, End::Local, &addr),
            (far, End::Peer, &unnamed),
        ];
        for (fd, end, expected) in ends {
            assert_eq!(driver.reactor().address(fd, end).expect("an address"), *expected, "{fd} {end:?}");
        }
    }
}

fn nobody_listens(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::new("nobody");
    let [path, name] = place.addrs();
    driver.unix_connect(&path, Err(Errno::ENOENT));
    driver.unix_connect(&name, Err(Errno::ECONNREFUSED));
    let too_long = SockAddr::Unix(UnixAddr::Path("x".repeat(200).into()));
    driver.unix_connect(&too_long, Err(Errno::EINVAL));
    // It is closed, and its file still there.
    let listener = driver.unix_listener(&path);
    let close = driver.close(listener);
    assert_eq!(driver.end(close), DONE);
    driver.unix_connect(&path, Err(Errno::ECONNREFUSED));
}

fn pairs_of_reactors(env: &Env) {
    let (mut server, mut client) = (Driver::new(env), Driver::new(env));
    let place = Place::new("reactors");
    for addr in place.addrs() {
        let listener = server.unix_listener(&addr);
        let accepting = server.accept(listener);
        let near = client.unix_connect(&addr, DONE);
        let far = fd_of(server.next(accepting));
        let receiving = client.receive(near);
        let sent = server.send(far, b"hello");
        assert_eq!(server.end(sent), Ok(5));
        assert_eq!(client.receive_exact(receiving, 5), b"hello");
    }
}

impl Driver {
    fn unix_socket(&mut self) -> Fd {
        self.open(Family::Unix, Kind::Stream).expect("a socket")
    }

    fn unix_listener(&mut self, addr: &SockAddr) -> Fd {
        let listener = self.unix_socket();
        self.control(listener, Control::Bind(addr)).expect("bind");
        self.control(listener, Control::Listen(4)).expect("listen");
        listener
    }

    /// A socket, once its attempt to connect has ended like this.
    fn unix_connect(&mut self, to: &SockAddr, end: Result<usize, Errno>) -> Fd {
        let fd = self.unix_socket();
        let token = self.stage(Op::Connect { fd, addr: Box::new(to.clone()) });
        assert_eq!(self.end(token), end, "connect to {to}");
        fd
    }
}

/// Where a trial has its sockets. Gone when dropped.
struct Place {
    path: PathBuf,
    name: Vec<u8>,
}

impl Place {
    fn new(trial: &str) -> Self {
        let name = format!("carhop-conformance-{}-{trial}", process::id());
        Self { path: env::temp_dir().join(&name), name: name.into_bytes() }
    }

    /// A file's, and one in the abstract namespace.
    fn addrs(&self) -> [SockAddr; 2] {
        [UnixAddr::Path(self.path.clone()), UnixAddr::Abstract(self.name.clone())].map(SockAddr::Unix)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // If it stays, that fails no trial.
        let _ = fs::remove_file(&self.path);
    }
}
