//! Blocking work that nobody waits for, that panics, that no thread can be had for, and that outlives its runtime.

use std::error::Error;
use std::future::pending;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use carhop::net::lookup_host;
use carhop::task::spawn_blocking;
use carhop::time::sleep;
use carhop::{spawn, yield_now};
use futures::channel::oneshot;
use futures::poll;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::blocking::{Gate, held};
use super::misuse::{FORKED, fork};
use super::support::{OnDrop, cancelled, panic_of, panic_quietly, promptly, text_of};
use super::{Env, trials};

trials!(
    detached,
    panics_are_returned,
    panics_of_drops_are_contained,
    what_has_not_begun_ends_with_the_runtime,
    what_runs_outlives_the_runtime,
    from_the_drops_of_tasks,
    threads_end_with_the_runtime,
    no_thread_to_be_had,
    no_further_thread_to_be_had,
    look_ups_share_the_threads,
    in_a_forked_child,
);

fn detached(env: &Env) {
    env.run(async {
        let gate = Gate::default();
        let (sender, mut dropped) = oneshot::channel();
        let mut sender = Some(sender);
        let value = OnDrop(move || sender.take().unwrap().send(thread::current().id()).unwrap());
        drop(held(&gate, value).await);
        assert!(dropped.try_recv().unwrap().is_none());
        gate.open();
        // Its value is nobody's, so it is dropped where it was made.
        assert_ne!(dropped.await.unwrap(), thread::current().id());

        // The same with one that waits in the queue.
        let (sender, called) = oneshot::channel();
        drop(spawn_blocking(move || sender.send("called").unwrap()));
        assert_eq!(called.await.unwrap(), "called");
    });
}

fn panics_are_returned(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let worker = spawn_blocking(|| thread::current().id()).await.unwrap();
        for _ in 0..100 {
            let error = spawn_blocking(|| panic_quietly("no luck")).await.map(|_: ()| ()).unwrap_err();
            assert!(error.is_panic() && !error.is_cancelled() && !error.is_refused());
            assert_eq!(error.to_string(), "the task panicked: no luck");
            assert_eq!(text_of(&*error.into_panic().unwrap()), "no luck");
        }
        assert_eq!(spawn_blocking(|| thread::current().id()).await.unwrap(), worker);
    });
}

/// Panics when it is dropped, and so does what it panics with, once.
struct Rude(u32);

impl Drop for Rude {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::resume_unwind(Box::new(Rude(self.0 - 1)));
        }
    }
}

fn panics_of_drops_are_contained(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let worker = spawn_blocking(|| thread::current().id()).await.unwrap();
        for _ in 0..20 {
            let captured = Rude(1);
            let error = spawn_blocking(move || _ = &captured).await.unwrap_err();
            assert!(error.into_panic().unwrap().is::<Rude>());
            // Values and payloads that nobody takes.
            let gate = Gate::default();
            drop(held(&gate, Rude(2)).await);
            drop(spawn_blocking(|| std::panic::resume_unwind(Box::new(Rude(2)))));
            // This one waits behind them, and its drop panics here.
            let captured = Rude(2);
            let never = spawn_blocking(move || _ = &captured);
            never.abort();
            assert!(never.await.unwrap_err().into_panic().map(std::mem::forget).is_some());
            gate.open();
            let done = spawn_blocking(|| Rude(2));
            while !done.is_finished() {
                yield_now().await;
            }
            drop(done);
        }
        assert_eq!(spawn_blocking(|| thread::current().id()).await.unwrap(), worker);
    });
}

fn what_has_not_begun_ends_with_the_runtime(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    let gate = Gate::default();
    let (sender, dropped) = mpsc::channel();
    let call = |name: u32| {
        let sender = sender.clone();
        let guard = OnDrop(move || sender.send((name, thread::current().id())).unwrap());
        spawn_blocking(move || drop(guard))
    };
    let (running, kept) = runtime.block_on(async {
        let running = held(&gate, ()).await;
        let kept = call(1);
        drop(call(2));
        drop(spawn(call(3)));
        yield_now().await;
        (running, kept)
    });
    promptly(|| drop(runtime));
    let here = thread::current().id();
    assert_eq!(dropped.try_iter().collect::<Vec<_>>(), [(1, here), (2, here), (3, here)]);
    assert!(kept.is_finished() && !running.is_finished());
    assert!(cancelled(futures::executor::block_on(kept)));
    gate.open();
}

fn what_runs_outlives_the_runtime(env: &Env) {
    let runtime = env.runtime();
    let gate = Gate::default();
    let (sender, dropped) = mpsc::channel();
    let (kept, other) = runtime.block_on(async {
        let kept = held(&gate, "kept").await;
        let call = held(&gate, OnDrop(move || sender.send(thread::current().id()).unwrap())).await;
        // Its handle goes with the task.
        drop(spawn(async move {
            let _call = call;
            pending::<()>().await
        }));
        (kept, held(&gate, "another").await)
    });
    promptly(|| drop(runtime));
    assert!(dropped.try_recv().is_err() && !kept.is_finished());
    gate.open();
    assert_eq!(futures::executor::block_on(kept).unwrap(), "kept");
    // In another runtime, too.
    assert_eq!(env.run(other).unwrap(), "another");
    assert_ne!(dropped.recv().unwrap(), thread::current().id());
}

fn from_the_drops_of_tasks(env: &Env) {
    let runtime = env.runtime();
    let (sender, results) = mpsc::channel();
    let _task = runtime.spawn(async move {
        let _guard = OnDrop(|| {
            let call = spawn_blocking(|| unreachable!("nothing begins any more"));
            sender.send(cancelled::<()>(futures::executor::block_on(call))).unwrap();
        });
        pending::<()>().await
    });
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(results.try_iter().collect::<Vec<_>>(), [true]);
}

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
                assert!(call.is_finished() && dropped.try_recv().is_ok());
                let error = call.await.unwrap_err();
                assert!(error.is_refused() && !error.is_cancelled() && !error.is_panic());
                let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
                assert_eq!(source.raw_os_error(), Some(libc::EAGAIN));
                let text = error.to_string();
                assert!(text.starts_with("no thread can be started for blocking work: "), "{text}");
                let error = io::Error::from(error);
                assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::WouldBlock, text));
            }
            let error = lookup_host("localhost:1").await.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(error.to_string().starts_with("host `localhost`: no thread can be started"), "{error}");
            // Nothing else is the worse for it.
            spawn(sleep(Duration::from_micros(1))).await.unwrap();
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

fn look_ups_share_the_threads(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let gate = Gate::default();
        let first = held(&gate, ()).await;
        let mut given_up = Box::pin(lookup_host("localhost:1"));
        let mut waiting = Box::pin(lookup_host("localhost:2"));
        assert!(poll!(&mut given_up).is_pending() && poll!(&mut waiting).is_pending());
        drop(given_up);
        gate.open();
        first.await.unwrap();
        assert!(waiting.await.unwrap().all(|addr| addr.port() == 2));
    });
}

fn in_a_forked_child(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    let gate = Gate::default();
    let mut kept = runtime.block_on(async { Some((held(&gate, ()).await, spawn_blocking(|| ()))) });
    runtime.block_on(async {
        // The locks of what was forked may be held by threads that are not there. So they are not taken.
        let code = fork(|| {
            let (mut running, queued) = kept.take().unwrap();
            let polled = panic_of(|| futures::executor::block_on(&mut running));
            let called = panic_of(|| spawn_blocking(|| ()));
            queued.abort();
            let unfinished = !queued.is_finished();
            drop((running, queued));
            if polled == FORKED && called == FORKED && unfinished { 7 } else { 1 }
        });
        assert_eq!(code, 7);
        gate.open();
        let (running, queued) = kept.take().unwrap();
        running.await.unwrap();
        queued.await.unwrap();
    });
}
