//! What children leave to the kernel: when the scope is over, that is over, too.

use std::future::pending;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::task::{TaskGroup, shield};
use carhop::time::sleep;
use carhop::yield_now;
use futures::poll;
use runtime_core::socket::Listener;
use socket2::{Domain, Socket, Type};

use crate::machine;

use super::support::{listener, pair, short_of_room};
use super::{Env, trials};

trials![
    the_port_of_an_aborted_listener_is_free,
    connections_that_nobody_took_are_closed: Strangers,
    the_peer_of_an_aborted_reader_is_at_the_end: Strangers,
    aborted_connects_leave_no_descriptor,
    a_listener_within_a_group_within_a_group,
    a_group_that_ended_well_has_closed_its_sockets,
    what_others_have_in_flight_is_not_waited_for,
    a_scope_dropped_while_it_waits_for_the_kernel,
];

async fn fail_after<T>(polls: u32) -> io::Result<T> {
    for _ in 0..polls {
        yield_now().await;
    }
    Err(ErrorKind::Other.into())
}

/// Binds as others would, who know nothing of who was there before: without `SO_REUSEADDR`. Takes no turn of the loop.
fn bind_again(env: &Env, addr: SocketAddr) {
    if !env.has_kernel() {
        // Nobody else is there.
        return drop(Listener::bind(&addr.into(), &[], 1).expect("the port is free"));
    }
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&addr.into()).expect("the port is free");
    let refused = std::net::TcpStream::connect(addr).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

fn the_port_of_an_aborted_listener_is_free(env: &Env) {
    env.run(async {
        // The listener is at another stage each time: not armed, staged, armed.
        for polls in 0..6 {
            let before = machine::sockets();
            let listener = listener().await;
            let addr = listener.local_addr().unwrap();
            let outcome = TaskGroup::scope(async |group| {
                group.spawn(async move { listener.accept().await });
                fail_after::<()>(polls).await
            });
            assert!(outcome.await.is_err());
            assert_eq!(machine::sockets(), before);
            bind_again(env, addr);
        }
    });
}

/// They are accepted by the kernel, or even by the listener whose accept is cancelled.
fn connections_that_nobody_took_are_closed(env: &Env) {
    env.run(async {
        for polls in 0..6 {
            let before = machine::sockets();
            let listener = listener().await;
            let addr = listener.local_addr().unwrap();
            let mut clients = Vec::new();
            let outcome = TaskGroup::scope(async |group| {
                group.spawn(async move {
                    listener.accept().await?;
                    pending::<io::Result<()>>().await
                });
                for _ in 0..8 {
                    clients.push(std::net::TcpStream::connect(addr)?);
                }
                fail_after::<()>(polls).await
            });
            assert!(outcome.await.is_err());
            for client in &mut clients {
                client.set_nonblocking(true).unwrap();
                let end = client.read(&mut [0]);
                assert!(end.as_ref().is_ok_and(|&n| n == 0) || is_reset(&end), "{end:?} after {polls} polls");
            }
            drop(clients);
            assert_eq!(machine::sockets(), before);
        }
    });
}

fn is_reset(end: &io::Result<usize>) -> bool {
    end.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

fn the_peer_of_an_aborted_reader_is_at_the_end(env: &Env) {
    env.run(async {
        for polls in 0..6 {
            let listener = listener().await;
            let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let outcome = TaskGroup::scope(async |group| {
                group.spawn(async move { stream.read(&mut [0]).await });
                fail_after::<()>(polls).await
            });
            assert!(outcome.await.is_err());
            peer.set_nonblocking(true).unwrap();
            assert_eq!(peer.read(&mut [0]).expect("the end is there already"), 0, "after {polls} polls");
        }
    });
}

fn aborted_connects_leave_no_descriptor(env: &Env) {
    env.run(async {
        let (_full, addr) = short_of_room();
        for polls in 0..6 {
            let before = machine::sockets();
            let outcome = TaskGroup::scope(async |group| {
                for _ in 0..16 {
                    group.spawn(async move {
                        let _stream = TcpStream::connect(addr).await?;
                        pending::<io::Result<()>>().await
                    });
                }
                fail_after::<()>(polls).await
            });
            assert!(outcome.await.is_err());
            assert_eq!(machine::sockets(), before, "after {polls} polls");
        }
    });
}

fn a_listener_within_a_group_within_a_group(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let outcome = TaskGroup::scope(async |group| {
            group.spawn(async move {
                let inner = TaskGroup::scope(async |group| {
                    group.spawn(async move { listener.accept().await });
                    Ok::<_, io::Error>(())
                });
                inner.await.map_err(|_| ErrorKind::Other.into())
            });
            fail_after::<()>(5).await
        });
        assert!(outcome.await.is_err());
        bind_again(env, addr);
    });
}

fn a_group_that_ended_well_has_closed_its_sockets(env: &Env) {
    env.run(async {
        let outcome = TaskGroup::scope(async |group| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let addr = listener.local_addr()?;
            group.spawn(async move {
                yield_now().await;
                drop(listener);
                Ok(())
            });
            Ok::<_, io::Error>(addr)
        });
        bind_again(env, outcome.await.unwrap());
    });
}

/// Else the scope would wait for ever.
fn what_others_have_in_flight_is_not_waited_for(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        let reads = carhop::spawn(async move { far.read(&mut [0]).await });
        let lives_on = shield(async {
            let listener = listener().await;
            listener.accept().await.map(drop)
        });
        yield_now().await;
        let outcome = TaskGroup::scope(async |group| {
            group.spawn(async {
                pair().await;
                Ok::<_, io::Error>(())
            });
            Ok(())
        });
        outcome.await.unwrap();
        assert!(!reads.is_finished());
        drop((near, lives_on));
        assert_eq!(reads.await.unwrap().unwrap(), 0);
    });
}

fn a_scope_dropped_while_it_waits_for_the_kernel(env: &Env) {
    env.run(async {
        let mut waited = 0;
        for polls in 0..16 {
            let before = machine::sockets();
            let listener = listener().await;
            let mut scope = Box::pin(TaskGroup::scope(async |group| {
                group.spawn(async move { listener.accept().await });
                fail_after::<()>(2).await
            }));
            for _ in 0..polls {
                if poll!(&mut scope).is_ready() {
                    waited = polls;
                    break;
                }
                // One turn.
                sleep(Duration::ZERO).await;
            }
            drop(scope);
            // The child's drop, and the turn that closes what it had.
            for _ in 0..4 {
                sleep(Duration::ZERO).await;
            }
            assert_eq!(machine::sockets(), before, "after {polls} polls");
        }
        assert!(waited > 0, "at last it is ready");
    });
}
