//! What only epoll can get wrong. What every reactor must do is in the conformance suite.

mod rig;

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;

use rig::{CHUNK_LEN, CHUNKS, Rig, bytes, results};
use runtime_core::op::Op;
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Wait};
use socket2::{MsgHdr, SockRef};

/// Both ends of a connection over TCP.
fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, client)
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
fn fill(rig: &mut Rig, socket: &UnixStream) -> usize {
    let mut sent = 0;
    loop {
        match rig.reactor.send(socket.as_fd(), &[0; 65536]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return sent;
            }
        }
    }
}

/// Makes the descriptor of `old` one of the socket `new`, behind the reactor's back.
fn replace(old: &UnixStream, new: UnixStream) {
    // SAFETY: `old` stays the owner of its number, which from now on stands for the other socket.
    assert!(unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) } >= 0);
}

#[test]
fn a_duplicate_of_a_closed_descriptor_raises_no_events() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp();
    let _duplicate = server.try_clone().unwrap();
    let server = server.into_raw_fd();
    let receive = rig.receive(server);
    rig.turn(Wait::No);

    rig.cancel(receive);
    let close = rig.stage(Op::Close { fd: server });
    assert_eq!(results(&rig.turn(Wait::No)), [(close, 0, false), (receive, -libc::ECANCELED, false)]);
    client.write_all(b"to nobody").unwrap();
    wait_until_delivered(&client);
    rig.assert_quiet();
}

#[test]
fn what_is_not_a_socket_is_refused_rather_than_waited_for() {
    let mut rig = Rig::new();
    let file = File::open("/proc/self/exe").unwrap();
    // Epoll would watch a pipe, and never see this one become readable.
    let (pipe, _writer) = std::io::pipe().unwrap();
    for fd in [file.as_raw_fd(), pipe.as_raw_fd()] {
        let receive = rig.receive(fd);
        let accept = rig.stage(Op::Accept { fd });
        let expected = [(receive, -libc::ENOTSOCK, false), (accept, -libc::ENOTSOCK, false)];
        assert_eq!(results(&rig.turn(Wait::Forever)), expected);
    }
}

#[test]
fn events_of_a_descriptor_whose_number_was_reused_are_stale() {
    let mut rig = Rig::new();
    let (old, mut old_peer) = UnixStream::pair().unwrap();
    let room = fill(&mut rig, &old);
    let writable = rig.stage(Op::Writable { fd: old.as_raw_fd() });
    assert_eq!(results(&rig.turn(Wait::No)), []);
    old_peer.read_exact(&mut vec![0; room]).unwrap();
    assert_eq!(results(&rig.next()), [(writable, 0, false)]);
    let _keeps_the_watch = old.try_clone().unwrap();

    let (new, mut new_peer) = UnixStream::pair().unwrap();
    replace(&old, new);
    let new = old;
    rig.reactor.adopt(new.as_fd()).unwrap();
    let room = fill(&mut rig, &new);
    let writable = rig.stage(Op::Writable { fd: new.as_raw_fd() });
    old_peer.write_all(b"the old socket is readable and writable").unwrap();
    for _ in 0..3 {
        assert_eq!(results(&rig.turn(Wait::No)), []);
    }
    new_peer.read_exact(&mut vec![0; room]).unwrap();
    assert_eq!(results(&rig.next()), [(writable, 0, false)]);
}

#[test]
fn a_descriptor_whose_number_was_reused_is_watched_anew() {
    let mut rig = Rig::new();
    let (old, _old_peer) = UnixStream::pair().unwrap();
    let receive = rig.receive(old.as_raw_fd());
    rig.cancel(receive);
    assert_eq!(results(&rig.turn(Wait::No)), [(receive, -libc::ECANCELED, false)]);

    let (new, mut new_peer) = UnixStream::pair().unwrap();
    replace(&old, new);
    rig.reactor.adopt(old.as_fd()).unwrap();
    rig.receive(old.as_raw_fd());
    new_peer.write_all(b"hello").unwrap();
    assert_eq!(bytes(&rig.next()), b"hello");
}

#[test]
fn a_descriptor_that_went_away_may_come_back() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp();
    let receive = rig.receive(server.as_raw_fd());
    rig.cancel(receive);
    assert_eq!(results(&rig.turn(Wait::No)), [(receive, -libc::ECANCELED, false)]);

    rig.reactor.adopt(server.as_fd()).unwrap();
    rig.receive(server.as_raw_fd());
    client.write_all(b"hello").unwrap();
    assert_eq!(bytes(&rig.next()), b"hello");
}

#[test]
fn a_receive_that_stops_short_at_urgent_data_is_followed_by_the_rest() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp();
    client.write_all(b"ab").unwrap();
    SockRef::from(&client).send_out_of_band(b"!").unwrap();
    client.write_all(b"cd").unwrap();
    wait_until_delivered(&client);

    rig.receive(server.as_raw_fd());
    let mut received = Vec::new();
    while received.len() < 4 {
        received.extend(bytes(&rig.next()));
    }
    assert_eq!(received, b"abcd");
}

#[test]
fn a_receive_that_stops_short_at_passed_descriptors_is_followed_by_the_rest() {
    let mut rig = Rig::new();
    let (server, mut client) = UnixStream::pair().unwrap();
    send_with_descriptor(&client, b"ab");
    client.write_all(b"cd").unwrap();

    rig.receive(server.as_raw_fd());
    assert_eq!(bytes(&rig.next()), b"abcd");
    assert_eq!(results(&rig.turn(Wait::Forever)), [], "tried once more: a short receive proves nothing here");
    rig.assert_quiet();
}

#[test]
fn the_end_of_a_stream_comes_with_its_last_bytes() {
    let mut rig = Rig::new();
    let (server, mut client) = UnixStream::pair().unwrap();
    client.write_all(b"bye").unwrap();
    drop(client);
    let receive = rig.receive(server.as_raw_fd());
    assert_eq!(results(&rig.turn(Wait::No)), [(receive, 3, true), (receive, 0, false)]);
}

#[test]
fn a_full_chunk_is_followed_by_the_rest_without_an_event() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp();
    client.write_all(&[b'x'; CHUNK_LEN + 1]).unwrap();
    wait_until_delivered(&client);
    let receive = rig.receive(server.as_raw_fd());
    assert_eq!(results(&rig.turn(Wait::No)), [(receive, CHUNK_LEN as i32, true)]);
    assert_eq!(results(&rig.turn(Wait::Forever)), [(receive, 1, true)]);
    rig.assert_quiet();
}

#[test]
fn a_socket_has_one_chunk_a_turn_however_many_events_say_so() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp();
    let receive = rig.receive(server.as_raw_fd());
    for _ in 0..3 {
        client.write_all(&[b'x'; 2 * CHUNK_LEN]).unwrap();
        wait_until_delivered(&client);
        assert_eq!(results(&rig.turn(Wait::Forever)), [(receive, CHUNK_LEN as i32, true)]);
    }
}

#[test]
fn room_is_remembered_from_the_event_on() {
    let mut rig = Rig::new();
    let (full, mut peer) = UnixStream::pair().unwrap();
    let room = fill(&mut rig, &full);
    let writable = rig.stage(Op::Writable { fd: full.as_raw_fd() });
    assert_eq!(results(&rig.turn(Wait::No)), []);
    peer.read_exact(&mut vec![0; room]).unwrap();
    assert_eq!(results(&rig.next()), [(writable, 0, false)]);

    // Known at once, and so reported in the order of staging.
    let writable = rig.stage(Op::Writable { fd: full.as_raw_fd() });
    let close = rig.stage(Op::Close { fd: peer.into_raw_fd() });
    assert_eq!(results(&rig.turn(Wait::No)), [(writable, 0, false), (close, 0, false)]);
}

#[test]
fn a_second_receive_on_a_socket_is_refused_and_a_close_ends_the_first() {
    let mut rig = Rig::new();
    let (server, _client) = UnixStream::pair().unwrap();
    let server = server.into_raw_fd();
    let first = rig.receive(server);
    let second = rig.receive(server);
    let close = rig.stage(Op::Close { fd: server });
    let expected = [(second, -libc::EBUSY, false), (close, 0, false), (first, -libc::ECANCELED, false)];
    assert_eq!(results(&rig.turn(Wait::No)), expected);
}

#[test]
fn receives_that_lack_a_chunk_neither_spin_nor_hold_up_accepts() {
    let mut rig = Rig::new();
    let (server, mut client) = tcp();
    client.write_all(&[b'x'; 2 * CHUNK_LEN]).unwrap();
    wait_until_delivered(&client);
    let mut held: Vec<_> = (0..CHUNKS).map(|_| rig.pool.take().unwrap()).collect();
    let receive = rig.receive(server.as_raw_fd());
    assert_eq!(results(&rig.turn(Wait::Forever)), [], "the event ends this wait");
    rig.assert_quiet();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rig.reactor.adopt(listener.as_fd()).unwrap();
    let accept = rig.stage(Op::Accept { fd: listener.as_raw_fd() });
    let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let done = rig.next();
    assert!(matches!(results(&done)[..], [(token, 0.., true)] if token == accept));

    held.pop();
    for _ in 0..2 {
        assert_eq!(results(&rig.turn(Wait::Forever)), [(receive, CHUNK_LEN as i32, true)]);
    }
    assert_eq!(results(&rig.turn(Wait::Forever)), [], "tried once more: a full chunk proves nothing");
    rig.assert_quiet();
}

#[test]
fn a_flood_of_connections_is_accepted_in_shares() {
    const FLOOD: usize = 100;
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rig.reactor.adopt(listener.as_fd()).unwrap();
    let address = listener.local_addr().unwrap();
    let _peers: Vec<_> = (0..FLOOD).map(|_| TcpStream::connect(address).unwrap()).collect();
    rig.stage(Op::Accept { fd: listener.as_raw_fd() });
    let mut accepted = 0;
    while accepted < FLOOD {
        let share = rig.next().len();
        assert!(share < FLOOD);
        accepted += share;
    }
    rig.assert_quiet();
}

#[test]
fn a_wait_needs_no_epoll_pwait2() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        // The filter ends with the thread.
        let waits = std::thread::spawn(move || {
            refuse(libc::SYS_epoll_pwait2, errno);
            Rig::new().assert_quiet();
        });
        waits.join().unwrap();
    }
}

#[test]
fn an_unpark_that_a_turn_without_a_wait_came_upon_ends_the_next_wait() {
    let mut rig = Rig::new();
    rig.reactor.unparker().unwrap().unpark();
    rig.turn(Wait::No);
    rig.turn(Wait::Forever);
    rig.assert_quiet();
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

/// Lets a system call of this thread fail with `errno` from now on.
fn refuse(syscall: libc::c_long, errno: i32) {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const SKIP_UNLESS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jf| libc::sock_filter { code, k, jt: 0, jf };
    let mut steps = [
        step(LOAD_NUMBER, 0, 0),
        step(SKIP_UNLESS, syscall as u32, 1),
        step(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: `filter` and its steps are valid for the calls, which copy them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter), 0);
    }
}

/// What is received is still in a processor's cache when it is read.
#[test]
fn a_turn_receives_some_bytes_and_the_next_one_the_rest() {
    const LEN: usize = 64 * 1024;
    let mut rig = Rig::with_pool(Pool::new(4, LEN));
    let pairs = [(); 4].map(|()| UnixStream::pair().unwrap());
    for (server, client) in &pairs {
        SockRef::from(client).set_send_buffer_size(2 * LEN).unwrap();
        (&*client).write_all(&[0; LEN]).unwrap();
        rig.receive(server.as_raw_fd());
    }
    for _ in 0..2 {
        let done = rig.turn(Wait::Forever);
        assert_eq!(done.iter().map(|completion| completion.result).collect::<Vec<_>>(), [LEN as i32; 2]);
    }
}
