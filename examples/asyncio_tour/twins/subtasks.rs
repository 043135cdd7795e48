//! From "Understanding the Event Loop", section "Event Loop in Action": the loop runs a coroutine, which makes
//! others and awaits their completion; the loop switches between them.

use carhop::yield_now;
use futures::join;

use crate::show::say;

async fn subtask(name: &str, steps: u32) {
    for step in 1..=steps {
        say!("{name}: step {step} of {steps}");
        yield_now().await;
    }
    say!("{name}: done");
}

async fn main() {
    join!(subtask("A", 3), subtask("B", 1), subtask("C", 2));
    say!("All subtasks are done");
}

pub fn program() {
    carhop::run(main());
}
