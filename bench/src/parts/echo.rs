//! A round trip through the loop-back device. For servers, and those of others, see `compare`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream as Plain;
use std::pin::pin;
use std::time::Instant;

use carhop::net::{TcpListener, TcpStream};
use carhop::{spawn, yield_now};
use futures::future::try_join;

use super::subject::Subject;
use super::{Measured, Part, Size, contenders};

const SMALL: usize = 64;
const CLIENTS: usize = 50;
const LARGE: usize = 100_000;

pub const PARTS: &[Part] = &[
    Part {
        bytes: Some(SMALL as u64),
        ..Part::new("echo, round trip, 64 B", contenders!(prepare small, [OnEpoll, OnUring], []))
    },
    Part {
        batch: CLIENTS as u64,
        bytes: Some((CLIENTS * SMALL) as u64),
        ..Part::new("echo server, 50 x 64 B", contenders!(prepare server, [OnEpoll, OnUring], []))
    },
    Part {
        bytes: Some(LARGE as u64),
        ..Part::new("echo, round trip, 100 KB", contenders!(prepare large, [OnEpoll, OnUring], []))
    },
];

fn small<S: Subject>(_: Size) -> io::Result<Measured> {
    echo::<S>(SMALL)
}

fn large<S: Subject>(_: Size) -> io::Result<Measured> {
    echo::<S>(LARGE)
}

/// Client and server in one loop: a round trip is the work of both.
fn echo<S: Subject>(len: usize) -> io::Result<Measured> {
    let mut runtime = S::start()?;
    let mut client = runtime.block_on(connect_to_echo());
    let (request, mut answer) = (vec![7; len], vec![0; len]);
    Ok(Box::new(move |iters| {
        runtime.block_on(async {
            let (mut reader, mut writer) = client.split();
            let start = Instant::now();
            for _ in 0..iters {
                let sent = pin!(writer.write_all(&request));
                let received = pin!(reader.read_exact(&mut answer));
                try_join(sent, received).await.unwrap();
            }
            start.elapsed()
        })
    }))
}

async fn connect_to_echo() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    spawn(async move {
        let mut buf = vec![0; 16 * 1024];
        loop {
            match server.read(&mut buf).await.unwrap() {
                0 => break,
                n => server.write_all(&buf[..n]).await.unwrap(),
            }
        }
    });
    client
}

/// A server with many clients, which are plain sockets in the same thread: what they do is little beside the server's
/// work, and the same each time, since a write on loopback has arrived when it returns. An iteration is a request of
/// each.
fn server<S: Subject>(_: Size) -> io::Result<Measured> {
    let mut runtime = S::start()?;
    let mut clients = runtime.block_on(connect_to_server());
    let (request, mut answer) = ([7; SMALL], [0; SMALL]);
    Ok(Box::new(move |iters| {
        runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..iters {
                for client in &mut clients {
                    assert_eq!(client.write(&request).unwrap(), SMALL);
                }
                for client in &mut clients {
                    while !has_answer(client, &mut answer) {
                        yield_now().await;
                    }
                }
            }
            start.elapsed()
        })
    }))
}

/// Whether there is one: the server writes each with one call, so it is there as a whole.
fn has_answer(client: &mut Plain, answer: &mut [u8]) -> bool {
    match client.read(answer) {
        Ok(count) => count == answer.len() || panic!("{count} bytes came back"),
        Err(error) => error.kind() != ErrorKind::WouldBlock && panic!("{error}"),
    }
}

async fn connect_to_server() -> Vec<Plain> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let client = Plain::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_nonblocking(true).unwrap();
        clients.push(client);
        let (mut server, _) = listener.accept().await.unwrap();
        server.set_nodelay(true).unwrap();
        spawn(async move {
            while let Some(chunk) = server.read_chunk().await.unwrap() {
                server.write_chunk(chunk).await.unwrap();
            }
        });
    }
    clients
}
