//! From "Understanding the Event Loop", section "Running Async Code with Callbacks": `ensure_future` and
//! `add_done_callback`.

use carhop::time::sleep;
use carhop::{JoinError, spawn};

use crate::show::{say, seconds};

async fn compute(a: u32, b: u32) -> u32 {
    say!("Computing {a} * {b}");
    sleep(seconds(1)).await;
    a * b
}

fn print_result(result: Result<u32, JoinError>) {
    match result {
        Ok(product) => say!("The callback received {product}"),
        Err(error) => say!("The task failed: {error}"),
    }
}

async fn main() {
    let task = spawn(compute(6, 7));
    spawn(async { print_result(task.await) });
    say!("main goes on");
    sleep(seconds(2)).await;
    say!("main ends");
}

pub fn program() {
    carhop::run(main());
}
