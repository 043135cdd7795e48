//! Every public future, dropped after each of its polls: `probe.rs` does that, `list.rs` says what every future is, and
//! the other modules make a world for each, and look at it afterwards.

mod list;
mod probe;

use super::Env;
use crate::registry::{Trial, modules};
use probe::{Probe, drop_after_each_poll};

modules![sync, meetings, channels, tasks, groups, time, net, sockets, chunks, files];

pub(super) const TRIALS: &[Trial<Env>] = list::TRIALS;

/// Public futures that a trial is about, as `list.rs` names them.
type Futures = &'static [&'static str];

/// Names async functions as trials that drop a future after each of its polls, and says which futures those are; and
/// behind that in brackets what only a kernel has, where they need that.
macro_rules! futures {
    ($($trial:ident: $($name:literal)+ $([$needs:ident])?),+ $(,)?) => {
        pub(super) const TRIALS: &[$crate::registry::Trial<super::Env>] = &[$($crate::registry::Trial {
            name: stringify!($trial),
            body: |env| super::drop_after_each_poll(env, $trial),
            needs: $crate::registry::needs!($($needs)?),
        }),+];
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
