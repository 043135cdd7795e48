//! The threads that do blocking work: when they end, when they cannot be had, and where they are not.

use std::error::Error;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use carhop::net::lookup_host;
use carhop::spawn;
use carhop::task::spawn_blocking;
use carhop::time::sleep;
use futures::poll;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::blocking::{Gate, held};
use super::misuse::{FORKED, fork};
use super::support::{OnDrop, panic_of};
use super::{Env, trials};

trials![
    threads_end_with_the_runtime,
    no_thread_to_be_had,
    no_thread_to_be_had_for_a_look_up: LookUps,
    no_further_thread_to_be_had,
    look_ups_do_not_wait_for_closures,
    in_a_forked_child,
];

/// How many threads there are for blocking work in this process.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // One that ends meanwhile has no name any more.
    let name =
        |task: io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).filter(|name| name == "carhop-blocking\n").count()
}

/// Waits until there are so many. The harness ends a trial in which that never comes.
fn wait_for_threads(count: usize) {
    while threads() != count {
        thread::sleep(Duration::from_millis(1));
    }
}

fn threads_end_with_the_runtime(env: &Env) {
    // Those of other trials.
    wait_for_threads(0);
    let runtime = env.builder().blocking_threads(5).build().unwrap();
    let gate = Gate::default();
    runtime.block_on(async {
        let mut held_up = Vec::new();
        for _ in 0..5 {
            held_up.push(held(&gate, ()).await);
        }
        let more: Vec<_> = (0..20).map(|_| spawn_blocking(|| ())).collect();
        wait_for_threads(5);
        gate.open();
        for call in held_up.into_iter().chain(more) {
            call.await.unwrap();
        }
        assert_eq!(threads(), 5);
    });
    // Idle ones at once, and the one that is busy when it is done.
    let gate = Gate::default();
    drop(runtime.block_on(held(&gate, ())));
    drop(runtime);
    wait_for_threads(1);
    gate.open();
    wait_for_threads(0);
}

/// Calls `f` on a thread that cannot start others.
fn without_threads<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(|| (refuse_threads(), f()).1).join().unwrap())
}

/// From now on, this thread gets `EAGAIN` when it starts another.
fn refuse_threads() {
    let calls = [libc::SYS_clone, libc::SYS_clone3];
    let filter = SeccompFilter::new(
        calls.map(|call| (call, Vec::new())).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EAGAIN as u32),
        std::env::consts::ARCH.try_into().expect("an architecture that seccompiler knows"),
    );
    let filter: BpfProgram = filter.and_then(SeccompFilter::try_into).expect("a valid filter");
    apply_filter(&filter).expect("the kernel takes the filter");
}

fn no_thread_to_be_had(env: &Env) {
    without_threads(|| {
        env.run(async {
            for _ in 0..3 {
                let (sender, dropped) = mpsc::channel();
                let guard = OnDrop(move || sender.send(()).unwrap());
                let call = spawn_blocking(move || drop(guard));
                let error = call.await.unwrap_err();
                assert!(dropped.try_recv().is_ok());
                assert!(error.is_refused() && !error.is_cancelled() && !error.is_panic());
                let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
                assert_eq!(source.raw_os_error(), Some(libc::EAGAIN));
                let text = error.to_string();
                assert!(text.starts_with("no thread can be started for blocking work: "), "{text}");
                let error = io::Error::from(error);
                assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::WouldBlock, text));
            }
            // Nothing else is the worse for it.
            spawn(sleep(Duration::from_micros(1))).await.unwrap();
        });
    });
}

fn no_thread_to_be_had_for_a_look_up(env: &Env) {
    without_threads(|| {
        env.run(async {
            let error = lookup_host("localhost:1").await.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(error.to_string().starts_with("host `localhost`: no thread can be started"), "{error}");
        });
    });
}

fn no_further_thread_to_be_had(env: &Env) {
    let env = *env;
    // On a thread of its own, which refuses threads from some moment on.
    let trial = move || {
        env.run(async {
            let gate = Gate::default();
            let first = held(&gate, ()).await;
            refuse_threads();
            // They wait for the only thread there is.
            let mut others: Vec<_> = (0..20).map(|n| spawn_blocking(move || n)).collect();
            assert!(poll!(&mut others[19]).is_pending());
            assert!(others.iter().all(|call| !call.is_finished()));
            gate.open();
            first.await.unwrap();
            for (n, call) in others.into_iter().enumerate() {
                assert_eq!(call.await.unwrap(), n);
            }
        });
    };
    thread::spawn(trial).join().unwrap();
}

fn look_ups_do_not_wait_for_closures(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let gate = Gate::default();
        let first = held(&gate, ()).await;
        let mut given_up = Box::pin(lookup_host("localhost:1"));
        let mut waiting = Box::pin(lookup_host("localhost:2"));
        assert!(poll!(&mut given_up).is_pending() && poll!(&mut waiting).is_pending());
        drop(given_up);
        // The only thread for closures is held all the while.
        assert!(waiting.await.unwrap().all(|addr| addr.port() == 2));
        gate.open();
        first.await.unwrap();
    });
}

fn in_a_forked_child(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let gate = Gate::default();
        let (running, queued) = (held(&gate, ()).await, spawn_blocking(|| ()));
        // SAFETY: only children call this, which end before their parent's handles are dropped as well.
        let in_child = || unsafe { (ptr::read(&running), ptr::read(&queued)) };
        let code = fork(|| {
            let (mut running, queued) = in_child();
            let polled = panic_of(|| futures::executor::block_on(&mut running));
            let called = panic_of(|| spawn_blocking(|| ()));
            queued.abort();
            if polled == FORKED && called == FORKED && !queued.is_finished() { 7 } else { 1 }
        });
        assert_eq!(code, 7);

        // Locks may be held, when the child is made, by a thread that is not there. So the child takes none.
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let _stop = OnDrop(|| stop.store(true, Ordering::Relaxed));
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    (0..100).for_each(|_| assert!(!running.is_finished()));
                }
            });
            for _ in 0..50 {
                assert_eq!(fork(|| (drop(in_child()), 7).1), 7);
            }
        });
        gate.open();
        running.await.unwrap();
        queued.await.unwrap();
    });
}
