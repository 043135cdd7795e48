//! The example servers, started and talked to over real sockets.
#![forbid(unsafe_code)]

mod echo;
mod guest;
#[path = "../support/mod.rs"]
mod support;
