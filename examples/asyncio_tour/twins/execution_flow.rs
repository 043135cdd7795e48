//! From "asyncio: Core Idea of Asyncio", section "Execution Flow (Step by Step)".

use carhop::spawn;
use carhop::time::sleep;

use crate::show::{say, seconds};

async fn some_io() {
    sleep(seconds(1)).await;
    say!("7. I/O completes");
}

async fn read_data() {
    say!("3. Task starts running its coroutine");
    say!("4. Coroutine reaches await");
    some_io().await; // 5. Task pauses
    say!("8. Task resumes");
}

async fn another() {
    say!("6. Event loop runs another task");
}

async fn main() {
    say!("1. Event loop starts");
    let task = spawn(read_data());
    let other = spawn(another());
    say!("2. Task is created");
    task.await.unwrap();
    other.await.unwrap();
}

pub fn program() {
    carhop::run(main());
}
