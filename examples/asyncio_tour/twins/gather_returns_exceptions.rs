//! From "What does the gather function do", section "Advanced Usage: Return Exceptions".

use std::error::Error;

use carhop::time::sleep;
use futures::join;

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
    let results = join!(
        good_task(),
        failing_task(), // Errors are results
    );
    // results = (Ok(success_value), Err(...))
    for result in <[_; 2]>::from(results) {
        match result {
            Err(error) => say!("Exception: {error}"),
            Ok(value) => say!("Result: {value}"),
        }
    }
}

pub fn program() {
    carhop::run(main());
}
