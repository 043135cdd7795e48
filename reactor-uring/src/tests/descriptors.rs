//! Names of descriptors: who has them, and when they are nobody's.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use runtime_core::op::{Attempt, Control};

use super::*;

fn is_non_blocking(fd: impl AsRawFd) -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

#[test]
fn a_forged_name_is_nobodys() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, there) = rig.pair();
        for fd in [Fd::new(here.number(), here.generation() + 1), Fd::new(u32::MAX, 0), Fd::new(0, 0)] {
            let before = rig.writable(here);
            let accept = rig.stage(Op::Accept { fd });
            let receive = rig.receive(fd);
            let send = rig.send(fd, b"mine");
            let writable = rig.writable(fd);
            let addr = Box::new("127.0.0.1:1".parse::<std::net::SocketAddr>().expect("an address").into());
            let connect = rig.stage(Op::Connect { fd, addr });
            let close = rig.close(fd);
            let after = rig.writable(here);

            // In staging order, beside others.
            let ebadf = Err(Errno::EBADF);
            let mut expected = vec![(before, Ok(0))];
            expected.extend([accept, receive, writable, connect, close].map(|token| (token, ebadf)));
            expected.push((after, Ok(0)));
            assert_eq!(results(&rig.end_of(&[after])), expected);
            let sent = rig.take_sent();
            assert_eq!(results(&sent), [(send, ebadf)]);
            assert_eq!(sent[0].data.as_deref(), Some(&b"mine"[..]));

            let reactor = &mut rig.reactor;
            let bad = |result: std::io::Result<()>| result.unwrap_err().raw_os_error() == Some(libc::EBADF);
            assert!(bad(reactor.attempt(fd, Attempt::Send(b"mine")).map(drop)));
            assert!(bad(reactor.control(fd, Control::Listen(1))));
            assert!(bad(reactor.share(fd).map(drop)) && bad(reactor.export(fd).map(drop)));
        }
        there.set_nonblocking(true).expect("a mode");
        assert!((&there).read(&mut [0; 9]).is_err(), "nothing was written");
    });
}

#[test]
fn closing_ends_what_is_armed_and_tells_the_peer_at_once() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, mut peer) = rig.tcp_pair();
        let receives = [rig.receive(here), rig.receive(here)];
        assert!(rig.turn(Wait::No).is_empty());

        // Nobody cancels them.
        let close = rig.close(here);
        let stale = rig.receive(here);
        let done = rig.turn(Wait::No);

        // No further turn. Without cancels the armed receives would keep the socket open.
        assert_eq!(peer.read(&mut [0; 1]).expect("the end, not a timeout"), 0);
        let [first, second] = receives;
        assert_eq!(
            results(&done),
            [(close, Ok(0)), (stale, Err(Errno::EBADF)), (first, CANCELED), (second, CANCELED)]
        );
    });
}

#[test]
fn closing_ends_a_parked_receive() {
    Rig::each(Options::default(), 1, 64, |mut rig| {
        let (here, there) = rig.pair();
        write(&there, b"hello");
        let token = rig.receive(here);
        let held = rig.turn_until(|done| done.len() == 1);
        write(&there, b"again");
        while rig.reactor.flights.parked() < 1 {
            assert!(rig.turn(Wait::No).is_empty());
        }
        let close = rig.close(here);
        assert_eq!(results(&rig.turn(Wait::No)), [(close, Ok(0)), (token, CANCELED)]);
        drop(held);
    });
}

#[test]
fn what_somebody_shares_stays_open() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, there) = rig.pair();
        let shared = rig.reactor.share(here).expect("a second owner");
        let send = rig.send(here, b"first");
        let close = rig.close(here);
        assert_eq!(results(&rig.turn(Wait::No)), [(close, Ok(0))]);
        assert_eq!(results(&rig.take_sent()), [(send, Ok(5))]);

        let ours = UnixStream::from(std::sync::Arc::into_inner(shared).expect("the reactor has let go"));
        write(&ours, b" second");
        drop(ours);
        let mut all = String::new();
        (&there).read_to_string(&mut all).expect("the end");
        assert_eq!(all, "first second");

        // Nobody has it any more.
        let (here, there) = rig.pair();
        drop(rig.reactor.share(here).expect("a second owner"));
        let close = rig.close(here);
        assert_eq!(results(&rig.turn(Wait::No)), [(close, Ok(0))]);
        assert_eq!((&there).read(&mut [0; 9]).expect("the end"), 0);
    });
}

#[test]
fn what_is_exported_is_the_same_descriptor() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, there) = rig.pair();
        let receive = rig.receive(here);
        assert!(rig.turn(Wait::No).is_empty());

        let exported = rig.reactor.export(here).expect("a descriptor");

        assert_eq!(exported.as_raw_fd(), here.number() as i32);
        assert_eq!(rig.reactor.idle(&rig.pool), Wait::No, "there is a cancel to submit");
        assert_eq!(results(&rig.turn(Wait::Forever)), [(receive, CANCELED)]);
        let again = rig.import(exported);
        assert_ne!(again, here);
        let receive = rig.receive(again);
        write(&there, b"hello");
        assert_eq!(bytes_of(receive, &rig.turn_until(|done| !done.is_empty())), b"hello");
        assert!(rig.reactor.export(here).is_err());
    });
}

/// A number that a request still names must not become another file's.
#[test]
fn a_number_is_kept_while_requests_name_it() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, there) = rig.pair();
        let token = Token::new(999, 0);
        // Queued, but not submitted.
        rig.reactor.perform(token, Op::Send { fd: here, data: Data::from(b"hello".to_vec()) }, &rig.pool);

        let exported = rig.reactor.export(here).expect("a duplicate");
        assert_ne!(exported.as_raw_fd(), here.number() as i32);
        drop(exported);
        let other = File::open("/dev/null").expect("/dev/null");
        assert_ne!(other.as_raw_fd(), here.number() as i32);

        assert!(rig.turn(Wait::No).is_empty());
        assert_eq!(results(&rig.take_sent()), [(token, Ok(5))]);
        let mut all = String::new();
        (&there).read_to_string(&mut all).expect("the end: the first one is closed, too");
        assert_eq!(all, "hello");
    });
}

#[test]
fn sockets_are_imported_into_blocking_mode_and_files_as_they_are() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (socket, _there) = UnixStream::pair().expect("a socket pair");
        socket.set_nonblocking(true).expect("a mode");
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/null");
        let (socket, file) = (rig.import(socket), rig.import(file.expect("/dev/null")));
        assert!(!is_non_blocking(rig.reactor.share(socket).expect("a second owner")));
        assert!(is_non_blocking(rig.reactor.share(file).expect("a second owner")));
    });
}
