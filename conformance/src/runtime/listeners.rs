//! Accepting.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::time::{sleep, timeout};
use carhop::{spawn, yield_now};
use futures::poll;
use socket2::{Domain, Socket, Type};

use crate::machine::{Shortage, sockets};

use super::support::{connection, listener, reset};
use super::{Env, trials};

trials![
    more_connections_than_may_wait_untaken,
    it_pauses_beside_a_task_that_is_always_ready: Strangers,
    two_listeners,
    two_listeners_on_one_port: Descriptors,
    one_listener_in_two_runtimes: Descriptors,
    a_dropped_listener_ends_what_waits,
    a_dropped_listener_frees_its_port,
    connections_that_are_reset_before_they_are_taken: Linger,
    no_descriptors_left: Limits,
    one_that_blocks: Descriptors,
];

fn more_connections_than_may_wait_untaken(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        assert!(poll!(Box::pin(listener.accept())).is_pending());
        let mut clients = Vec::new();
        for id in 0..300u32 {
            let mut client = TcpStream::connect(addr).await.unwrap();
            client.write_all(&id.to_le_bytes()).await.unwrap();
            clients.push(client);
        }
        sleep(Duration::from_millis(2)).await;
        let mut seen = vec![false; 300];
        for _ in 0..300 {
            let mut id = [0; 4];
            listener.accept().await.unwrap().0.read_exact(&mut id).await.unwrap();
            assert!(!std::mem::replace(&mut seen[u32::from_le_bytes(id) as usize], true));
        }
        assert!(
            timeout(Duration::from_millis(1), listener.accept()).await.is_err(),
            "no more than were made"
        );
        drop(connection(&listener).await);
    });
}

fn it_pauses_beside_a_task_that_is_always_ready(env: &Env) {
    const CLIENTS: usize = 200;
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        assert!(poll!(Box::pin(listener.accept())).is_pending());
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let before = sockets();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(StdStream::connect(addr).unwrap());
            // More than two steps of the loop, which takes in what has come each time.
            for _ in 0..600 {
                yield_now().await;
            }
        }
        let accepted = sockets() - before - CLIENTS;
        assert!((1..CLIENTS / 2).contains(&accepted), "nobody takes them, and {accepted} are accepted");
        busy.abort();
    });
}

fn two_listeners(env: &Env) {
    env.run(async {
        let listeners = [listener().await, listener().await];
        let servers = listeners.map(|listener| {
            let addr = listener.local_addr().unwrap();
            let server = spawn(async move {
                for _ in 0..50 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    stream.write_all(&listener.local_addr().unwrap().port().to_le_bytes()).await.unwrap();
                }
            });
            (addr, server)
        });
        for _ in 0..50 {
            for (addr, _) in &servers {
                let mut port = [0; 2];
                TcpStream::connect(addr).await.unwrap().read_exact(&mut port).await.unwrap();
                assert_eq!(u16::from_le_bytes(port), addr.port());
            }
        }
        for (_, server) in servers {
            server.await.unwrap();
        }
    });
}

fn shared_port(addr: SocketAddr) -> std::net::TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&addr.into()).unwrap();
    socket.listen(128).unwrap();
    socket.into()
}

fn two_listeners_on_one_port(env: &Env) {
    env.run(async {
        let first = shared_port((Ipv4Addr::LOCALHOST, 0).into());
        let addr = first.local_addr().unwrap();
        let listeners = [first, shared_port(addr)].map(|listener| TcpListener::from_std(listener).unwrap());
        let clients = spawn(async move {
            for _ in 0..64 {
                let mut client = TcpStream::connect(addr).await.unwrap();
                assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
            }
        });
        let servers = listeners.map(|listener| {
            spawn(async move {
                let mut accepted = 0;
                while timeout(Duration::from_millis(100), listener.accept()).await.is_ok() {
                    accepted += 1;
                }
                accepted
            })
        });
        clients.await.unwrap();
        let mut accepted = Vec::new();
        for server in servers {
            accepted.push(server.await.unwrap());
        }
        assert_eq!(accepted.iter().sum::<u32>(), 64);
        // The kernel spreads them by a hash; all to one side is as likely as 64 coins that agree.
        assert!(!accepted.contains(&0), "{accepted:?}");
    });
}

fn one_listener_in_two_runtimes(env: &Env) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let servers = [listener.try_clone().unwrap(), listener].map(|listener| {
        let env = *env;
        std::thread::spawn(move || {
            env.run(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut word = [0];
                    stream.read_exact(&mut word).await.unwrap();
                    stream.write_all(&word).await.unwrap();
                    if word == *b"q" {
                        return;
                    }
                }
            })
        })
    });
    env.run(async {
        for word in [b"x"; 100].into_iter().chain([b"q"; 2]) {
            let mut client = TcpStream::connect(addr).await.unwrap();
            // The one that has quit may have accepted it: then it is gone, and the other one gets the next.
            loop {
                let sent = client.write_all(word).await;
                if sent.is_ok() && client.read_exact(&mut [0]).await.is_ok() {
                    break;
                }
                assert_eq!(word, b"q");
                client = TcpStream::connect(addr).await.unwrap();
            }
        }
    });
    for server in servers {
        server.join().unwrap();
    }
}

fn a_dropped_listener_ends_what_waits(env: &Env) {
    env.run(async {
        for armed in [false, true] {
            let listener = listener().await;
            let addr = listener.local_addr().unwrap();
            if armed {
                assert!(poll!(Box::pin(listener.accept())).is_pending());
            }
            let mut clients = Vec::new();
            for _ in 0..100 {
                clients.push(TcpStream::connect(addr).await.unwrap());
            }
            drop(listener);
            for mut client in clients {
                match client.read(&mut [0]).await {
                    Ok(count) => assert_eq!(count, 0),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                }
            }
            assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
    });
}

fn a_dropped_listener_frees_its_port(env: &Env) {
    env.run(async {
        let mut old = listener().await;
        let addr = old.local_addr().unwrap();
        for _ in 0..20 {
            drop(connection(&old).await);
            assert!(poll!(Box::pin(old.accept())).is_pending());
            drop(old);
            // The close is performed in the next turn.
            sleep(Duration::from_micros(1)).await;
            old = TcpListener::bind(addr).await.unwrap();
        }
    });
}

fn connections_that_are_reset_before_they_are_taken(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        for armed in [false, true] {
            for _ in 0..50 {
                if armed {
                    assert!(poll!(Box::pin(listener.accept())).is_pending());
                }
                reset(TcpStream::connect(addr).await.unwrap());
                sleep(Duration::from_micros(50)).await;
                // They may be skipped or taken, but the listener goes on.
                let mut client = TcpStream::connect(addr).await.unwrap();
                client.write_all(b"x").await.unwrap();
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    if stream.read(&mut [0]).await.is_ok_and(|count| count == 1) {
                        break;
                    }
                }
            }
        }
    });
}

fn no_descriptors_left(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let mut clients =
            vec![TcpStream::connect(addr).await.unwrap(), TcpStream::connect(addr).await.unwrap()];
        {
            let _shortage = Shortage::with_spare(0);
            for _ in 0..3 {
                let error = listener.accept().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
            }
            assert!(TcpStream::connect(addr).await.is_err());
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.is_err());
        }
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"x").await.unwrap();
        }
        for client in &mut clients {
            client.read_exact(&mut [0]).await.unwrap();
        }
    });
}

fn one_that_blocks(env: &Env) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    env.run(async {
        let listener = TcpListener::from_std(listener).unwrap();
        assert!(timeout(Duration::from_millis(1), listener.accept()).await.is_err());
        drop(connection(&listener).await);
    });
}
