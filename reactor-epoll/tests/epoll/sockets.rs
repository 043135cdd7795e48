//! Which events are meant, which receives are made, and which names reach a descriptor.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::rig::{CHUNK_LEN, CHUNKS, Count, Done, Failed, Rig, Said, bytes, results};
use runtime_core::errno::Errno;
use runtime_core::op::{Attempt, Fd, Op};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Wait};
use socket2::{MsgHdr, SockRef};

/// Both ends of a connection over TCP, one of them the reactor's.
fn tcp(rig: &mut Rig) -> (Fd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (rig.import(listener.accept().unwrap().0), client)
}

/// Until the other end has acknowledged everything that was written.
fn wait_until_delivered(socket: &TcpStream) {
    let mut left = 1;
    while left > 0 {
        // SAFETY: `TIOCOUTQ` writes an int (tcp(7)).
        assert_eq!(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut left) }, 0);
    }
}

/// Sends until nothing more goes in. Says how many bytes went.
fn fill(rig: &mut Rig, socket: Fd) -> usize {
    let mut sent = 0;
    loop {
        match rig.reactor.attempt(socket, Attempt::Send(&[0; 65536])) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return sent;
            }
        }
    }
}

/// Makes the descriptor of `old` one of the socket `new`, behind the reactor's back, which is told only then.
fn replace(rig: &mut Rig, old: Fd, new: UnixStream) -> Fd {
    let number = old.number() as i32;
    // SAFETY: no memory is involved.
    assert!(unsafe { libc::dup3(new.as_raw_fd(), number, libc::O_CLOEXEC) } >= 0);
    come_back(rig, number)
}

/// Gives the reactor a descriptor under a number that it believes to be another one's.
fn come_back(rig: &mut Rig, number: i32) -> Fd {
    // SAFETY: the reactor, which owns that number, gives up what it had under it.
    rig.import(unsafe { OwnedFd::from_raw_fd(number) })
}

#[test]
fn a_duplicate_of_a_closed_descriptor_raises_no_events() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp(&mut rig);
    let _duplicate = rig.reactor.share(server).unwrap().try_clone().unwrap();
    let receive = rig.receive(server);
    rig.turn(Wait::No);

    rig.cancel(receive);
    let close = rig.stage(Op::Close { fd: server });
    let expected = [(close, Done, false), (receive, Failed(Errno::ECANCELED), false)];
    assert_eq!(results(&rig.turn(Wait::No)), expected);
    client.write_all(b"to nobody").unwrap();
    wait_until_delivered(&client);
    rig.assert_quiet();
}

#[test]
fn what_is_not_a_socket_is_refused_rather_than_waited_for() {
    let mut rig = Rig::new();
    let file = rig.import(File::open("/proc/self/exe").unwrap());
    // Epoll would watch a pipe, and never see this one become readable.
    let (pipe, _writer) = std::io::pipe().unwrap();
    let pipe = rig.import(pipe);
    for fd in [file, pipe] {
        let receive = rig.receive(fd);
        let accept = rig.stage(Op::Accept { fd });
        let refused = Failed(Errno::ENOTSOCK);
        let expected = [(receive, Failed(Errno::ENOTSOCK), false), (accept, refused, false)];
        assert_eq!(results(&rig.turn(Wait::Forever)), expected);
    }
}

#[test]
fn a_name_that_is_stale_or_forged_reaches_no_descriptor() {
    let mut rig = Rig::new();
    let (socket, mut peer) = rig.unix();
    let stale = {
        let exported = rig.reactor.export(socket).unwrap();
        rig.import(exported)
    };
    let forged = Fd::new(stale.number(), stale.generation() + 1);
    for fd in [socket, forged, Fd::new(u32::MAX, 0)] {
        let expected: Vec<_> = [Op::Accept { fd }, Op::Receive { fd }, Op::Writable { fd }, Op::Close { fd }]
            .map(|op| (rig.stage(op), Failed(Errno::EBADF), false))
            .into();
        let send = rig.stage(Op::Send { fd, data: b"to nobody".to_vec().into() });
        assert_eq!(results(&rig.turn(Wait::Forever)), expected);
        assert_eq!(results(&rig.sent.drain(..).collect::<Vec<_>>()), [(send, Failed(Errno::EBADF), false)]);
    }
    peer.set_nonblocking(true).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "neither bytes nor an end");
}

#[test]
fn events_of_a_descriptor_whose_number_was_reused_are_stale() {
    let mut rig = Rig::new();
    let (old, mut old_peer) = UnixStream::pair().unwrap();
    let _keeps_the_watch = old.try_clone().unwrap();
    let old = rig.import(old);
    let room = fill(&mut rig, old);
    let writable = rig.stage(Op::Writable { fd: old });
    assert_eq!(results(&rig.turn(Wait::No)), []);
    old_peer.read_exact(&mut vec![0; room]).unwrap();
    assert_eq!(results(&rig.next()), [(writable, Done, false)]);

    let (new, mut new_peer) = UnixStream::pair().unwrap();
    let new = replace(&mut rig, old, new);
    let room = fill(&mut rig, new);
    let writable = rig.stage(Op::Writable { fd: new });
    old_peer.write_all(b"the old socket is readable and writable").unwrap();
    for _ in 0..3 {
        assert_eq!(results(&rig.turn(Wait::No)), []);
    }
    new_peer.read_exact(&mut vec![0; room]).unwrap();
    assert_eq!(results(&rig.next()), [(writable, Done, false)]);
}

#[test]
fn a_descriptor_whose_number_was_reused_is_watched_anew() {
    let mut rig = Rig::new();
    let (old, _old_peer) = rig.unix();
    let receive = rig.receive(old);
    rig.cancel(receive);
    assert_eq!(results(&rig.turn(Wait::No)), [(receive, Failed(Errno::ECANCELED), false)]);

    let (new, mut new_peer) = UnixStream::pair().unwrap();
    let new = replace(&mut rig, old, new);
    rig.receive(new);
    new_peer.write_all(b"hello").unwrap();
    assert_eq!(bytes(&rig.next()), b"hello");
}

#[test]
fn a_descriptor_that_went_away_may_come_back() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp(&mut rig);
    let receive = rig.receive(server);
    rig.cancel(receive);
    assert_eq!(results(&rig.turn(Wait::No)), [(receive, Failed(Errno::ECANCELED), false)]);

    let server = come_back(&mut rig, server.number() as i32);
    rig.receive(server);
    client.write_all(b"hello").unwrap();
    assert_eq!(bytes(&rig.next()), b"hello");
}

#[test]
fn what_waits_on_a_descriptor_that_is_exported_ends_with_the_next_turn() {
    let mut rig = Rig::new();
    let (socket, mut peer) = rig.unix();
    let receive = rig.receive(socket);
    rig.turn(Wait::No);
    assert_eq!(rig.reactor.idle(&rig.pool), Wait::Forever);

    let mut exported = UnixStream::from(rig.reactor.export(socket).unwrap());
    assert_eq!(rig.reactor.export(socket).unwrap_err().raw_os_error(), Some(libc::EBADF));
    assert_eq!(rig.reactor.idle(&rig.pool), Wait::No);
    assert_eq!(results(&rig.turn(Wait::Forever)), [(receive, Failed(Errno::ECANCELED), false)]);
    peer.write_all(b"!").unwrap();
    exported.read_exact(&mut [0]).unwrap();
    rig.assert_quiet();
}

#[test]
fn a_receive_that_stops_short_at_urgent_data_is_followed_by_the_rest() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp(&mut rig);
    client.write_all(b"ab").unwrap();
    SockRef::from(&client).send_out_of_band(b"!").unwrap();
    client.write_all(b"cd").unwrap();
    wait_until_delivered(&client);

    rig.receive(server);
    let mut received = Vec::new();
    while received.len() < 4 {
        received.extend(bytes(&rig.next()));
    }
    assert_eq!(received, b"abcd");
}

#[test]
fn a_receive_that_stops_short_at_passed_descriptors_is_followed_by_the_rest() {
    let mut rig = Rig::new();
    let (server, mut client) = rig.unix();
    send_with_descriptor(&client, b"ab");
    client.write_all(b"cd").unwrap();

    rig.receive(server);
    assert_eq!(bytes(&rig.next()), b"abcd");
    assert_eq!(results(&rig.turn(Wait::Forever)), [], "tried once more: a short receive proves nothing here");
    rig.assert_quiet();
}

#[test]
fn the_end_of_a_stream_comes_with_its_last_bytes() {
    let mut rig = Rig::new();
    let (server, mut client) = rig.unix();
    client.write_all(b"bye").unwrap();
    drop(client);
    let receive = rig.receive(server);
    assert_eq!(results(&rig.turn(Wait::No)), [(receive, Count(3), true), (receive, Done, false)]);
}

#[test]
fn a_full_chunk_is_followed_by_the_rest_without_an_event() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp(&mut rig);
    client.write_all(&[b'x'; CHUNK_LEN + 1]).unwrap();
    wait_until_delivered(&client);
    let receive = rig.receive(server);
    assert_eq!(results(&rig.turn(Wait::No)), [(receive, Count(CHUNK_LEN), true)]);
    assert_eq!(results(&rig.turn(Wait::Forever)), [(receive, Count(1), true)]);
    rig.assert_quiet();
}

#[test]
fn a_socket_has_one_chunk_a_turn_however_many_events_say_so() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp(&mut rig);
    let receive = rig.receive(server);
    for _ in 0..3 {
        client.write_all(&[b'x'; 2 * CHUNK_LEN]).unwrap();
        wait_until_delivered(&client);
        assert_eq!(results(&rig.turn(Wait::Forever)), [(receive, Count(CHUNK_LEN), true)]);
    }
}

#[test]
fn room_is_remembered_from_the_event_on() {
    let mut rig = Rig::new();
    let (full, mut peer) = rig.unix();
    let room = fill(&mut rig, full);
    let writable = rig.stage(Op::Writable { fd: full });
    assert_eq!(results(&rig.turn(Wait::No)), []);
    peer.read_exact(&mut vec![0; room]).unwrap();
    assert_eq!(results(&rig.next()), [(writable, Done, false)]);

    // Known at once, and so reported in the order of staging.
    let writable = rig.stage(Op::Writable { fd: full });
    let close = rig.stage(Op::Close { fd: full });
    assert_eq!(results(&rig.turn(Wait::No)), [(writable, Done, false), (close, Done, false)]);
}

#[test]
fn a_second_receive_on_a_socket_is_refused_and_a_close_ends_the_first() {
    let mut rig = Rig::new();
    let (server, _client) = rig.unix();
    let first = rig.receive(server);
    let second = rig.receive(server);
    let close = rig.stage(Op::Close { fd: server });
    let expected = [
        (second, Failed(Errno::EBUSY), false),
        (close, Done, false),
        (first, Failed(Errno::ECANCELED), false),
    ];
    assert_eq!(results(&rig.turn(Wait::No)), expected);
}

#[test]
fn receives_that_lack_a_chunk_neither_spin_nor_hold_up_accepts() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp(&mut rig);
    client.write_all(&[b'x'; 2 * CHUNK_LEN]).unwrap();
    wait_until_delivered(&client);
    let mut held: Vec<_> = (0..CHUNKS).map(|_| rig.pool.take().unwrap()).collect();
    let receive = rig.receive(server);
    assert_eq!(results(&rig.turn(Wait::Forever)), [], "the event ends this wait");
    rig.assert_quiet();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = Op::Accept { fd: rig.import(listener) };
    let accept = rig.stage(accept);
    let _peer = TcpStream::connect(address).unwrap();
    assert_eq!(results(&rig.next()), [(accept, Said::Fd, true)]);

    held.pop();
    for _ in 0..2 {
        assert_eq!(results(&rig.turn(Wait::Forever)), [(receive, Count(CHUNK_LEN), true)]);
    }
    assert_eq!(results(&rig.turn(Wait::Forever)), [], "tried once more: a full chunk proves nothing");
    rig.assert_quiet();
}

#[test]
fn a_flood_of_connections_is_accepted_in_shares() {
    const FLOOD: usize = 100;
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = rig.import(listener);
    let _peers: Vec<_> = (0..FLOOD).map(|_| TcpStream::connect(address).unwrap()).collect();
    rig.stage(Op::Accept { fd: listener });
    let mut accepted = 0;
    while accepted < FLOOD {
        let share = rig.next().len();
        assert!(share < FLOOD);
        accepted += share;
    }
    rig.assert_quiet();
}

/// What is received is still in a processor's cache when it is read.
#[test]
fn a_turn_receives_some_bytes_and_the_next_one_the_rest() {
    const LEN: usize = 64 * 1024;
    let mut rig = Rig::with_pool(Pool::new(4, LEN).unwrap());
    let receives = [(); 4].map(|()| {
        let (server, mut client) = rig.unix();
        SockRef::from(&client).set_send_buffer_size(2 * LEN).unwrap();
        client.write_all(&[0; LEN]).unwrap();
        (rig.receive(server), client)
    });
    for two in receives.chunks(2) {
        let done = rig.turn(Wait::Forever);
        assert_eq!(results(&done), [&two[0], &two[1]].map(|(receive, _)| (*receive, Count(LEN), true)));
    }
}

/// Sends bytes with a descriptor beside them (`SCM_RIGHTS`).
fn send_with_descriptor(socket: &UnixStream, bytes: &[u8]) {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        fd: i32,
        padding: i32,
    }
    // SAFETY: all zeros is a valid header, which is plain data.
    let mut control: Control = unsafe { std::mem::zeroed() };
    control.header.cmsg_len = size_of::<libc::cmsghdr>() + size_of::<i32>();
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    control.fd = socket.as_raw_fd();
    // SAFETY: the bytes of `control`, which have all been written: there is no padding but the field of that name.
    let control =
        unsafe { std::slice::from_raw_parts((&raw const control).cast::<u8>(), size_of::<Control>()) };
    let buffers = [IoSlice::new(bytes)];
    let message = MsgHdr::new().with_buffers(&buffers).with_control(control);
    assert_eq!(SockRef::from(socket).sendmsg(&message, 0).unwrap(), bytes.len());
}
