//! Reactors that panic, fail, or break the contract. A runtime may panic then, but it can be used again, and dropped.

use std::rc::Rc;

use runtime_core::op::{Completion, Outcome, Token};
use runtime_core::reactor::Wait;
use runtime_core::{Config, operations_ended};

use crate::script::{Manners, Script};
use crate::support::{accepted, counted, listener, panic_of, poll_once, read, stream};

#[test]
fn a_runtime_goes_on_after_a_turn_that_panicked() {
    let script = Script::default();
    let runtime = script.runtime(2);
    let text = panic_of(|| {
        runtime.block_on(async {
            let _listener = listener();
            script.behave(Manners::Panics);
            accepted(&_listener).await;
        })
    });
    assert_eq!(text, "the reactor panics");
    assert!(panic_of(|| runtime.step()).contains("the reactor panics"), "what was staged is still there");
    script.behave(Manners::Kept);
    runtime.block_on(async {
        let stream = stream(&script).await;
        let receiver = script.clone();
        script.while_waiting(move |_| receiver.receive(b"bytes"));
        assert_eq!(read(&stream).await.unwrap(), b"bytes");
    });
    drop(runtime);
    assert_eq!(script.open_descriptors(), 0);
}

#[test]
fn a_runtime_is_dropped_whole_though_each_turn_panics() {
    for manners in [Manners::Panics, Manners::Fails, Manners::Idles] {
        let script = Script::default();
        let (owned, owners) = counted();
        let text = panic_of(|| {
            // Dropped by the panic itself: a second panic would end the process.
            let runtime = script.runtime(2);
            let (one, other) = runtime.block_on(async { (stream(&script).await, stream(&script).await) });
            runtime.spawn(async move {
                let _owned = owned;
                read(&one).await.unwrap();
            });
            runtime.spawn(async move { read(&other).await });
            while runtime.step() == Wait::No {}
            let _closed_within_the_panic = runtime.block_on(async { [listener(), listener()] });
            script.behave(manners);
            panic!("a panic of the program")
        });
        assert_eq!(text, "a panic of the program");
        assert_eq!(owners(), 0, "the tasks are dropped");
        assert!(script.take_log().ends_with("reactor dropped"));
    }
}

#[test]
fn a_socket_that_is_dropped_between_two_runs_brings_no_panic_of_the_reactor() {
    let script = Script::default();
    let runtime = script.runtime(2);
    let listeners = runtime.block_on(async { [listener(), listener()] });
    script.behave(Manners::Panics);
    drop(listeners);
    script.behave(Manners::Kept);
    runtime.block_on(operations_ended());
    assert_eq!(script.open_descriptors(), 0);
}

#[test]
fn a_completion_that_is_nobodys_is_a_panic_and_no_more() {
    for forged in [Token::new(0, 0), Token::new(7, 7), Token::new(u32::MAX, 0)] {
        let script = Script::default();
        let runtime = script.runtime(2);
        let task = runtime.spawn(async { drop(accepted(&listener()).await) });
        runtime.step();
        runtime.step();
        script.report(Completion::last(forged, Ok(Outcome::Done)));
        script.bring("accept", Outcome::Fd(script.open_one()), None);
        assert!(panic_of(|| runtime.step()).contains("which is not under way"));
        runtime.block_on(task).unwrap();
        drop(runtime);
        assert_eq!(script.open_descriptors(), 0);
    }
}

#[test]
fn results_that_do_not_fit_their_operation_are_panics_and_no_more() {
    let bring: [fn(&Script); 3] = [
        |script| script.bring("receive", Outcome::Count(1 << 40), None),
        |script| script.bring("receive", Outcome::Fd(script.open_one()), None),
        |script| script.report(Completion::last(script.token("receive"), Ok(Outcome::Count(7)))),
    ];
    for bring in bring {
        let script = Script::default();
        let runtime = script.runtime(2);
        let stream = Rc::new(runtime.block_on(stream(&script)));
        assert!(poll_once(read(&stream)).is_pending());
        runtime.step();
        bring(&script);
        assert!(panic_of(|| runtime.step()).contains("a receive brought"));
        drop(stream);
        runtime.block_on(operations_ended());
        drop(runtime);
        assert_eq!(script.open_descriptors(), 0);
    }
}

#[test]
fn whoever_waits_for_the_end_of_operations_does_not_wait_for_one_whose_end_made_no_sense() {
    let script = Script::default();
    let runtime = script.runtime(2);
    let stream = runtime.block_on(stream(&script));
    assert!(poll_once(read(&stream)).is_pending());
    runtime.step();
    script.behave(Manners::Deaf);
    drop(stream);
    script.behave(Manners::Kept);
    script.end("receive", Ok(Outcome::Count(7)));
    script.end("close", Ok(Outcome::Done));
    assert!(panic_of(|| runtime.step()).contains("a receive brought"));
    runtime.block_on(operations_ended());
}

#[test]
fn a_pool_that_cannot_be_is_refused_and_the_reactor_is_dropped() {
    let script = Script::default();
    let reactor = script.reactor();
    let config = Config { pool_chunks: u16::MAX, chunk_len: u32::MAX as usize, ..Config::default() };
    let error = runtime_core::Runtime::new(reactor, &config).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
    assert_eq!(script.take_log(), "reactor dropped");
}
