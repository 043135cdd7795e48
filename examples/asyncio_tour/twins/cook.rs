//! From "What is the Event Loop?", section "Code Example (What Happens Behind the Scenes)".

use carhop::time::sleep;
use futures::join;

use crate::show::{say, seconds};

async fn cook(order: &str) -> &str {
    say!("Started cooking {order}");
    sleep(seconds(2)).await; // simulates cooking time
    say!("Finished {order}");
    order
}

async fn main() {
    join!(
        cook("Pasta"), //
        cook("Pizza"),
        cook("Salad"),
    );
}

pub fn program() {
    carhop::run(main());
}
