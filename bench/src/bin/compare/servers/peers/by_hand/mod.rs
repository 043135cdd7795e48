//! Loops on bare system calls.

mod connections;
mod multishot_uring;
mod naive_epoll;
mod phased_epoll;

pub use multishot_uring::serve as multishot_uring;
pub use naive_epoll::{serve as naive_epoll, serve_spinning as naive_epoll_spin};
pub use phased_epoll::serve as phased_epoll;
