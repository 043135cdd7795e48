//! Writes beside others, dropped at any time, to peers that read slowly, on kernels that refuse: each arrives once, whole, or
//! as far as it had come when it was dropped.

use std::env;
use std::pin::pin;
use std::process::{Command, Stdio};

use carhop::net::TcpStream;
use carhop::{JoinHandle, spawn, yield_now};
use futures::future::{Either, select};
use socket2::SockRef;

use super::support::{join_all, pair, read_to_end};
use super::{Env, trials};

trials![arrive_once: Descriptors, arrive_once_though_the_kernel_refuses: Exec];

/// A small generator of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The bytes of the `number`th write: they are told from those of the writes around it, and none is repeated.
fn bytes(number: usize, len: usize) -> Vec<u8> {
    let class = (number % 8) as u8;
    (0..len).map(|place| class << 5 | (place % 32) as u8).collect()
}

/// A write that was begun.
struct Written {
    bytes: Vec<u8>,
    /// Whether it was said to be over. Else it was dropped.
    is_over: bool,
}

/// Writes many times, and gives some of the writes up. Then closes the stream.
async fn write(mut stream: TcpStream, seed: u64) -> Vec<Written> {
    let mut random = Random(seed);
    let mut written = Vec::new();
    for number in 0..60 {
        // Most are copied to be staged, some are too long for that.
        let limit = if random.below(8) == 0 { 9_000 } else { 300 };
        let len = 1 + random.below(limit) as usize;
        let bytes = bytes(number, len);
        // Never eight in a row: what arrived of them could not be told apart.
        let may_be_dropped = number % 4 != 0 && random.below(2) == 0;
        let patience = if may_be_dropped { random.below(4) } else { u64::MAX };
        let is_over = if random.below(2) == 0 {
            is_in_time(stream.write_all(&bytes), patience).await
        } else {
            is_in_time(stream.write_chunk(bytes.clone().into()), patience).await
        };
        written.push(Written { bytes, is_over });
        for _ in 0..random.below(3) {
            yield_now().await;
        }
    }
    written
}

/// Whether a write is over after so many turns of the other tasks. It is dropped if not.
async fn is_in_time(write: impl Future<Output = std::io::Result<()>>, patience: u64) -> bool {
    let turns = async {
        for _ in 0..patience {
            yield_now().await;
        }
    };
    match select(pin!(write), pin!(turns)).await {
        Either::Left((result, _)) => {
            result.expect("the peer is there");
            true
        }
        Either::Right(_) => false,
    }
}

/// Looks through what arrived.
fn check(seed: u64, written: &[Written], mut arrived: &[u8]) {
    for (number, write) in written.iter().enumerate() {
        let common = arrived.iter().zip(&write.bytes).take_while(|(a, b)| a == b).count();
        assert!(common == write.bytes.len() || !write.is_over, "write {number} of {seed} is not whole");
        arrived = &arrived[common..];
    }
    assert!(
        arrived.is_empty(),
        "{} bytes of {seed} are nobody's, or came twice: {:?}",
        arrived.len(),
        &arrived[..8]
    );
}

fn arrive_once(env: &Env) {
    env.run(async {
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        for seed in 0..24 {
            let (writer, mut reader) = pair().await;
            for socket in [&writer, &reader] {
                SockRef::from(socket).set_send_buffer_size(4096).unwrap();
                SockRef::from(socket).set_recv_buffer_size(4096).unwrap();
            }
            let writing = spawn(write(writer, seed));
            tasks.push(spawn(async move {
                for _ in 0..seed {
                    yield_now().await;
                }
                let arrived = read_to_end(&mut reader).await;
                check(seed, &writing.await.unwrap(), &arrived);
            }));
        }
        join_all(tasks).await;
    });
}

/// Under strace, which has system calls fail now and then, before they do anything.
fn arrive_once_though_the_kernel_refuses(env: &Env) {
    let faults = [
        "io_uring_enter:error=EBUSY:when=20+3",
        "io_uring_enter:error=EAGAIN:when=20..80",
        "sendto:error=EAGAIN:when=2+3",
        "epoll_wait:error=EINTR:when=20+2",
    ];
    let name = format!("{}::attacks_on_writes::arrive_once", env.backend.name());
    let program = env::current_exe().expect("this program");
    for fault in faults {
        let call = fault.split(':').next().expect("a call");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", &format!("trace={call}"), "-e", &format!("inject={fault}")]);
        strace.arg(&program).args(["--exact", &name]).stdin(Stdio::null());
        let output = match strace.output() {
            Ok(output) => output,
            Err(error) => return eprintln!("skipped: strace: {error}"),
        };
        let account = String::from_utf8_lossy(&output.stderr);
        if account.contains("PTRACE_") || account.contains("ptrace(") {
            return eprintln!("skipped: {account}");
        }
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{fault}: {}:\n{said}", output.status);
    }
}
