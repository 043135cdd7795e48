//! From "What if I called `asyncio.run(task1())` followed by `asyncio.run(task2())`", section "Your Example".

use carhop::yield_now;

use crate::show::say;

async fn task1() {
    say!("Task 1 started");
    yield_now().await;
    say!("Task 1 continued");
}

async fn task2() {
    say!("Task 2 started");
    yield_now().await;
    say!("Task 2 continued");
}

/// Sequential execution (not concurrent).
pub fn program() {
    carhop::run(task1()); // Runs to completion first
    carhop::run(task2()); // Then runs separately
}
