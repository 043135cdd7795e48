//! From "Understanding the Event Loop", section "Running Async Code with Callbacks": `ensure_future` and
//! `add_done_callback`.

use carhop::sync::oneshot;
use carhop::time::sleep;
use carhop::{JoinError, spawn};

use crate::show::{say, seconds};

async fn compute(a: u32, b: u32) -> u32 {
    say!("Computing {a} * {b}");
    sleep(seconds(1)).await;
    a * b
}

async fn main() {
    let (finish, finished) = oneshot::channel();

    let print_result = move |result: Result<u32, JoinError>| {
        say!("The callback received {}", result.unwrap());
        finish.send(()).unwrap();
    };

    let task = spawn(compute(6, 7));
    task.on_done(print_result);
    say!("main goes on");
    finished.await.unwrap();
    say!("main ends");
}

pub fn program() {
    carhop::run(main());
}
