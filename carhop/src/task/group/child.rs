//! The future of a child's task.

use std::any::Any;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};

use pin_project_lite::pin_project;
use runtime_core::contain::contain;
use runtime_core::current_info;

use crate::task::JoinError;

use super::error::Failure;
use super::shared::{Phase, Shared};

pin_project! {
    /// The future of a child. It reports its failure, also a panic, and its end to the group.
    pub(super) struct Child<F, E> {
        // `None` once it is ready.
        #[pin]
        future: Option<F>,
        started: bool,
        // After the future, so dropped after it.
        member: Member<E>,
    }

    impl<F, E> PinnedDrop for Child<F, E> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Err(payload) = contain(|| this.future.set(None)) {
                this.member.panicked(payload);
            }
        }
    }
}

impl<F, E: 'static> Child<F, E> {
    pub(super) fn new(future: F, shared: &Rc<Shared<E>>, place: usize) -> Self {
        let member = Member { shared: Rc::clone(shared), place };
        Self { future: Some(future), started: false, member }
    }
}

impl<F, T, E> Future for Child<F, E>
where
    F: Future<Output = Result<T, E>>,
    E: 'static,
{
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        if !std::mem::replace(this.started, true) {
            this.member.shared.context().enter();
        }
        let ended = contain(|| {
            let future = this.future.as_mut().as_pin_mut().expect("a task is not polled after its end");
            let output = ready!(future.poll(cx));
            this.future.set(None);
            Poll::Ready(output)
        });
        match ended {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(output))) => return Poll::Ready(Some(output)),
            Ok(Poll::Ready(Err(error))) => {
                this.member.shared.fail(Failure::Error { error, task: current_info() })
            }
            Err(payload) => this.member.panicked(payload),
        }
        Poll::Ready(None)
    }
}

/// A place among the children of a group, until it is dropped.
struct Member<E> {
    shared: Rc<Shared<E>>,
    place: usize,
}

impl<E> Member<E> {
    fn panicked(&self, payload: Box<dyn Any + Send>) {
        if self.shared.phase.get() == Phase::Closed {
            // The group does not report any more, so the runtime does.
            resume_unwind(payload);
        }
        self.shared.fail(Failure::Panic(JoinError::panic(payload, current_info())));
    }
}

impl<E> Drop for Member<E> {
    fn drop(&mut self) {
        self.shared.leave(self.place);
    }
}
