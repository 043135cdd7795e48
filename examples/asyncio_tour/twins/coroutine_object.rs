//! From "asyncio: Core Idea of Asyncio", section "Coroutines: What They Are".

use carhop::time::sleep;

use crate::show::{say, seconds};

async fn read_data() -> &'static str {
    say!("Reading");
    sleep(seconds(1)).await;
    "data"
}

async fn main() {
    let coro = read_data();
    say!("A coroutine object, not a result: nothing has run yet");
    say!("The result: {}", coro.await);
}

pub fn program() {
    carhop::run(main());
}
