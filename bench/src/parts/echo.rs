//! A round trip through the loop-back device. For servers, and those of others, see `compare`.

use std::io;
use std::pin::pin;
use std::time::Instant;

use carhop::net::{TcpListener, TcpStream};
use carhop::spawn;
use futures::future::try_join;

use super::subject::Subject;
use super::{Measured, Part, Size, contenders};

const SMALL: usize = 64;
const LARGE: usize = 100_000;

pub const PARTS: &[Part] = &[
    Part {
        bytes: Some(SMALL as u64),
        ..Part::new("echo, round trip, 64 B", contenders!(prepare small, [OnEpoll, OnUring], []))
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
