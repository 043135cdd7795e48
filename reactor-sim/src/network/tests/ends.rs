//! How connections end, and what is left of the bytes.

use std::net::Shutdown;

use runtime_core::errno::Errno;
use runtime_core::op::SocketOption;

use super::{LOCALHOST, Net, some};

#[test]
fn the_end_comes_behind_the_bytes() {
    let net = Net::new();
    let (client, server) = net.pair();
    net.send(client, b"bye").unwrap();
    assert_eq!(net.shutdown(client, Shutdown::Write), Ok(()));
    assert_eq!(net.shutdown(client, Shutdown::Write), Ok(()), "again");
    assert_eq!(net.send(client, b"x"), Err(Errno::EPIPE));
    assert!(net.is_writable(client));
    assert_eq!([net.recv(server), net.recv(server), net.recv(server)], [some("bye"), some(""), some("")]);
    // The other half is open.
    assert_eq!((net.send(server, b"still"), net.recv(client)), (Ok(5), some("still")));
    assert_eq!(net.remote(client), Ok(net.local(server)));
    net.shutdown(server, Shutdown::Write).unwrap();
    for over in [client, server] {
        assert_eq!(net.recv(over), some(""));
        assert_eq!(net.remote(over), Err(Errno::ENOTCONN));
        assert_eq!(net.shutdown(over, Shutdown::Both), Err(Errno::ENOTCONN));
        assert_eq!(net.connect(over, LOCALHOST), Err(Errno::EISCONN));
        assert!(net.is_writable(over));
    }
}

#[test]
fn shut_for_reading_the_other_end_hears_nothing() {
    let net = Net::new();
    let (client, server) = net.pair();
    net.shutdown(server, Shutdown::Read).unwrap();
    assert_eq!(net.recv(server), some(""));
    assert_eq!(net.send(client, b"later"), Ok(5));
    assert_eq!((net.recv(server), net.recv(server)), (some("later"), some("")));
}

#[test]
fn a_reset_comes_behind_the_bytes_and_is_told_once() {
    let net = Net::new();
    let (client, server) = net.pair();
    net.send(client, b"hello").unwrap();
    net.abort(client);
    assert_eq!((net.recv(server), net.recv(server)), (some("hello"), Err(Errno::ECONNRESET)));
    assert_eq!((net.recv(server), net.send(server, b"x")), (some(""), Err(Errno::EPIPE)));
    assert_eq!(net.remote(server), Err(Errno::ENOTCONN));
    assert_eq!(net.shutdown(server, Shutdown::Both), Err(Errno::ENOTCONN));
    assert_eq!(net.connect(server, LOCALHOST), Err(Errno::EISCONN));

    let (client, server) = net.pair();
    net.abort(client);
    assert_eq!((net.send(server, b"x"), net.recv(server)), (Err(Errno::ECONNRESET), some("")));
}

#[test]
fn closing_with_unread_bytes_resets() {
    let net = Net::new();
    let (client, server) = net.pair();
    net.send(client, b"never read").unwrap();
    net.send(server, b"lost").unwrap();
    net.close(server);
    assert_eq!([net.recv(client), net.recv(client)], [some("lost"), Err(Errno::ECONNRESET)]);
}

#[test]
fn bytes_for_somebody_who_has_closed_are_answered_with_a_reset() {
    let net = Net::new();
    let (client, server) = net.pair();
    net.send(server, b"abc").unwrap();
    net.close(server);
    assert_eq!(net.send(client, b"x"), Ok(1), "it may be half closed, for all it knows");
    // The end has come already, and stays what is read. Who writes hears of the reset.
    assert_eq!([net.recv(client), net.recv(client)], [some("abc"), some("")]);
    assert_eq!([net.send(client, b"x"), net.send(client, b"x")], [Err(Errno::EPIPE); 2]);
}

#[test]
fn who_is_not_accepted_is_reset() {
    let net = Net::new();
    let (listener, addr) = net.listener(LOCALHOST, 0);
    let (taken, waiting) = (net.socket(), net.socket());
    net.connect(taken, &addr).unwrap();
    assert_eq!(net.connect(waiting, &addr), Err(Errno::EAGAIN));
    net.close(listener);
    assert_eq!((net.recv(taken), net.recv(taken)), (Err(Errno::ECONNRESET), some("")));
    assert_eq!(net.0.with(|state| state.connected(waiting)), Err(Errno::ECONNREFUSED));
}

#[test]
fn all_that_was_written_is_sent_after_a_close() {
    let net = Net::new();
    let (client, server) = net.pair();
    net.set(server, SocketOption::ReceiveBuffer, 2_000);
    let sent = net.send(client, &[b'x'; 300_000]).unwrap();
    net.close(client);
    let mut received = 0;
    while let Ok(bytes) = net.recv(server) {
        if bytes.is_empty() {
            break;
        }
        received += bytes.len();
    }
    assert_eq!((sent, received), (300_000, 300_000));
}

#[test]
fn bytes_for_somebody_who_has_closed_end_what_was_left_to_send() {
    let net = Net::new();
    let (client, server) = net.pair();
    net.send(server, &[b'x'; 200_000]).unwrap();
    net.close(server);
    assert_eq!(net.send(client, b"stop"), Ok(4));
    let received = (0..).take_while(|_| net.recv(client).is_ok()).count();
    assert_eq!(received, 65_540 / 10, "what had arrived");
    assert_eq!((net.recv(client), net.send(client, b"x")), (some(""), Err(Errno::EPIPE)));
}

#[test]
fn buffers_are_as_large_as_was_asked_for() {
    let net = Net::new();
    let (listener, addr) = net.listener(LOCALHOST, 1);
    net.set(listener, SocketOption::ReceiveBuffer, 3_000);
    let client = net.socket();
    net.set(client, SocketOption::SendBuffer, 5_000);
    net.connect(client, &addr).unwrap();
    let server = net.accept(listener).unwrap();
    assert_eq!(net.send(client, &[b'x'; 100_000]), Ok(5_000));
    assert_eq!(net.send(client, &[b'x'; 100_000]), Ok(3_000), "what was sent has arrived, and makes room");
    assert_eq!(net.send(client, b"x"), Err(Errno::EAGAIN));
    assert!(!net.is_writable(client));
    for _ in 0..166 {
        assert_eq!(net.recv(server), some("xxxxxxxxxx"));
    }
    assert!(!net.is_writable(client), "1660 of 5000 are too little room to begin with");
    net.recv(server).unwrap();
    assert!(net.is_writable(client));
    assert_eq!(net.send(client, &[b'x'; 100_000]), Ok(1_670));
}
