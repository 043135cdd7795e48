//! Catches panics of users' code (a poll, a drop, a waker), so that they do not unwind the loop.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; a panic is reported by the panic hook, as always, and becomes an `Err`.
///
/// The caller keeps nothing half-done across `f`: that is why unwind safety may be asserted.
#[inline]
pub fn contain<T>(f: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Drops the payload of a panic, which is a user's value too: its drop may panic again. What comes out of that is
/// leaked.
pub fn forget_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = contain(|| drop(payload)) {
        std::mem::forget(again);
    }
}
