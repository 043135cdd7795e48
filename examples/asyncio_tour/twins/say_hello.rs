//! From "What starts the event loop", section "Execution Flow: What Actually Happens".

use carhop::time::sleep;

use crate::show::{say, seconds};

async fn say_hello() {
    sleep(seconds(1)).await;
    say!("Hello!");
}

async fn main() {
    say_hello().await;
}

pub fn program() {
    carhop::run(main()); // <- THIS starts the event loop
}
