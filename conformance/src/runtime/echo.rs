//! The main job: many clients at once, every byte checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use carhop::net::TcpStream;
use carhop::spawn;

use crate::pattern::{Dice, Pattern};

use super::support::listener;
use super::{Env, trials};

trials![a_thousand_clients: Strangers];

const CLIENTS: usize = 1000;
const BYTES: usize = 1 << 20;

async fn serve(mut stream: TcpStream) {
    let mut buf = vec![0; 32 * 1024];
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return,
            n => stream.write_all(&buf[..n]).await.unwrap(),
        }
    }
}

/// Sends a part of `bytes` that is this client's own, in pieces of all sizes, and expects it back.
async fn converse(addr: SocketAddr, id: usize, bytes: Arc<[u8]>) {
    let stream = TcpStream::connect(addr).await.unwrap();
    let mine = id..id + BYTES;
    let (mut read, mut write) = stream.into_split();
    let (sent, pieces) = (Arc::clone(&bytes), mine.clone());
    let sender = spawn(async move {
        let (mut rest, mut dice) = (&sent[pieces], Dice::new());
        for _ in 0..id {
            dice.roll(1);
        }
        while !rest.is_empty() {
            let piece = dice.roll(32 * 1024).min(rest.len());
            write.write_all(&rest[..piece]).await.unwrap();
            rest = &rest[piece..];
        }
    });
    let (mut expected, mut buf) = (&bytes[mine], vec![0; 16 * 1024]);
    loop {
        match read.read(&mut buf).await.unwrap() {
            0 => break,
            n => {
                assert!(buf[..n] == expected[..n], "client {id}, {} bytes before its end", expected.len());
                expected = &expected[n..];
            }
        }
    }
    assert!(expected.is_empty(), "client {id} misses {} bytes", expected.len());
    sender.await.unwrap();
}

fn a_thousand_clients(env: &Env) {
    // Each client's part begins a byte later, so one that gets another's bytes notices.
    let bytes: Arc<[u8]> = Pattern::default().take(BYTES + CLIENTS).into();
    let env = *env;
    let load = env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let load = thread::spawn(move || {
            env.run(async {
                let tasks: Vec<_> =
                    (0..CLIENTS).map(|id| spawn(converse(addr, id, Arc::clone(&bytes)))).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            })
        });
        let mut servers = Vec::new();
        for _ in 0..CLIENTS {
            servers.push(spawn(serve(listener.accept().await.unwrap().0)));
        }
        for server in servers {
            server.await.unwrap();
        }
        load
    });
    load.join().unwrap();
}
