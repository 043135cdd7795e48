//! From "What starts the event loop", section "Example: This won't work".
//!
//! A plain `greet();` compiles as well, but the compiler warns: futures do nothing unless they are awaited.
//! Python says so only when the program runs.

use carhop::time::sleep;

use crate::show::seconds;

async fn greet() {
    sleep(seconds(1)).await;
}

pub fn program() {
    drop(greet()); // does nothing: it's just a future, not running
}
