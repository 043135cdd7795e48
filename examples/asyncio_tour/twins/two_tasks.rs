//! From "Async IO Package", section "Event Loop", its example.

use carhop::time::sleep;
use futures::join;

use crate::show::{say, seconds};

async fn task(name: &str) {
    say!("Task {name} started");
    sleep(seconds(1)).await; // yields control to event loop
    say!("Task {name} finished");
}

async fn main() {
    join!(task("A"), task("B"));
}

pub fn program() {
    carhop::run(main());
}
