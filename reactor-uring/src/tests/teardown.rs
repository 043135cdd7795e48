//! The end of sockets.

use std::io::Read;
use std::os::fd::{FromRawFd, IntoRawFd};

use super::*;

/// Closes the descriptors that accepts have delivered.
pub(super) fn close_accepted(done: &[Completion]) {
    for one in done {
        // SAFETY: the result of an accept is a new descriptor, and this its only owner.
        drop(unsafe { OwnedFd::from_raw_fd(one.result) });
    }
}

#[test]
fn closing_a_socket_with_an_armed_receive_tells_the_peer_at_once() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, mut peer) = tcp_pair();
        let receive = rig.receive(&here);
        assert!(rig.turn(Wait::No).is_empty());

        rig.cancel(receive);
        let close = rig.stage(Op::Close { fd: here.into_raw_fd() });
        let done = rig.turn(Wait::No);

        // No further turn. Without the cancel the armed receive would keep the socket open.
        assert_eq!(peer.read(&mut [0; 1]).expect("the end, not a timeout"), 0);
        let mut results = results(&done);
        results.sort_by_key(|(token, _)| token.slot());
        assert_eq!(results, [(receive, -libc::ECANCELED), (close, 0)]);
    });
}

#[test]
fn a_dropped_reactor_gives_all_chunks_back() {
    Rig::each(Options::default(), 8, 64, |mut rig| {
        let sockets: Vec<_> = (0..200).map(|_| pair()).collect();
        for (here, _) in &sockets {
            rig.receive(here);
        }
        rig.turn(Wait::No);
        for (_, there) in &sockets[..100] {
            send(there, b"unseen");
        }
        let Rig { reactor, pool, .. } = rig;
        assert_eq!(pool.available(), 4, "half of them are lent");

        drop(reactor);

        assert_eq!(pool.available(), 8);
        assert_eq!(Rc::strong_count(&pool), 1, "nothing was leaked");
    });
}

#[test]
fn a_socket_that_is_accepted_while_the_reactor_is_dropped_is_closed() {
    Rig::each(Options::default(), 8, 64, |mut rig| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // Queued, but not submitted before the drop.
        let op = Op::Accept { fd: listener.as_raw_fd() };
        rig.reactor.perform(Token::new(0, 0), op, &rig.pool, &mut Vec::new());

        drop(rig);

        assert_eq!(client.read(&mut [0; 1]).expect("the end, not a timeout"), 0);
    });
}
