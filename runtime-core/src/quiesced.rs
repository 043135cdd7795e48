//! Waiting until operations have ended.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::contain::drop_contained;
use crate::context;
use crate::io::Io;
use crate::operations::quiesce;
use crate::task::{Awaits, note};

/// Waits until every operation that has been asked to end before the first poll has ended: those that were cancelled,
/// and closes of descriptors, also of connections that came with the last completions of a cancelled accept. What is
/// asked to end later does not delay it. Dropping the future changes nothing.
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub fn operations_ended() -> OperationsEnded {
    OperationsEnded { wait: None }
}

/// See [`operations_ended`].
#[must_use]
pub struct OperationsEnded {
    /// From the first poll on.
    wait: Option<(Rc<Io>, quiesce::Wait)>,
}

impl Future for OperationsEnded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Cloned before anything is looked at: it may be a user's own.
        let waker = cx.waker().clone();
        if self.wait.is_none() {
            let io = context::io("waiting for operations to end");
            let Some(wait) = io.operations().quiesce().snapshot() else {
                drop_contained(waker);
                return Poll::Ready(());
            };
            self.wait = Some((io, wait));
        }
        let Some((io, wait)) = &self.wait else { unreachable!("it was set above") };
        if let Err(unused) = io.operations().quiesce().wait(*wait, waker) {
            drop_contained(unused);
            return Poll::Ready(());
        }
        note(Awaits::Named("the end of operations"));
        Poll::Pending
    }
}

impl Drop for OperationsEnded {
    fn drop(&mut self) {
        if let Some((io, wait)) = self.wait.take() {
            io.operations().quiesce().give_up(wait);
        }
    }
}
