//! From "What does the gather function do", section "How It Differs From Sequential Execution".

use carhop::time::sleep;
use futures::join;

use crate::show::{say, seconds};

async fn coro1() {
    say!("coro1 started");
    sleep(seconds(2)).await;
    say!("coro1 finished");
}

async fn coro2() {
    say!("coro2 started");
    sleep(seconds(1)).await;
    say!("coro2 finished");
}

async fn main() {
    say!("Sequential: t1 + t2");
    coro1().await;
    coro2().await;
    say!("Concurrent: max(t1, t2)");
    join!(coro1(), coro2());
    say!("Both finished");
}

pub fn program() {
    carhop::run(main());
}
