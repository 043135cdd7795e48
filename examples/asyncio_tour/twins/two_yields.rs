//! From "The Magic of `await asyncio.sleep(0)`", section "Demonstration".

use carhop::yield_now;
use futures::join;

use crate::show::say;

async fn task1() {
    say!("Task 1 started");
    yield_now().await;
    say!("Task 1 after first yield");
    yield_now().await;
    say!("Task 1 after second yield");
}

async fn task2() {
    say!("Task 2 started");
    yield_now().await;
    say!("Task 2 after first yield");
    yield_now().await;
    say!("Task 2 after second yield");
}

async fn main() {
    join!(task1(), task2());
}

pub fn program() {
    carhop::run(main());
}
