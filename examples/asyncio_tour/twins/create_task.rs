//! From "asyncio: Core Idea of Asyncio", section "What a Task Is".

use carhop::time::sleep;
use carhop::{spawn, yield_now};

use crate::show::{say, seconds};

async fn read_data() -> &'static str {
    say!("The task runs until it pauses");
    sleep(seconds(1)).await;
    say!("The task resumes");
    "data"
}

async fn main() {
    let task = spawn(read_data());
    say!("The task is scheduled and has not started");
    yield_now().await;
    say!("The task has started by itself");
    say!("The result: {}", task.await.unwrap());
}

pub fn program() {
    carhop::run(main());
}
