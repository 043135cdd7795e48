//! From "What does the gather function do", section "Example Breakdown".

use carhop::time::sleep;
use futures::future::join_all;

use crate::show::{python_list, say, seconds};

async fn fetch_data(id: u32, delay: u64) -> String {
    say!("Task {id} started");
    sleep(seconds(delay)).await;
    say!("Task {id} completed");
    format!("data-{id}")
}

async fn main() {
    let results = join_all([
        fetch_data(1, 2), // Takes 2 seconds
        fetch_data(2, 1), // Takes 1 second
        fetch_data(3, 3), // Takes 3 seconds
    ])
    .await;
    say!("{}", python_list(&results)); // ['data-1', 'data-2', 'data-3']
}

pub fn program() {
    carhop::run(main());
}
