//! What several files of tests need.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use runtime_core::address::SockAddr;
use runtime_core::fs::File;
use runtime_core::op::Outcome;
use runtime_core::socket::{Listener, Stream};

use crate::script::Script;

/// A stream that a listener accepted, of which the listener is gone.
pub async fn stream(script: &Script) -> Stream {
    let listener = listener();
    let accept = script.clone();
    script.while_waiting(move |script| accept.bring("accept", Outcome::Fd(script.open_one()), None));
    let stream = accepted(&listener).await;
    drop(listener);
    runtime_core::operations_ended().await;
    stream
}

/// A file that the reactor opened.
pub async fn open(script: &Script) -> File {
    let opener = script.clone();
    script.while_waiting(move |script| opener.end("open", Ok(Outcome::Fd(script.open_one()))));
    File::open(Path::new("file")).await.expect("open")
}

pub fn listener() -> Listener {
    Listener::bind(&SockAddr::Inet(([127, 0, 0, 1], 0).into()), &[], 1).expect("a listener")
}

pub async fn accepted(listener: &Listener) -> Stream {
    poll_fn(|cx| listener.poll_accept(cx)).await.expect("a connection").0
}

pub async fn read(stream: &Stream) -> std::io::Result<Vec<u8>> {
    let mut buf = [0; 64];
    let count = poll_fn(|cx| stream.poll_read(cx, &mut buf)).await?;
    Ok(buf[..count].to_vec())
}

/// Polls once, with a waker that does nothing.
pub fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The text that `f` panics with.
pub fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("this should have panicked") };
    match payload.downcast::<&str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => *payload.downcast::<String>().expect("a text"),
    }
}

/// Gives its waker away, and is ready when it is polled again.
pub async fn wait_with(give: impl FnOnce(Waker)) {
    let mut give = Some(give);
    poll_fn(|cx| match give.take() {
        Some(give) => {
            give(cx.waker().clone());
            Poll::Pending
        }
        None => Poll::Ready(()),
    })
    .await;
}

/// Counts its owners.
pub fn counted() -> (Rc<()>, impl Fn() -> usize) {
    let owner = Rc::new(());
    let weak = Rc::downgrade(&owner);
    (owner, move || weak.strong_count())
}
