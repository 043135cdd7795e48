//! Attempts to make a runtime unsound, or to have it leak: what once worked, and must not again.
//!
//! What they do to their process, they do to one of their own.

use std::env;
use std::fs::{self, File};
use std::future::pending;
use std::net::TcpListener as StdListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use carhop::incident::Incident;
use carhop::net::TcpStream;
use carhop::{Backend, JoinHandle, Runtime, spawn, yield_now};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::support::{Count, OnDrop, pair, panic_quietly, promptly};
use super::{Env, trials};
use crate::machine;

trials![
    reports_that_cannot_be_written: Exec,
    reports_without_a_stderr: Exec,
    a_kernel_that_refuses_everything_at_the_end: Exec,
    receive_buffers_that_cannot_be,
    receive_buffers_beyond_a_limit_of_memory: Exec,
    a_panic_of_a_runtime_that_is_gone: Exec,
    descriptors_lent_by_sockets_whose_runtime_ends: Descriptors,
];

/// Set in the process that a trial has of its own.
const ALONE: &str = "CARHOP_TRIAL_ALONE";

/// Runs `body` in a process of its own, which runs the trial of that name and nothing else. Returns what it says on stderr,
/// if that is a pipe; nothing in that process itself.
fn alone(env: &Env, name: &str, stderr: impl Into<Stdio>, body: impl FnOnce()) -> Option<String> {
    if env::var_os(ALONE).is_some() {
        body();
        return None;
    }
    let name = format!("{}::attacks::{name}", env.backend.name());
    let program = env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", &name]).env(ALONE, "1").stdin(Stdio::null()).stderr(stderr);
    let output = command.output().expect("this program runs again");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{}:\n{said}", output.status);
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A file that never has room.
fn full() -> File {
    File::options().write(true).open("/dev/full").expect("/dev/full")
}

/// Tasks that wait for bytes, each on a connection that it owns both ends of. They count their drops.
fn readers(runtime: &Runtime, drops: &Count) {
    runtime.block_on(async {
        for _ in 0..READERS {
            let (mut reader, peer) = pair().await;
            let drops = drops.clone();
            spawn(async move {
                let _guard = OnDrop(|| drops.add());
                reader.read(&mut [0; 1]).await.unwrap();
                drop(peer);
            });
        }
        yield_now().await;
        yield_now().await;
    });
}

const READERS: usize = 10;

/// Its drop spawns another one.
struct Hydra;

impl Drop for Hydra {
    fn drop(&mut self) {
        let next = Hydra;
        drop(spawn(async move { drop(next) }));
    }
}

/// Drops a runtime that has something to report while it is dropped.
fn drop_with_a_report(env: &Env, before: impl FnOnce()) {
    let drops = Count::default();
    let runtime = env.runtime();
    let sockets = machine::sockets();
    readers(&runtime, &drops);
    let hydra = Hydra;
    drop(runtime.spawn(async move {
        let _hydra = hydra;
        pending::<()>().await
    }));
    before();
    promptly(|| drop(runtime));
    assert_eq!((drops.get(), machine::sockets()), (READERS, sockets));
}

fn reports_that_cannot_be_written(env: &Env) {
    alone(env, "reports_that_cannot_be_written", full(), || drop_with_a_report(env, || ()));
}

fn reports_without_a_stderr(env: &Env) {
    alone(env, "reports_without_a_stderr", Stdio::null(), || {
        // SAFETY: it is a number, which nobody owns; whoever writes there is told so.
        drop_with_a_report(env, || assert_eq!(unsafe { libc::close(2) }, 0));
    });
}

/// From now on, this thread gets an error where it would turn to the kernel for what has come.
fn refuse_turns() {
    let calls = [
        libc::SYS_io_uring_enter,
        libc::SYS_epoll_pwait2,
        libc::SYS_epoll_pwait,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
    ];
    let filter = SeccompFilter::new(
        calls.map(|call| (call, Vec::new())).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EBADF as u32),
        env::consts::ARCH.try_into().expect("an architecture that seccompiler knows"),
    );
    let filter: BpfProgram = filter.and_then(SeccompFilter::try_into).expect("a valid filter");
    apply_filter(&filter).expect("the kernel takes the filter");
}

/// The runtime cannot end what is under way, nor say so. What was queued must not be made later, of memory that somebody
/// else has by then.
fn a_kernel_that_refuses_everything_at_the_end(env: &Env) {
    if env.backend == Backend::Uring {
        // A close goes through the ring there, and one that the kernel never took leaves its descriptor open. What
        // becomes of memory is a matter of the reactor's own tests.
        return;
    }
    alone(env, "a_kernel_that_refuses_everything_at_the_end", full(), || {
        thread::scope(|scope| scope.spawn(|| drop_without_a_kernel(env)).join()).expect("no panic");
    });
}

fn drop_without_a_kernel(env: &Env) {
    let [meant, other] = [(); 2].map(|()| StdListener::bind("127.0.0.1:0").expect("a port"));
    let sockets = machine::sockets();
    let drops = Count::default();
    let runtime = env.runtime();
    readers(&runtime, &drops);
    let (addr, dropped) = (meant.local_addr().unwrap(), drops.clone());
    drop(runtime.spawn(async move {
        let _guard = OnDrop(|| dropped.add());
        drop(TcpStream::connect(addr).await);
        pending::<()>().await
    }));
    // It stages the connect, and no turn that performs it follows.
    runtime.step();
    refuse_turns();
    promptly(|| drop(runtime));
    assert_eq!((drops.get(), machine::sockets()), (READERS + 1, sockets));
    // Other addresses take the places of what was freed.
    let _others: Vec<_> = (0..1000).map(|_| Box::new(other.local_addr().unwrap())).collect();
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err(), "somebody was connected to somewhere else");
}

fn receive_buffers_that_cannot_be(env: &Env) {
    // More than an address space holds; more than one receive can fill; none.
    for (count, len) in [(u16::MAX, u32::MAX as usize), (1, usize::MAX), (1, 1 << 32), (0, 1), (1, 0)] {
        let error = env.builder().receive_buffers(count, len).build().expect_err("it cannot be");
        assert!(error.to_string().contains(&format!("{count} receive buffers of {len} bytes")), "{error}");
    }
}

fn receive_buffers_beyond_a_limit_of_memory(env: &Env) {
    alone(env, "receive_buffers_beyond_a_limit_of_memory", Stdio::null(), || {
        let limit = libc::rlimit { rlim_cur: 64 << 30, rlim_max: 64 << 30 };
        // SAFETY: the kernel only reads `limit`.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        for _ in 0..10 {
            let error = env.builder().receive_buffers(128, 1 << 30).build().expect_err("the limit is lower");
            assert!(error.to_string().ends_with("the system has not so much memory"), "{error}");
        }
        // And there is enough for less.
        let runtime = env.builder().receive_buffers(128, 1 << 20).build().expect("it fits");
        runtime.block_on(async {
            let (mut here, mut there) = pair().await;
            here.write_all(b"received").await.unwrap();
            there.read_exact(&mut [0; 8]).await.unwrap();
        });
    });
}

/// The number of a runtime is given to the next one. Its panics are not.
fn a_panic_of_a_runtime_that_is_gone(env: &Env) {
    let said = alone(env, "a_panic_of_a_runtime_that_is_gone", Stdio::piped(), || {
        let told = Arc::new(AtomicUsize::new(0));
        let runtime = |told: &Arc<AtomicUsize>| {
            let told = Arc::clone(told);
            let hook = move |_: &Incident<'_>| {
                told.fetch_add(1, Ordering::Relaxed);
            };
            env.builder().on_incident(hook).build().expect("a runtime")
        };
        let first = runtime(&told);
        let task = first.spawn(async { panic_quietly("of the first") });
        first.block_on(yield_now());
        drop(first);
        let second = runtime(&told);
        drop::<JoinHandle<()>>(task);
        second.block_on(yield_now());
        assert_eq!(told.load(Ordering::Relaxed), 0);
    });
    if let Some(said) = said {
        assert!(said.contains("panicked, and nobody has its handle: of the first"), "{said}");
    }
}

/// What is borrowed from a socket is the socket's for as long, whatever becomes of the runtime.
fn descriptors_lent_by_sockets_whose_runtime_ends(env: &Env) {
    let name = |fd: BorrowedFd<'_>| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).expect("open");
    let runtime = env.runtime();
    let (near, far) = runtime.block_on(pair());
    let lent = near.as_fd();
    let before = name(lent);
    drop(runtime);
    // These take whatever numbers are free.
    let _others: Vec<_> = (0..100).map(|_| File::open("/dev/null").expect("a descriptor")).collect();
    assert_eq!(name(lent), before);
    assert!(name(far.as_fd()).to_string_lossy().starts_with("socket:"), "lent for the first time");
}
