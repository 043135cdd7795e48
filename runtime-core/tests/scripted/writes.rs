//! Writes that are staged beside those of others, and what becomes of them.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use runtime_core::errno::Errno;
use runtime_core::op::Outcome;
use runtime_core::socket::{Chunk, Stream};
use runtime_core::{JoinHandle, operations_ended, spawn, yield_now};

use crate::script::Script;
use crate::support::stream;

/// Keeps the loop busy, so that what is written meanwhile is staged.
fn company() -> JoinHandle<()> {
    spawn(async {
        loop {
            yield_now().await;
        }
    })
}

async fn poll_it<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await
}

/// A runtime with a stream, and with somebody in whose company writes are staged.
fn with_stream<F: Future>(test: impl FnOnce(Script, Rc<Stream>) -> F) -> F::Output {
    let script = Script::default();
    script.runtime_of_single_polls().block_on(async {
        let stream = Rc::new(stream(&script).await);
        company();
        yield_now().await;
        test(script.clone(), stream).await
    })
}

/// Lets the turn come that performs what is staged, and the one after it.
async fn turn() {
    yield_now().await;
    yield_now().await;
}

#[test]
fn what_is_left_of_a_staged_write_is_written_when_there_is_room_and_nothing_twice() {
    with_stream(|script, stream| async move {
        let writer = Rc::clone(&stream);
        let task = spawn(async move { writer.write_all(b"0123456789").await });
        turn().await;
        script.end("write", Ok(Outcome::Count(4)));
        turn().await;
        assert_eq!(script.under_way(), ["write"], "it waits for room");
        script.end("write", Ok(Outcome::Done));
        script.take_log();
        turn().await;
        // What is left goes out beside others again.
        assert_eq!(script.staged_bytes(), ["456789"]);
        script.end("write", Ok(Outcome::Count(6)));
        task.await.unwrap().unwrap();
        assert!(script.under_way().is_empty(), "{:?}", script.under_way());
        assert!(!script.take_log().contains("attempt"));
    });
}

#[test]
fn a_staged_write_that_fails_is_told_once_and_not_made_again() {
    with_stream(|script, stream| async move {
        let writer = Rc::clone(&stream);
        let task = spawn(async move { writer.write_chunk(Chunk::from(b"chunk".to_vec())).await });
        turn().await;
        script.end("write", Err(Errno::ECONNRESET));
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        turn().await;
        assert!(script.under_way().is_empty(), "{:?}", script.under_way());
    });
}

#[test]
fn a_staged_write_whose_future_is_dropped_goes_out_and_its_rest_does_not() {
    with_stream(|script, stream| async move {
        {
            let mut write = pin!(stream.write_all(b"given up"));
            assert!(poll_it(&mut write).await.is_pending());
        }
        turn().await;
        assert_eq!(script.staged_bytes(), ["given up"]);
        script.end("write", Ok(Outcome::Count(3)));
        turn().await;
        assert!(script.under_way().is_empty(), "{:?}", script.under_way());
        // The next one is not in the way of it.
        let mut next = pin!(stream.write_all(b"next"));
        assert!(poll_it(&mut next).await.is_pending());
        turn().await;
        script.end("write", Ok(Outcome::Count(4)));
        next.await.unwrap();
    });
}

#[test]
fn the_stream_may_be_dropped_with_a_write_staged_and_is_closed_behind_it() {
    with_stream(|script, stream| async move {
        {
            let mut write = pin!(stream.write_all(b"last words"));
            assert!(poll_it(&mut write).await.is_pending());
        }
        drop(stream);
        script.take_log();
        turn().await;
        assert!(script.take_log().starts_with("turn, write, close"));
        script.end("write", Ok(Outcome::Count(10)));
        operations_ended().await;
    });
}

#[test]
fn a_staged_write_that_is_forgotten_is_in_nobodys_way() {
    with_stream(|script, stream| async move {
        let mut write = Box::pin(stream.write_all(b"forgotten"));
        assert!(poll_it(&mut write).await.is_pending());
        std::mem::forget(write);
        turn().await;
        script.end("write", Ok(Outcome::Count(2)));
        turn().await;
        script.end("write", Ok(Outcome::Done));
        let mut next = pin!(stream.write_all(b"next"));
        turn().await;
        assert!(poll_it(&mut next).await.is_pending());
        turn().await;
        assert_eq!(script.staged_bytes(), ["next"]);
        script.end("write", Ok(Outcome::Count(4)));
        next.await.unwrap();
    });
}

#[test]
fn a_write_hears_what_came_of_it_also_when_another_was_made_before_it_looked() {
    with_stream(|script, stream| async move {
        let looks = Rc::new(Cell::new(false));
        let (writer, look) = (Rc::clone(&stream), Rc::clone(&looks));
        let first = spawn(async move {
            let mut write = pin!(writer.write_all(b"first"));
            assert!(poll_it(&mut write).await.is_pending());
            while !look.get() {
                yield_now().await;
            }
            write.await
        });
        yield_now().await;
        yield_now().await;
        script.end("write", Ok(Outcome::Count(5)));
        turn().await;
        let mut second = pin!(stream.write_all(b"second"));
        assert!(poll_it(&mut second).await.is_pending());
        turn().await;
        script.end("write", Ok(Outcome::Count(6)));
        second.await.unwrap();
        looks.set(true);
        for _ in 0..4 {
            yield_now().await;
        }
        assert!(first.is_finished(), "the first one waits for what it was never told");
        first.await.unwrap().unwrap();
    });
}
