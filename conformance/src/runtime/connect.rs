//! Connecting, to those who want it and to those who do not.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream, lookup_host};
use carhop::spawn;
use carhop::time::{sleep, timeout};

use crate::machine;

use super::support::{connection, listener, short_of_room};
use super::{Env, trials};

trials![
    refused,
    to_no_address,
    to_a_name,
    to_the_first_address_that_answers,
    to_a_listener_without_room: Strangers,
    many_at_once,
    accepted_on_another_backend: Strangers,
];

/// An address at which nobody listens.
async fn nobody() -> SocketAddr {
    // Bound, so that nobody else gets it meanwhile, and closed: it is not given out again so soon.
    let addr = listener().await.local_addr().unwrap();
    // The close is performed in the next turn.
    sleep(Duration::ZERO).await;
    addr
}

fn refused(env: &Env) {
    env.run(async {
        let addr = nobody().await;
        for _ in 0..20 {
            let error = TcpStream::connect(addr).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        }
    });
}

fn to_no_address(env: &Env) {
    env.run(async {
        for text in ["", "localhost", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":7", "::1:7"] {
            let error = TcpStream::connect(text).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "`{text}`: {error}");
            assert!(error.to_string().contains("expected HOST:PORT"), "{error}");
            assert!(TcpListener::bind(text).await.is_err());
        }
        let none: &[SocketAddr] = &[];
        assert_eq!(TcpStream::connect(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let taken = listener().await;
        let error = TcpListener::bind(taken.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

fn to_a_name(env: &Env) {
    env.run(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Another thread does the asking, and wakes this one.
        let client = TcpStream::connect(format!("localhost:{port}")).await.unwrap();
        assert_eq!(client.peer_addr().unwrap().port(), port);
        assert!(lookup_host(("localhost", port)).await.unwrap().all(|addr| addr.ip().is_loopback()));
    });
}

fn to_the_first_address_that_answers(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let wanted = listener.local_addr().unwrap();
        let client = TcpStream::connect(&[nobody().await, wanted, nobody().await][..]).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), wanted);
    });
}

/// How many connections to `addr` the kernel is trying to make.
fn attempts(addr: SocketAddr) -> usize {
    // proc_net_tcp(5): the remote address, its port in hexadecimal, and state 2, TCP_SYN_SENT.
    let remote = format!(":{:04X} 02 ", addr.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().filter(|line| line.contains(&remote)).count()
}

fn to_a_listener_without_room(env: &Env) {
    env.run(async {
        let (_listener, full) = short_of_room();
        let (mut open, mut given_up) = (Vec::new(), 0);
        let before = machine::sockets();
        for _ in 0..20 {
            match timeout(Duration::from_millis(10), TcpStream::connect(full)).await {
                Ok(stream) => open.push(stream.unwrap()),
                Err(_) => given_up += 1,
            }
        }
        assert!(given_up >= 10, "{} found room", open.len());
        // Not only the descriptors are gone, but what they stood for.
        while attempts(full) > 0 || machine::sockets() > before + open.len() {
            sleep(Duration::from_millis(1)).await;
        }
        let waiting = spawn(TcpStream::connect(full));
        while attempts(full) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        waiting.abort();
        while attempts(full) > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

fn many_at_once(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..500u32)
            .map(|id| {
                spawn(async move {
                    let mut client = TcpStream::connect(addr).await.unwrap();
                    client.write_all(&id.to_le_bytes()).await.unwrap();
                    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
                })
            })
            .collect();
        let mut seen = vec![false; 500];
        for _ in 0..500 {
            let mut id = [0; 4];
            listener.accept().await.unwrap().0.read_exact(&mut id).await.unwrap();
            assert!(!std::mem::replace(&mut seen[u32::from_le_bytes(id) as usize], true));
        }
        for client in clients {
            client.await.unwrap();
        }
    });
}

fn accepted_on_another_backend(env: &Env) {
    for &backend in carhop::Backend::LINKED {
        let Ok(other) = (Env { backend }).builder().build() else { continue };
        drop(other);
        let (sender, addrs) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            Env { backend }.run(async {
                let listener = listener().await;
                sender.send(listener.local_addr().unwrap()).unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buf = [0; 5];
                stream.read_exact(&mut buf).await.unwrap();
                stream.write_all(&buf).await.unwrap();
                drop(connection(&listener).await);
            })
        });
        let addr = addrs.recv().unwrap();
        env.run(async {
            let mut client = TcpStream::connect(addr).await.unwrap();
            client.write_all(b"hello").await.unwrap();
            client.read_exact(&mut [0; 5]).await.unwrap();
        });
        server.join().unwrap();
    }
}
