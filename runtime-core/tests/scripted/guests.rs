//! A host's loop that drives the runtime step by step, and sleeps in between.

use std::future::poll_fn;
use std::thread;
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::op::Outcome;
use runtime_core::reactor::Wait;
use runtime_core::sleep::Sleep;
use runtime_core::{Config, yield_now};

use crate::script::Script;
use crate::support::{accepted, listener, poll_once, stream};

#[test]
fn a_host_may_rest_until_the_next_timer() {
    let script = Script::default();
    let runtime = script.runtime(2);
    assert_eq!(runtime.step(), Wait::Forever);
    runtime.spawn(Sleep::until(Nanos(7)));
    assert_eq!(runtime.step(), Wait::Until(Nanos(7)));
    script.pass(Duration::from_nanos(7));
    assert_eq!(runtime.step(), Wait::Forever);
}

#[test]
fn a_host_may_not_rest_while_something_is_staged_or_ready_or_came() {
    let script = Script::default();
    let runtime = script.runtime_with(Config { polls_per_step: 1, ..Config::default() });
    runtime.spawn(yield_now());
    assert_eq!(runtime.step(), Wait::No, "a task is ready");
    assert_eq!(runtime.step(), Wait::Forever);
    let accepting = runtime.spawn(async { drop(accepted(&listener()).await) });
    assert_eq!(runtime.step(), Wait::No, "an accept is staged");
    assert_eq!(runtime.step(), Wait::Forever);
    script.bring("accept", Outcome::Fd(script.open_one()), None);
    assert!(!accepting.is_finished());
    assert_eq!(runtime.step(), Wait::No, "the listener and the connection are to be closed");
    assert!(accepting.is_finished());
    assert_eq!((runtime.step(), script.open_descriptors()), (Wait::Forever, 0));
}

#[test]
fn what_another_thread_calls_a_host_with_is_taken_from_the_reactor() {
    let script = Script::default();
    let runtime = script.runtime(2);
    let handle = runtime.handle();
    assert_eq!(runtime.step(), Wait::Forever);
    thread::spawn(move || handle.post(|| ()).unwrap()).join().unwrap();
    assert_eq!((script.unparks(), script.take_log().as_str()), (1, ""));
    // The descriptor is readable from now on, until there is a turn.
    runtime.step();
    assert_eq!(script.take_log(), "turn");
}

#[test]
fn a_host_that_rests_leaves_no_chunk_with_a_stream_that_nobody_reads() {
    let script = Script::default();
    let runtime = script.runtime(1);
    let stream = runtime.block_on(stream(&script));
    assert!(poll_once(poll_fn(|cx| stream.poll_read(cx, &mut [0; 8]))).is_pending());
    while runtime.step() != Wait::Forever {}
    script.receive(b"unread");
    assert_eq!(script.free_chunks(), 0);
    while runtime.step() != Wait::Forever {}
    assert_eq!(script.free_chunks(), 1, "another stream may wait for it");
}

#[test]
fn a_loop_that_spins_goes_to_sleep_also_where_time_stands_still_until_then() {
    let script = Script::default();
    let spin_before_sleep = Duration::from_micros(50);
    let runtime = script.runtime_with(Config { spin_before_sleep, ..Config::default() });
    runtime.block_on(Sleep::until(Nanos(1_000_000)));
    assert_eq!(script.now(), Nanos(1_000_000));
}
