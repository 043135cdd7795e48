//! From "An event loop is a design pattern", section "Running Multiple Coroutines".

use carhop::time::sleep;
use futures::join;
use jiff::Zoned;

use crate::show::{say, seconds};

// Define a coroutine
async fn say_after(delay: u64, msg: &str) {
    sleep(seconds(delay)).await;
    say!("{msg}");
}

// Define a main coroutine that runs other coroutines
async fn main() {
    say!("Started at {}", Zoned::now().strftime("%T"));

    // Run the coroutines concurrently using join!
    join!(
        say_after(3, "Hello"), //
        say_after(3, "World"),
    );

    say!("Finished at {}", Zoned::now().strftime("%T"));
}

// Run the main coroutine
pub fn program() {
    carhop::run(main());
}
