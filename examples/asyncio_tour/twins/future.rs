//! From "asyncio: Core Idea of Asyncio", section "Futures": a value that will exist later, which is pending
//! first, and eventually holds a result or an exception.
//!
//! Here it has two ends: the sender sets the value, once, and the receiver is what is awaited.

use carhop::spawn;
use carhop::sync::oneshot::{self, TryRecvError};
use carhop::time::sleep;

use crate::show::{say, seconds};

type Outcome = Result<&'static str, &'static str>;

async fn finish_later(set_success: oneshot::Sender<Outcome>, set_failure: oneshot::Sender<Outcome>) {
    sleep(seconds(1)).await;
    say!("Setting a result and an exception");
    set_success.send(Ok("a value")).unwrap();
    set_failure.send(Err("no value")).unwrap();
}

async fn main() {
    let (set_success, mut success) = oneshot::channel();
    let (set_failure, failure) = oneshot::channel();
    let task = spawn(finish_later(set_success, set_failure));

    say!("{}", if success.try_recv() == Err(TryRecvError::Empty) { "Pending" } else { "Done" });
    if let Ok(value) = success.await.unwrap() {
        say!("Result: {value}");
    }
    if let Err(e) = failure.await.unwrap() {
        say!("Exception: {e}");
    }
    task.await.unwrap();
}

pub fn program() {
    carhop::run(main());
}
