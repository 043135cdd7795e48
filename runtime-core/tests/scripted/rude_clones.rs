//! Wakers whose clones bring about what is waited for. What comes before the waker is in its place wakes nobody, so it must
//! be seen.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::ptr;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use runtime_core::op::Outcome;
use runtime_core::socket::Listener;

use crate::script::Script;
use crate::support::{listener, open, stream};

thread_local! {
    static ON_CLONE: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
    static WOKEN: Cell<bool> = const { Cell::new(false) };
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |_| {
        if let Some(f) = ON_CLONE.take() {
            f();
        }
        RawWaker::new(ptr::null(), &VTABLE)
    },
    |_| WOKEN.set(true),
    |_| WOKEN.set(true),
    |_| {},
);

/// Polls `future` once, with a waker that calls `meddle` when it is cloned. Whether it will be polled again, if it has to.
fn is_seen<T>(future: impl Future<Output = T>, meddle: impl FnOnce() + 'static) -> bool {
    ON_CLONE.set(Some(Box::new(meddle)));
    WOKEN.set(false);
    // SAFETY: the functions use no data.
    let waker = unsafe { Waker::new(ptr::null(), &VTABLE) };
    let poll = pin!(future).poll(&mut Context::from_waker(&waker));
    assert!(ON_CLONE.take().is_none(), "the waker was not cloned");
    poll.is_ready() || WOKEN.get()
}

/// Takes two turns, between two runs of the runtime: dropping a socket takes one. `f` is called in between.
fn turns([one, other]: [Listener; 2], f: impl FnOnce()) {
    drop(one);
    f();
    drop(other);
}

#[test]
fn bytes_that_arrive_while_the_waker_of_their_reader_is_cloned() {
    let script = Script::default();
    let runtime = script.runtime(4);
    let stream = runtime.block_on(stream(&script));
    let listeners = runtime.block_on(async { [listener(), listener()] });
    let read = poll_fn(|cx| stream.poll_read(cx, &mut [0; 8]));
    assert!(is_seen(read, move || turns(listeners, || script.receive(b"bytes"))));
}

#[test]
fn the_end_of_the_runtime_while_the_waker_of_a_reader_is_cloned() {
    let script = Script::default();
    let runtime = script.runtime(4);
    let stream = runtime.block_on(stream(&script));
    let read = poll_fn(|cx| stream.poll_read(cx, &mut [0; 8]));
    assert!(is_seen(read, move || drop(runtime)));
}

#[test]
fn room_that_comes_while_the_waker_of_its_writer_is_cloned() {
    let script = Script::default();
    let runtime = script.runtime(4);
    let stream = runtime.block_on(stream(&script));
    let listeners = runtime.block_on(async { [listener(), listener()] });
    script.fill();
    let write = poll_fn(|cx| stream.poll_write(cx, b"bytes"));
    assert!(is_seen(write, move || turns(listeners, || script.end("write", Ok(Outcome::Done)))));
}

#[test]
fn a_result_that_comes_while_the_waker_of_its_request_is_cloned() {
    let script = Script::default();
    let runtime = script.runtime(4);
    let file = runtime.block_on(open(&script));
    let listeners = runtime.block_on(async { [listener(), listener()] });
    let read = file.read_at(Vec::new(), 0);
    assert!(is_seen(read, move || turns(listeners, || script.end("read", Ok(Outcome::Count(0))))));
}
