//! How long the parts of the runtime take, and with the feature `peers` the same parts of others.
//!
//! ```text
//! cargo bench -p bench                                # all of it
//! cargo bench -p bench -- timer                       # what has `timer` in its name
//! cargo bench -p bench --features peers -- yield      # beside other runtimes
//! ```
//!
//! What never reaches the kernel is measured on one backend, the rest on each. Compare within one run only:
//! machines are not as fast in one minute as in the next.

mod echo;
#[cfg(feature = "peers")]
mod peers;
mod start;
mod subject;
mod tasks;
mod threads;
mod timers;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    tasks::spawn_and_join,
    tasks::yields,
    tasks::wakes,
    tasks::channels,
    timers::insert_and_cancel,
    timers::many_sleeps,
    threads::wakes,
    echo::echo,
    start::start_and_stop
);
criterion_main!(benches);

/// Calls a function of criterion's group for each of our subjects that are named, and for each peer:
/// `on_each!([Carhop], spawn_one, &mut group)`.
macro_rules! on_each {
    ([$($ours:ty),*], $measure:ident, $group:expr) => {{
        $($measure::<$ours>($group);)*
        #[cfg(feature = "peers")]
        {
            $measure::<$crate::peers::Tokio>($group);
            $measure::<$crate::peers::Monoio>($group);
            $measure::<$crate::peers::Compio>($group);
            $measure::<$crate::peers::Glommio>($group);
            $measure::<$crate::peers::TokioUring>($group);
            $measure::<$crate::peers::Smol>($group);
        }
    }};
}
pub(crate) use on_each;

/// Whether this is a run of `cargo test`, which shall only find what is broken, soon.
fn is_test() -> bool {
    !std::env::args().any(|arg| arg == "--bench")
}
