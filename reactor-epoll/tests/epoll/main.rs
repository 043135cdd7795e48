//! What only epoll can get wrong. What every reactor must do is in the conformance suite.

mod calls;
mod host;
mod rig;
mod sockets;
mod waits;
