//! From "How the Python Event Loop Handles Concurrent Ready Async Functions", section "Example Scenario".

use carhop::yield_now;
use futures::join;

use crate::show::say;

async fn task1() {
    say!("Task 1 started");
    yield_now().await; // asyncio's sleep(0)
    say!("Task 1 continued");
}

async fn task2() {
    say!("Task 2 started");
    yield_now().await;
    say!("Task 2 continued");
}

async fn main() {
    join!(task1(), task2());
}

pub fn program() {
    carhop::run(main());
}
