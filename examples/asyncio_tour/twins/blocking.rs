//! From "Async IO Package", section "Blocking vs non-blocking operations": `time.sleep` and `asyncio.sleep`.

use std::thread;

use carhop::time::sleep;
use futures::join;

use crate::show::{say, seconds};

async fn blocking() {
    say!("Blocking started");
    thread::sleep(seconds(1)); // stops the entire event loop
    say!("Blocking finished");
}

async fn non_blocking() {
    say!("Non-blocking started");
    sleep(seconds(1)).await; // yields control to event loop
    say!("Non-blocking finished");
}

async fn other() {
    say!("Other task runs");
}

async fn main() {
    join!(blocking(), other());
    join!(non_blocking(), other());
}

pub fn program() {
    carhop::run(main());
}
