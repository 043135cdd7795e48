//! The phases of a step, in their order.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::op::Outcome;
use runtime_core::reactor::Wait;
use runtime_core::sleep::Sleep;
use runtime_core::{Config, spawn, yield_now};

use crate::script::Script;
use crate::support::{accepted, listener, poll_once, read, stream, wait_with};

#[test]
fn a_step_settles_takes_a_turn_hands_out_hears_others_looks_at_the_clock_and_polls() {
    let script = Script::default();
    let runtime = script.runtime(4);
    let stream = runtime.block_on(stream(&script));
    let listener = runtime.block_on(async { listener() });
    assert!(poll_once(poll_fn(|cx| listener.poll_accept(cx))).is_pending());
    let (log, told) = (script.clone(), Arc::new(Mutex::new(None)));
    let waker = Arc::clone(&told);
    runtime.block_on(async move {
        let [arrived, told_by_thread, due] = [log.clone(), log.clone(), log.clone()];
        // Spawned in another order than they are to run in.
        spawn(async move {
            Sleep::until(due.now().saturating_add(Duration::from_secs(1))).await;
            due.log("due");
        });
        spawn(async move {
            wait_with(|waker| *told.lock().unwrap() = Some(waker)).await;
            told_by_thread.log("told by a thread");
        });
        spawn(async move {
            read(&stream).await.unwrap();
            arrived.log("arrived");
        });
    });
    while runtime.step() == Wait::No {}
    // More connections than a listener keeps, so it pauses: in the settling before a turn.
    for _ in 0..65 {
        script.bring("accept", Outcome::Fd(script.open_one()), None);
    }
    runtime.step();
    script.receive(b"bytes");
    script.pass(Duration::from_secs(1));
    let waker = waker.lock().unwrap().take().expect("it waits");
    thread::spawn(move || waker.wake()).join().unwrap();
    script.take_log();
    runtime.step();
    assert_eq!(script.take_log(), "turn, cancel, arrived, told by a thread, due");
}

#[test]
fn a_step_never_waits_and_block_on_does_when_nobody_is_ready() {
    let script = Script::default();
    let runtime = script.runtime(2);
    let task = runtime.spawn(async {
        let listener = listener();
        accepted(&listener).await;
    });
    assert_eq!(runtime.step(), Wait::No, "the accept is staged");
    assert_eq!(runtime.step(), Wait::Forever);
    assert_eq!(script.take_log(), "turn, accept");
    script.while_waiting(|script| {
        script.log("waited");
        script.bring("accept", Outcome::Fd(script.open_one()), None);
    });
    runtime.block_on(task).unwrap();
    // The root is ready at first, so the first turn does not wait. What the last poll staged is performed at the end.
    assert_eq!(script.take_log(), "turn, turn that waits, waited, turn, close, cancel, close");
}

#[test]
fn a_wait_is_as_long_as_the_next_timer_allows() {
    let script = Script::default();
    let runtime = script.runtime(2);
    runtime.block_on(Sleep::after(Duration::from_secs(3600)));
    assert_eq!(script.take_log(), "turn that waits a while");
    assert!(script.now() >= Nanos(3_600_000_000_000));
}

#[test]
fn there_is_no_turn_when_there_is_nothing_to_do() {
    let script = Script::default();
    let runtime = script.runtime(2);
    runtime.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    assert_eq!(runtime.step(), Wait::Forever);
    drop(runtime);
    assert_eq!(script.take_log(), "reactor dropped");
}

#[test]
fn what_arrived_is_handed_out_before_what_was_sent() {
    let script = Script::default();
    let runtime = script.runtime(4);
    let log = script.clone();
    runtime.block_on(async move {
        let (one, other) = (stream(&log).await, stream(&log).await);
        let (reader, writer) = (log.clone(), log);
        spawn(async move {
            // Another task is ready, so this is staged.
            one.write_all(b"sent").await.unwrap();
            writer.log("writer");
        });
        spawn(async move {
            read(&other).await.unwrap();
            reader.log("reader");
        });
    });
    while runtime.step() == Wait::No {}
    assert_eq!(script.under_way(), ["write", "receive"]);
    script.end("write", Ok(Outcome::Count(4)));
    script.receive(b"bytes");
    script.take_log();
    runtime.step();
    assert_eq!(script.take_log(), "turn, reader, writer");
}

#[test]
fn a_batch_of_polls_has_an_end_and_a_turn_follows() {
    let script = Script::default();
    let runtime = script.runtime_with(Config { polls_per_step: 3, ..Config::default() });
    let task = runtime.spawn(async {
        let listener = listener();
        accepted(&listener).await;
    });
    runtime.step();
    let counter = script.clone();
    runtime.spawn(async move {
        for n in 0..5 {
            counter.log(n.to_string());
            yield_now().await;
        }
    });
    script.take_log();
    assert_eq!(runtime.step(), Wait::No);
    assert_eq!(script.take_log(), "turn, accept, 0, 1, 2");
    assert_eq!(runtime.step(), Wait::Forever);
    assert_eq!(script.take_log(), "turn, 3, 4");
    assert!(!task.is_finished());
}
