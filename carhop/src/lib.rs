//! asyncio's event loop for Rust on Linux: one thread, many tasks, and epoll or io_uring behind it.
//!
//! ```
//! use carhop::time::sleep;
//! use std::time::Duration;
//!
//! carhop::run(async {
//!     let task = carhop::spawn(async {
//!         sleep(Duration::from_millis(1)).await;
//!         "served"
//!     });
//!     assert_eq!(task.await.unwrap(), "served");
//! });
//! ```
//!
//! The backend is chosen when the runtime starts: io_uring where the machine offers it, else epoll. A program can
//! choose with [`Builder::backend`], and its user with the environment variable `CARHOP_BACKEND`. The features `epoll`
//! and `uring`, both on by default, say which backends are linked at all. Nothing else in the program changes.
#![forbid(unsafe_code)]

#[cfg(not(any(feature = "epoll", feature = "uring", feature = "sim")))]
compile_error!(
    "carhop has no backend: enable the feature `epoll`, `uring` or both, for instance with \
     `carhop = { version = \"0.1\", features = [\"epoll\"] }` or `--features epoll` on the command line"
);

mod backend;
mod builder;
pub mod fs;
mod handle;
pub mod incident;
pub mod net;
pub mod policy;
pub mod reactor;
mod report;
mod runtime;
pub mod signal;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sync;
pub mod task;
pub mod time;

#[doc(hidden)]
pub mod __private;

pub use backend::{Backend, UnknownBackend};
pub use builder::{BuildError, Builder, ReactorBuilder, run};
pub use handle::{Handle, RemoteJoinHandle};
pub use macros::{main, test};
pub use report::{BackendRefusal, BackendReport};
pub use runtime::Runtime;
pub use runtime_core::RuntimeGone;
pub use task::{JoinError, JoinHandle, call_at, call_later, defer, spawn, yield_now};

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// So does the code of the page for readers who know asyncio.
#[cfg(doctest)]
#[doc = include_str!("../../docs/coming-from-asyncio.md")]
struct ComingFromAsyncio;
