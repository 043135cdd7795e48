//! Tasks, wakers and the event loop of carhop, and the contract of a reactor.

pub mod clock;
pub mod op;
pub mod pool;
pub mod reactor;
pub mod sys;
