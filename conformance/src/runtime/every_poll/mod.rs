//! Every public future, dropped after each of its polls: `probe.rs` does that, `list.rs` says what every future is, and
//! the other modules make a world for each, and look at it afterwards.

pub(super) mod channels;
pub(super) mod chunks;
pub(super) mod files;
pub(super) mod groups;
mod list;
pub(super) mod meetings;
pub(super) mod net;
mod probe;
pub(super) mod sockets;
pub(super) mod sync;
pub(super) mod tasks;
pub(super) mod time;

use super::Trials;
use probe::{Probe, drop_after_each_poll};

pub(super) const TRIALS: Trials = list::TRIALS;

/// Public futures that a trial is about, as `list.rs` names them.
type Futures = &'static [&'static str];

/// Names async functions as trials that drop a future after each of its polls, and says which futures those are.
macro_rules! futures {
    ($($trial:ident: $($name:literal)+),+ $(,)?) => {
        pub(in crate::runtime) const TRIALS: super::Trials =
            &[$((stringify!($trial), |env| super::drop_after_each_poll(env, $trial))),+];
        pub(super) const FUTURES: super::Futures = &[$($($name),+),+];
    };
}
use futures;

/// Gives way to the other tasks so many times.
async fn yields(count: usize) {
    for _ in 0..count {
        carhop::yield_now().await;
    }
}

/// As `Debug` says.
#[track_caller]
fn assert_nobody_waits(sync: &impl std::fmt::Debug) {
    let text = format!("{sync:?}");
    assert!(text.contains("waiters: 0"), "{text}");
}
