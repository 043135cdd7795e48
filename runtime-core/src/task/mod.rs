//! Tasks: a slot for each, a queue of those that are ready, and the wakers that bring them there.
//!
//! ```text
//!            spawn                     popped                 Ready, panic or abort
//! (nothing) ───────▶ Scheduled ───────────────▶ Running ───────────────────────────▶ Finished
//!                      ▲   ▲                      │  │
//!                      │   └── woken while running┘  │ Pending
//!                      │                             ▼
//!                      └───────────── woken ─────── Idle
//! ```
//!
//! The table knows whether a task is scheduled (`state`); the task itself (`cell`) knows whether it has finished. The root
//! future of `block_on` is scheduled in the same queue, in a slot of its own.

pub(crate) mod awaits;
mod body;
mod cell;
mod discard;
pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod id;
pub(crate) mod info;
mod join;
pub(crate) mod locals;
mod options;
mod schedule;
mod state;
pub(crate) mod table;
mod tree;
mod vacancies;
mod waker;

pub use awaits::{Awaits, note};
pub(crate) use awaits::{put_back_noted, take_noted};
pub(crate) use cell::Task;
pub(crate) use discard::set_discarding;
pub use error::{JoinError, report_unseen};
pub(crate) use header::{Activity, Header, Origin};
pub use id::TaskId;
pub use info::{State, TaskInfo};
pub use join::{AbortHandle, JoinHandle};
pub use options::Options;
pub(crate) use schedule::Tasks;
pub use tree::TaskTree;
pub(crate) use waker::waker;

/// Gives other tasks a turn: the future is ready when it is polled the second time, after every task that
/// was ready before. Like asyncio's `sleep(0)`.
pub fn yield_now() -> impl Future<Output = ()> + Send + Sync {
    let mut yielded = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
}
