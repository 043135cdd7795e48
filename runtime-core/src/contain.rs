//! Keeps a panic of users' code (a poll, a drop, a waker) from unwinding the loop.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use crate::incident::{self, Incident};

/// Runs `f`; a panic is reported by the panic hook, as always, and becomes an `Err`.
///
/// Whoever calls this keeps nothing half-done across `f`: that is why unwind safety may be asserted.
pub fn contain<T>(f: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(f))
}

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

/// A panic's payload is a user's value too, and its drop may panic again. Dropped within a last
/// containment; what comes out of that is leaked.
pub fn forget_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = contain(|| drop(payload)) {
        std::mem::forget(again);
    }
}
