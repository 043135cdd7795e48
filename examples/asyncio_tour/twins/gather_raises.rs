//! From "What does the gather function do", section "Advanced Usage: Error Handling".
//!
//! `try_join!` drops the others after the first error, which cancels them. asyncio's `gather` leaves them
//! running: here until the program ends.

use std::error::Error;

use carhop::time::sleep;
use futures::try_join;

use crate::show::{say, seconds};

async fn good_task() -> Result<&'static str, Box<dyn Error>> {
    say!("good_task started");
    sleep(seconds(2)).await;
    say!("good_task finished");
    Ok("good")
}

async fn failing_task() -> Result<&'static str, Box<dyn Error>> {
    say!("failing_task started");
    Err("failing_task failed".into())
}

async fn main() {
    let result = try_join!(
        good_task(),
        failing_task(), // Returns an error
    );
    if let Err(e) = result {
        say!("Caught: {e}");
    }
}

pub fn program() {
    carhop::run(main());
}
