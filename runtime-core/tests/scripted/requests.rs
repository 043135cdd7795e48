//! Operations with one result, and what becomes of what they bring when nobody takes it.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;

use runtime_core::address::SockAddr;
use runtime_core::errno::Errno;
use runtime_core::fs::{self, File};
use runtime_core::op::{Completion, Outcome};
use runtime_core::reactor::Wait;
use runtime_core::resolve::resolve;
use runtime_core::socket::connect;
use runtime_core::{operations_ended, spawn, yield_now};

use crate::script::{Manners, Script};
use crate::support::{accepted, listener, open, panic_of, poll_once};

fn somewhere() -> SockAddr {
    SockAddr::Inet(([127, 0, 0, 1], 7).into())
}

#[test]
fn a_request_that_is_dropped_is_cancelled() {
    let script = Script::default();
    script.runtime_of_single_polls().block_on(async {
        let task = spawn(resolve("example.net".to_owned(), 80));
        yield_now().await;
        yield_now().await;
        assert_eq!(script.under_way(), ["resolve"]);
        task.abort();
        script.take_log();
        operations_ended_after_aborting().await;
        assert!(script.take_log().ends_with("turn, cancel"));
        assert!(script.under_way().is_empty(), "{:?}", script.under_way());
    });
}

/// The abort itself takes a poll.
async fn operations_ended_after_aborting() {
    yield_now().await;
    operations_ended().await;
}

#[test]
fn a_request_that_is_dropped_after_its_result_came_is_not_missed_by_anybody() {
    let script = Script::default();
    script.runtime_of_single_polls().block_on(async {
        {
            let mut look_up = pin!(resolve("example.net".to_owned(), 80));
            assert!(poll_fn(|cx| std::task::Poll::Ready(look_up.as_mut().poll(cx))).await.is_pending());
            yield_now().await;
            script.end("resolve", Err(Errno::ENOENT));
            yield_now().await;
        }
        // The cancel names an operation that is over.
        yield_now().await;
        assert!(script.take_log().ends_with("cancel"));
        assert_eq!(resolved(&script).await, Errno::EIO.number());
    });
}

/// A look-up that fails so is not confused with one before.
async fn resolved(script: &Script) -> i32 {
    let ender = script.clone();
    script.while_waiting(move |_| ender.end("resolve", Err(Errno::EIO)));
    resolve("example.net".to_owned(), 80).await.unwrap_err().raw_os_error().expect("a number")
}

#[test]
fn a_descriptor_that_comes_for_nobody_is_closed() {
    let script = Script::default();
    let runtime = script.runtime_of_single_polls();
    // Of a file that is opened though the open was given up.
    let opening = runtime.spawn(async { File::open(Path::new("file")).await });
    runtime.step();
    runtime.step();
    script.behave(Manners::Deaf);
    opening.abort();
    runtime.step();
    runtime.step();
    script.behave(Manners::Kept);
    script.end("open", Ok(Outcome::Fd(script.open_one())));
    while runtime.step() == Wait::No {}
    assert_eq!(script.open_descriptors(), 0);
    // Of a connection that is accepted before the accept is cancelled.
    let accepting = runtime.spawn(async { drop(accepted(&listener()).await) });
    runtime.step();
    runtime.step();
    script.bring("accept", Outcome::Fd(script.open_one()), None);
    accepting.abort();
    while runtime.step() == Wait::No {}
    assert_eq!(script.open_descriptors(), 0);
    assert!(script.under_way().iter().all(|&name| name == "cancel"), "{:?}", script.under_way());
}

#[test]
fn a_result_that_is_never_looked_at_closes_what_it_brought() {
    let script = Script::default();
    script.runtime_of_single_polls().block_on(async {
        {
            let mut opening = pin!(File::open(Path::new("file")));
            assert!(poll_fn(|cx| std::task::Poll::Ready(opening.as_mut().poll(cx))).await.is_pending());
            yield_now().await;
            script.end("open", Ok(Outcome::Fd(script.open_one())));
            yield_now().await;
            assert_eq!(script.open_descriptors(), 1);
        }
        operations_ended().await;
        assert_eq!(script.open_descriptors(), 0);
    });
}

#[test]
fn an_attempt_to_connect_that_is_given_up_is_cancelled_and_then_its_socket_closed() {
    let script = Script::default();
    script.runtime_of_single_polls().block_on(async {
        let task = spawn(async { connect(somewhere()).await.map(drop) });
        yield_now().await;
        yield_now().await;
        script.take_log();
        task.abort();
        operations_ended_after_aborting().await;
        assert!(script.take_log().ends_with("turn, cancel, close"));
    });
}

#[test]
fn a_read_gives_its_bytes_back_whatever_comes_of_it() {
    let script = Script::default();
    script.runtime_of_single_polls().block_on(async {
        let file = open(&script).await;
        for result in [Ok(3), Err(Errno::EIO)] {
            let mut bytes = Vec::with_capacity(64);
            bytes.extend_from_slice(b"own");
            let place = bytes.as_ptr();
            let ender = script.clone();
            script.while_waiting(move |_| ender.end("read", result.map(Outcome::Count)));
            let (came, back) = file.read_at(bytes, 0).await;
            assert_eq!(came.map_err(Errno::from), result);
            assert_eq!((back.as_ptr(), &*back), (place, &b"own"[..]), "the very same memory");
        }
    });
}

#[test]
fn a_request_after_the_end_of_the_runtime_is_refused_and_gives_its_bytes_back() {
    let script = Script::default();
    let runtime = script.runtime_of_single_polls();
    let file = runtime.block_on(open(&script));
    drop(runtime);
    let (came, back) = match poll_once(file.read_at(b"own".to_vec(), 0)) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("nobody will ever end it"),
    };
    assert_eq!(came.unwrap_err().kind(), std::io::ErrorKind::NotConnected);
    assert_eq!(back, b"own");
    drop(file);
    assert_eq!(script.open_descriptors(), 0, "the close is staged, and performed, after the end");
}

#[test]
fn the_end_of_a_stat_is_told_once() {
    let script = Script::default();
    let runtime = script.runtime_of_single_polls();
    let task = runtime.spawn(async { fs::stat(Path::new("file")).await.map(drop) });
    while runtime.step() == Wait::No {}
    let token = script.token("stat");
    script.end("stat", Err(Errno::ENOENT));
    script.report(Completion::last(token, Ok(Outcome::Done)));
    let text = panic_of(|| runtime.step());
    assert!(text.contains("which is not under way"), "{text}");
    // The first answer counts, and the runtime goes on.
    let error = runtime.block_on(task).unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
