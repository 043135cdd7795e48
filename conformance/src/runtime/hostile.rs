//! Peers and tasks that take and do not give. Others are served, and what it costs is bounded.

use std::rc::Rc;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::time::{sleep, timeout};
use carhop::{Runtime, spawn, yield_now};
use futures::future::pending;

use super::support::{Count, connection, listener, reset};
use super::{Env, trials};

trials![
    clients_that_send_and_never_read: Memory,
    clients_that_send_and_never_read_a_small_pool: Memory,
    tasks_that_stop_reading: Memory,
    byte_by_byte_to_a_task_that_stopped_reading,
    a_flood_of_connections: Descriptors,
    a_storm_of_resets: Linger,
];

/// Clients enough to hold every chunk of the default pool, if each could hold one.
const CLIENTS: usize = 150;

async fn echo(mut stream: TcpStream) {
    let mut buf = [0; 16 * 1024];
    loop {
        match stream.read(&mut buf).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if stream.write_all(&buf[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What a peer may cost that is not read from: the buffers of its tasks, 64 KiB unread, and one burst on top of
/// them, which on io_uring is what the kernel has been lent: 16 chunks of 16 KiB, more where many sockets receive.
const SLOW_PEER: usize = 768 * 1024;

async fn serve(listener: Rc<TcpListener>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        drop(spawn(echo(stream)));
    }
}

/// Sends for as long as anything fits.
async fn flood(mut stream: TcpStream, sent: Count) {
    loop {
        if stream.write(&[1; 64 * 1024]).await.is_err() {
            return pending().await;
        }
        sent.add();
    }
}

/// Waits until the floods have come to a standstill.
async fn standstill(sent: &Count) {
    let (mut before, mut still) = (usize::MAX, 0);
    while still < 10 {
        sleep(Duration::from_millis(5)).await;
        still = if sent.get() == before { still + 1 } else { 0 };
        before = sent.get();
    }
}

/// Talks to the server as if nothing were the matter.
async fn is_served(client: &mut TcpStream) {
    for round in 0..20u8 {
        let exchange = async {
            client.write_all(&[round]).await.unwrap();
            let mut answer = [0];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, [round]);
        };
        timeout(Duration::from_secs(10), exchange).await.expect("the honest client starves");
    }
}

/// The memory of this process that is in use, in bytes.
fn resident() -> usize {
    // What earlier trials have freed counts as free.
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches free memory only.
    unsafe {
        libc::malloc_trim(0)
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn send_and_never_read(runtime: Runtime) {
    runtime.block_on(async {
        let listener = Rc::new(listener().await);
        let addr = listener.local_addr().unwrap();
        drop(spawn(serve(Rc::clone(&listener))));
        let mut early = TcpStream::connect(addr).await.unwrap();
        is_served(&mut early).await;
        let before = resident();
        let sent = Count::default();
        for _ in 0..CLIENTS {
            drop(spawn(flood(TcpStream::connect(addr).await.unwrap(), sent.clone())));
        }
        // In the midst of it, and when all are stuck: who was there before, and who comes then.
        is_served(&mut early).await;
        standstill(&sent).await;
        is_served(&mut early).await;
        is_served(&mut TcpStream::connect(addr).await.unwrap()).await;
        // The buffers of the tasks, the flood's and the echo's, and what may wait unread.
        let each = (resident().saturating_sub(before)) / CLIENTS;
        assert!(each < SLOW_PEER, "{each} bytes for each slow client");
    });
}

fn clients_that_send_and_never_read(env: &Env) {
    send_and_never_read(env.runtime());
}

fn clients_that_send_and_never_read_a_small_pool(env: &Env) {
    send_and_never_read(env.builder().receive_buffers(4, 4096).build().unwrap());
}

fn tasks_that_stop_reading(env: &Env) {
    env.run(async {
        let listening = Rc::new(listener().await);
        let mut kept = Vec::new();
        let sent = Count::default();
        let before = resident();
        for _ in 0..CLIENTS {
            let (client, mut server) = connection(&listening).await;
            drop(spawn(flood(client, sent.clone())));
            // One read, and then no more: the stream goes on receiving for a while.
            assert!(server.read(&mut [0; 10]).await.unwrap() > 0);
            kept.push(server);
        }
        standstill(&sent).await;
        let addr = listening.local_addr().unwrap();
        drop(spawn(serve(listening)));
        is_served(&mut TcpStream::connect(addr).await.unwrap()).await;
        let each = (resident().saturating_sub(before)) / CLIENTS;
        assert!(each < SLOW_PEER, "{each} bytes for each stream");
        // They can go on where they stopped.
        for stream in &mut kept {
            let mut bytes = vec![0; 300_000];
            stream.read_exact(&mut bytes).await.unwrap();
            assert!(bytes.iter().all(|&byte| byte == 1));
        }
    });
}

/// What comes in tiny pieces must cost no more than what comes in large ones.
fn byte_by_byte_to_a_task_that_stopped_reading(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let mut streams = Vec::new();
        for _ in 0..5 {
            let (mut client, mut server) = connection(&listener).await;
            client.set_nodelay(true).unwrap();
            client.write_all(b"?").await.unwrap();
            server.read_exact(&mut [0]).await.unwrap();
            streams.push((client, server));
        }
        let before = resident();
        for _ in 0..20_000 {
            for (client, _) in &mut streams {
                client.write_all(b"x").await.unwrap();
            }
            // Each is a segment of its own, received by itself.
            sleep(Duration::ZERO).await;
        }
        let each = (resident().saturating_sub(before)) / streams.len();
        assert!(each < 400 * 1024, "{each} bytes for each stream that holds 20,000");
        for (_, server) in &mut streams {
            let mut bytes = vec![0; 20_000];
            server.read_exact(&mut bytes).await.unwrap();
            assert!(bytes.iter().all(|&byte| byte == b'x'));
        }
    });
}

fn a_flood_of_connections(env: &Env) {
    env.run(async {
        let (ignored, served) = (listener().await, Rc::new(listener().await));
        let (addr, honest) = (ignored.local_addr().unwrap(), served.local_addr().unwrap());
        assert!(futures::poll!(Box::pin(ignored.accept())).is_pending());
        drop(spawn(serve(served)));
        let before = crate::machine::sockets();
        let mut clients = Vec::new();
        for _ in 0..500 {
            clients.push(TcpStream::connect(addr).await.unwrap());
        }
        sleep(Duration::from_millis(5)).await;
        let accepted = crate::machine::sockets() - before - clients.len();
        assert!(accepted <= 500 / 2, "{accepted} connections accepted that nobody takes");
        is_served(&mut TcpStream::connect(honest).await.unwrap()).await;
    });
}

fn a_storm_of_resets(env: &Env) {
    env.run(async {
        let listener = Rc::new(listener().await);
        let addr = listener.local_addr().unwrap();
        drop(spawn(serve(listener)));
        for round in 0..300u32 {
            let mut client = TcpStream::connect(addr).await.unwrap();
            if round % 2 == 0 {
                client.write_all(&[0; 1000]).await.unwrap();
            }
            if round % 3 == 0 {
                yield_now().await;
            }
            reset(client);
        }
        is_served(&mut TcpStream::connect(addr).await.unwrap()).await;
    });
}
