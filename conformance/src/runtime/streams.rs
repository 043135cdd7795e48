//! Bytes through connections: all of them, once, in order.

use std::cell::RefCell;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::time::sleep;
use carhop::{spawn, yield_now};
use futures::future::{Either, join, join_all, select};
use futures::poll;
use socket2::SockRef;

use crate::pattern::{Dice, Pattern};

use super::support::{connection, fill, listener, pair, read_to_end};
use super::{Env, trials};

trials![
    an_echo,
    sizes_of_every_kind,
    reads_of_one_byte,
    nothing_read_and_nothing_written,
    addresses_and_options,
    descriptors: Descriptors,
    ipv6,
    sockets_made_elsewhere: Descriptors,
    a_select_of_a_read_and_a_sleep,
    the_number_of_a_closed_socket_is_used_again: Descriptors,
    a_duplicate_keeps_the_connection_open: Descriptors,
    a_write_alone_and_one_in_company,
    what_arrived_comes_before_what_was_written,
    more_writes_in_company_than_there_is_room_for,
    a_write_in_company_without_room: Descriptors,
];

fn an_echo(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buf = [0; 1024];
            loop {
                match stream.read(&mut buf).await.unwrap() {
                    0 => return,
                    n => stream.write_all(&buf[..n]).await.unwrap(),
                }
            }
        });
        let mut client = TcpStream::connect(addr).await.unwrap();
        for round in 0..500u32 {
            client.write_all(&round.to_le_bytes()).await.unwrap();
            let mut answer = [0; 4];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(u32::from_le_bytes(answer), round);
        }
        drop(client);
        server.await.unwrap();
    });
}

/// Sends `total` bytes in pieces of up to `piece`, then the end.
pub(super) async fn send(mut stream: TcpStream, total: usize, piece: usize) {
    let (mut pattern, mut dice, mut left) = (Pattern::default(), Dice::new(), total);
    while left > 0 {
        let len = dice.roll(piece).min(left);
        stream.write_all(&pattern.take(len)).await.unwrap();
        left -= len;
    }
}

/// Receives `total` bytes in pieces of up to `piece`, then the end.
pub(super) async fn receive(mut stream: TcpStream, total: usize, piece: usize) {
    let (mut pattern, mut dice, mut received) = (Pattern::default(), Dice::new(), 0);
    let mut buf = vec![0; piece];
    loop {
        let len = dice.roll(piece);
        match stream.read(&mut buf[..len]).await.unwrap() {
            0 => break,
            n => {
                assert!(n <= len);
                pattern.expect(&buf[..n]);
                received += n;
            }
        }
    }
    assert_eq!(received, total);
}

fn sizes_of_every_kind(env: &Env) {
    env.run(async {
        // Around a chunk of the pool, and around what may wait unread.
        for piece in [1, 7, 4096, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000] {
            let (near, far) = pair().await;
            let total = (piece * 20).min(1_000_000);
            join(send(near, total, piece), receive(far, total, piece)).await;
            let (near, far) = pair().await;
            join(send(near, total, piece), receive(far, total, 10_000)).await;
        }
    });
}

fn reads_of_one_byte(env: &Env) {
    env.run(async {
        let (near, far) = pair().await;
        join(send(near, 50_000, 50_000), receive(far, 50_000, 1)).await;
    });
}

fn nothing_read_and_nothing_written(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        assert_eq!(near.read(&mut []).await.unwrap(), 0);
        assert_eq!(near.write(&[]).await.unwrap(), 0);
        near.read_exact(&mut []).await.unwrap();
        near.write_all(&[]).await.unwrap();
        // Not even on a connection that is full, or at its end.
        fill(&mut near).await;
        assert!(matches!(poll!(Box::pin(near.write(&[]))), Poll::Ready(Ok(0))));
        drop(near);
        assert_eq!(far.read(&mut []).await.unwrap(), 0);
        assert!(far.read(&mut [0]).await.unwrap() > 0);
    });
}

fn addresses_and_options(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let (near, far) = connection(&listener).await;
        assert_eq!(near.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(far.local_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(near.local_addr().unwrap(), far.peer_addr().unwrap());
        assert!(near.local_addr().unwrap().ip().is_loopback());
        assert!(!near.nodelay().unwrap());
        near.set_nodelay(true).unwrap();
        assert!(near.nodelay().unwrap() && !far.nodelay().unwrap());
        near.set_nodelay(false).unwrap();
        assert!(!near.nodelay().unwrap());
    });
}

fn descriptors(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let (near, far) = connection(&listener).await;
        for fd in [near.as_fd(), far.as_fd(), listener.as_fd()] {
            assert!(crate::machine::is_close_on_exec(fd.as_raw_fd()));
        }
        assert_eq!(format!("{near:?}"), format!("TcpStream(fd {})", near.as_fd().as_raw_fd()));
    });
}

fn ipv6(env: &Env) {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return eprintln!("this machine has no IPv6");
    }
    env.run(async {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let (mut near, mut far) = connection(&listener).await;
        assert!(near.peer_addr().unwrap().is_ipv6());
        near.write_all(b"six").await.unwrap();
        far.read_exact(&mut [0; 3]).await.unwrap();
    });
}

fn sockets_made_elsewhere(env: &Env) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    env.run(async {
        // One that blocks and one that does not, with something in it already.
        for nonblocking in [false, true] {
            let near = std::net::TcpStream::connect(addr).unwrap();
            near.set_nonblocking(nonblocking).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut far, b"early").unwrap();
            let (mut near, mut far) = (TcpStream::from_std(near).unwrap(), TcpStream::from_std(far).unwrap());
            assert!(poll!(Box::pin(far.read(&mut [0]))).is_pending());
            let mut buf = [0; 5];
            near.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"early");
            near.write_all(b"x").await.unwrap();
            far.read_exact(&mut [0]).await.unwrap();
        }
    });
}

fn a_select_of_a_read_and_a_sleep(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let (mut byte, mut sleeps, mut reads) = ([0], 0, 0);
        while reads < 20 {
            let mut read = std::pin::pin!(near.read(&mut byte));
            match select(&mut read, sleep(Duration::from_micros(200))).await {
                Either::Left((count, _)) => {
                    assert_eq!(count.unwrap(), 1);
                    reads += 1;
                }
                Either::Right(_) => {
                    sleeps += 1;
                    far.write_all(&[1]).await.unwrap();
                }
            }
        }
        assert!(sleeps >= reads);
    });
}

fn the_number_of_a_closed_socket_is_used_again(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let mut numbers = std::collections::HashSet::new();
        for round in 0..500u32 {
            let (mut near, mut far) = connection(&listener).await;
            numbers.insert(near.as_fd().as_raw_fd());
            // Both directions wait when it goes, and something is on its way.
            let mut buf = [0; 64];
            assert!(poll!(Box::pin(near.read(&mut buf))).is_pending());
            far.write_all(&round.to_le_bytes()).await.unwrap();
            if round % 3 == 0 {
                drop(near);
                continue;
            }
            near.read_exact(&mut buf[..4]).await.unwrap();
            assert_eq!(u32::from_le_bytes(buf[..4].try_into().unwrap()), round);
            assert!(poll!(Box::pin(near.read(&mut buf))).is_pending());
        }
        assert!(numbers.len() < 50, "numbers are used again: {}", numbers.len());
    });
}

fn a_duplicate_keeps_the_connection_open(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let (mut near, mut far) = connection(&listener).await;
        let duplicate = near.as_fd().try_clone_to_owned().unwrap();
        assert!(poll!(Box::pin(near.read(&mut [0; 9]))).is_pending());
        drop(near);
        // What comes before the loop's next turn may still be taken by the read that was dropped.
        sleep(Duration::from_millis(1)).await;
        // For the duplicate, not for whatever has the number now.
        far.write_all(b"for the duplicate").await.unwrap();
        let (mut other, mut other_far) = connection(&listener).await;
        assert!(poll!(Box::pin(other.read(&mut [0; 9]))).is_pending());
        other_far.write_all(b"other").await.unwrap();
        let mut buf = [0; 5];
        other.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"other");
        let mut duplicate = TcpStream::from_std(duplicate.into()).unwrap();
        let mut buf = [0; 17];
        duplicate.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"for the duplicate");
        drop(duplicate);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    });
}

/// With other tasks ready, a small write is made in the next turn.
fn a_write_alone_and_one_in_company(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        assert!(poll!(pin!(near.write_all(b"alone"))).is_ready());
        spawn(async {});
        assert!(poll!(pin!(near.write_all(&[0; 5000]))).is_ready(), "a long one");
        {
            let mut write = pin!(near.write_all(b"in company"));
            assert!(poll!(&mut write).is_pending());
            write.await.unwrap();
        }
        drop(near);
        let arrived = read_to_end(&mut far).await;
        assert_eq!(arrived, [&b"alone"[..], &[0; 5000], b"in company"].concat());
    });
}

/// In one turn. Otherwise those who are answered first would be the first again and again.
fn what_arrived_comes_before_what_was_written(env: &Env) {
    env.run(async {
        let ((mut near, _far), (mut reading, mut peer)) = (pair().await, pair().await);
        let trace = Rc::new(RefCell::new(Vec::new()));
        let read = Rc::clone(&trace);
        let reader = spawn(async move {
            reading.read(&mut [0; 9]).await.unwrap();
            read.borrow_mut().push("arrived");
        });
        yield_now().await;
        peer.write_all(b"early").await.unwrap();
        spawn(async {});
        near.write_all(b"staged").await.unwrap();
        trace.borrow_mut().push("written");
        reader.await.unwrap();
        assert_eq!(*trace.borrow(), ["arrived", "written"]);
    });
}

/// There is room for so many copies, and those that are left over do not wait for the turn.
fn more_writes_in_company_than_there_is_room_for(env: &Env) {
    env.run(async {
        let mut pairs = Vec::new();
        for _ in 0..20 {
            pairs.push(pair().await);
        }
        let bytes = Pattern::default().take(4096);
        spawn(async {});
        let mut writes: Vec<_> = pairs.iter_mut().map(|(near, _)| Box::pin(near.write_all(&bytes))).collect();
        let mut staged = 0;
        for write in &mut writes {
            staged += usize::from(poll!(write).is_pending());
        }
        assert_eq!(staged, 16);
        join_all(writes.into_iter().take(16)).await;
        for (near, mut far) in pairs {
            drop(near);
            assert!(read_to_end(&mut far).await == bytes);
        }
    });
}

/// The stream itself has not seen yet that there is no room.
fn a_write_in_company_without_room(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let (block, mut full) = ([0; 1 << 16], 0);
        // The kernel makes room for a while yet, moving bytes from one end to the other.
        for _ in 0..3 {
            while let Ok(count) = SockRef::from(&near).send_with_flags(&block, libc::MSG_DONTWAIT) {
                full += count;
            }
            sleep(Duration::from_millis(1)).await;
        }
        let reader = spawn(async move {
            yield_now().await;
            read_to_end(&mut far).await
        });
        near.write_all(b"the rest").await.unwrap();
        drop(near);
        let arrived = reader.await.unwrap();
        assert_eq!((arrived.len(), &arrived[full..]), (full + 8, &b"the rest"[..]));
    });
}
