//! Blocking work that nobody waits for, that panics, and whose runtime ends.

use std::future::pending;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use carhop::task::spawn_blocking;
use carhop::time::sleep;
use carhop::{spawn, yield_now};
use futures::channel::oneshot;

use super::blocking::{Gate, held};
use super::support::{OnDrop, cancelled, panic_quietly, promptly, text_of};
use super::{Env, trials};

trials![
    detached,
    panics_are_returned,
    panics_that_nobody_asks_for,
    panics_of_drops_are_contained,
    what_has_not_begun_ends_with_the_runtime,
    what_runs_outlives_the_runtime,
    from_the_drops_of_tasks,
];

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

fn panics_that_nobody_asks_for(env: &Env) {
    let reports: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&reports);
    let builder = env.builder().on_incident(move |incident| told.lock().unwrap().push(incident.to_string()));
    builder.build().unwrap().block_on(async {
        let told = async |times| {
            while reports.lock().unwrap().len() < times {
                sleep(Duration::from_micros(10)).await;
            }
        };
        // The handle goes first.
        let (end, wait) = mpsc::channel::<()>();
        drop(spawn_blocking(move || {
            let _ = wait.recv();
            panic_quietly("early")
        }));
        drop(end);
        told(1).await;
        // The panic comes first.
        let call = spawn_blocking(|| panic_quietly("late"));
        while !call.is_finished() {
            sleep(Duration::from_micros(10)).await;
        }
        drop(call);
        told(2).await;
        // Somebody hears of it.
        let error = spawn_blocking(|| panic_quietly("heard")).await.map(|_: ()| ()).unwrap_err();
        assert!(error.is_panic());
        yield_now().await;
    });
    let expected = ["early", "late"].map(|text| format!("blocking work panicked: {text}"));
    assert_eq!(*reports.lock().unwrap(), expected);
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
