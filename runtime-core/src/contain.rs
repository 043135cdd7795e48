//! Calls users' code where nobody waits for its panic: that is reported as an incident.

use std::any::Any;
use std::task::Waker;

use crate::incident::{self, Incident};

pub use crate::unwind::{contain, forget_payload};

/// Drops `value`, whatever its `Drop` does.
pub fn drop_contained<T>(value: T) {
    contain_drop(|| drop(value));
}

/// Calls `f`, which drops something of a user's.
pub(crate) fn contain_drop(f: impl FnOnce()) {
    if let Err(payload) = contain(f) {
        report("a drop", payload);
    }
}

/// Wakes `waker`, which may be a user's own.
#[inline]
pub fn wake_contained(waker: Waker) {
    if let Err(payload) = contain(|| waker.wake()) {
        report("a waker", payload);
    }
}

/// Reports the panic of `what`, which nobody waits for.
pub(crate) fn report(what: &'static str, payload: Box<dyn Any + Send>) {
    incident::report(&Incident::Panicked { what, payload: &*payload });
    forget_payload(payload);
}
