//! From "What starts the event loop", section "Example: This won't work", where it says "To run it".

use carhop::time::sleep;

use crate::show::seconds;

async fn greet() {
    sleep(seconds(1)).await;
}

pub fn program() {
    carhop::run(greet()); // Now it runs
}
