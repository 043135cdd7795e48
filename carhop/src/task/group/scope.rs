//! The future that waits for a group.

use std::any::Any;
use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use runtime_core::contain::{contain, drop_contained, forget_payload};
use runtime_core::operations_ended;
use runtime_core::task::{Awaits, note};

use crate::task::CancelToken;
use crate::task::context::assert_runtime;
use crate::time::sleep;

use super::TaskGroup;
use super::error::{Failure, GroupError};
use super::shared::{Phase, Shared};

type Payload = Box<dyn Any + Send>;

pub(super) async fn run<E, R, B>(drain: Option<Duration>, body: B) -> Result<R, GroupError<E>>
where
    E: 'static,
    B: AsyncFnOnce(&TaskGroup<E>) -> Result<R, E>,
{
    assert_runtime("TaskGroup::scope");
    let group = TaskGroup { shared: Shared::new(drain.is_some()) };
    let shared = &*group.shared;
    // Declared before the body, so dropped after it.
    let _closed = CloseOnDrop(shared);
    let mut body = pin!(Some(group.shared.context().scope(body(&group))));
    let mut deadline = pin!(drain_deadline(shared.token.clone(), drain));
    let mut is_late = false;
    let mut output = None;
    let mut panic: Option<Payload> = None;

    poll_fn(|cx| {
        let waker = cx.waker().clone();
        // What children do within this poll is looked at below, so they need not wake this.
        drop_contained(shared.waiter.take());
        if !shared.is_aborted()
            && let Some(running) = body.as_mut().as_pin_mut()
        {
            match contain(|| running.poll(cx)) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(ended)) => {
                    keep_first(&mut panic, drop_body(body.as_mut()));
                    match ended {
                        Ok(value) => output = Some(value),
                        Err(error) => shared.fail(Failure::Error { error, task: None }),
                    }
                }
                Err(payload) => {
                    keep_first(&mut panic, Some(payload));
                    keep_first(&mut panic, drop_body(body.as_mut()));
                }
            }
        }
        let body_runs = body.is_some();
        if (body_runs || !shared.is_empty()) && !is_late && deadline.as_mut().poll(cx).is_ready() {
            is_late = true;
            shared.abort_blockers(body_runs);
        }
        if body_runs && shared.is_aborted() {
            keep_first(&mut panic, drop_body(body.as_mut()));
        }
        if panic.is_some() {
            shared.end();
        }
        if body.is_none() && shared.is_empty() {
            drop_contained(waker);
            return Poll::Ready(());
        }
        if body.is_none() {
            note(Awaits::Named("TaskGroup::scope"));
        }
        shared.waiter.set(Some(waker));
        Poll::Pending
    })
    .await;

    shared.phase.set(Phase::Closed);
    operations_ended().await;
    if let Some(payload) = panic {
        resume_unwind(payload);
    }
    match shared.take_error() {
        Some(error) => Err(error),
        None => Ok(output.expect("a body that is dropped before its end is a failure, or blocks")),
    }
}

/// Ready at the drain deadline, which counts from when the token is cancelled.
async fn drain_deadline(token: CancelToken, drain: Option<Duration>) {
    match drain {
        Some(drain) => {
            token.cancelled().await;
            sleep(drain).await;
        }
        None => pending().await,
    }
}

fn drop_body<B>(mut body: Pin<&mut Option<B>>) -> Option<Payload> {
    contain(|| body.set(None)).err()
}

fn keep_first(first: &mut Option<Payload>, next: Option<Payload>) {
    if first.is_none() {
        *first = next;
    } else if let Some(next) = next {
        forget_payload(next);
    }
}

/// Closes the group, however the scope ends: it takes no more children, and those that are left are aborted.
struct CloseOnDrop<'a, E>(&'a Shared<E>);

impl<E> Drop for CloseOnDrop<'_, E> {
    fn drop(&mut self) {
        self.0.close();
    }
}
