//! To start a runtime and stop it.

use std::time::{Duration, Instant};

use super::subject::Subject;
use super::{Part, contenders};

pub const PARTS: &[Part] = &[Part::new("start and stop", contenders!(run start_one))];

fn start_one<S: Subject>(_: &mut S, iters: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..iters {
        S::start().expect("it could be started before").block_on(async {});
    }
    start.elapsed()
}
