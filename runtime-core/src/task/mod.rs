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
//! A slot knows whether its task is scheduled; the task itself (`cell`) knows whether it has finished. The
//! root future of `block_on` is scheduled in the same queue, in a slot of its own.

mod awaits;
mod body;
mod cell;
mod error;
mod header;
mod info;
mod join;
pub mod locals;
mod options;
mod schedule;
mod table;
mod vacancies;
mod waker;

pub use awaits::{Awaits, note};
pub(crate) use awaits::{put_back_noted, take_noted};
pub(crate) use cell::Task;
pub use error::{JoinError, report_unseen};
pub(crate) use header::{Header, Origin};
pub(crate) use info::Activity;
pub use info::{State, TaskInfo, TaskTree};
pub(crate) use join::set_discarding;
pub use join::{AbortHandle, JoinHandle};
pub use options::Options;
pub(crate) use table::Tasks;
pub use waker::TaskId;
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
