//! A closure that is to be called once, and the place for what it returns.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::contain::{contain, drop_contained, forget_payload, wake_contained};
use crate::handle::Handle;
use crate::task::JoinError;

/// What a queue of closures knows of each. It must be called or given up: its handle waits for either.
pub(super) trait Job: Send {
    /// Calls the closure, on this thread. Contains panics. `done` is called when that is all, before anybody sees the
    /// answer: so whoever has awaited one call needs no second thread for the next.
    fn call(self: Box<Self>, done: &dyn Fn());
    /// Drops the closure. Contains panics.
    fn give_up(self: Box<Self>, error: JoinError);
}

/// A job that calls `f`, and where its answer comes to.
/// A panic that nobody will hear of is for the runtime of `handle` to report.
pub(super) fn new<F, T>(f: F, handle: Handle) -> (Box<dyn Job>, Arc<Answer<T>>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let answer = Arc::new(Answer { state: Mutex::new(State::Awaited(None)), handle });
    (Box::new(Call { f, answer: Arc::clone(&answer) }), answer)
}

struct Call<F, T> {
    f: F,
    answer: Arc<Answer<T>>,
}

impl<F: FnOnce() -> T + Send, T: Send> Job for Call<F, T> {
    fn call(self: Box<Self>, done: &dyn Fn()) {
        let Call { f, answer } = *self;
        answer.give(contain(f).map_err(|payload| JoinError::panic(payload, None)), done);
    }

    fn give_up(self: Box<Self>, error: JoinError) {
        let Call { f, answer } = *self;
        // As with a task: should the drop of what is cancelled panic, that is the error.
        let error = match contain(|| drop(f)) {
            Err(payload) if error.is_cancelled() => JoinError::panic(payload, None),
            Err(payload) => {
                forget_payload(payload);
                error
            }
            Ok(()) => error,
        };
        answer.give(Err(error), &|| ());
    }
}

/// What a handle waits for. Wakers and values, whose code is a user's, are touched with the lock released.
pub(super) struct Answer<T> {
    state: Mutex<State<T>>,
    handle: Handle,
}

enum State<T> {
    /// By whom, once the handle was polled.
    Awaited(Option<Waker>),
    Given(Result<T, JoinError>),
    /// It was taken, or there is no handle to take it.
    Over,
}

impl<T> Answer<T> {
    /// Gives it to the handle, if there still is one, and says when no more is to be done than to wake.
    fn give(&self, result: Result<T, JoinError>, done: &dyn Fn()) {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Over) {
            State::Awaited(waker) => {
                done();
                *state = State::Given(result);
                drop(state);
                waker.into_iter().for_each(wake_contained);
            }
            over => {
                drop(state);
                drop_contained(over);
                self.drop_unseen(result);
                done();
            }
        }
    }

    /// Takes it, or leaves the waker of whoever waits for it.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        // Cloned before anything is locked.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let (result, unused) = match mem::replace(&mut *state, State::Over) {
            State::Awaited(former) => {
                *state = State::Awaited(Some(waker));
                (Poll::Pending, former)
            }
            State::Given(result) => (Poll::Ready(result), Some(waker)),
            State::Over => {
                drop(state);
                panic!("a BlockingHandle was polled after it was ready");
            }
        };
        drop(state);
        drop_contained(unused);
        result
    }

    pub(super) fn is_there(&self) -> bool {
        !matches!(*self.lock(), State::Awaited(_))
    }

    /// Says that nobody will take it.
    pub(super) fn forsake(&self) {
        let former = mem::replace(&mut *self.lock(), State::Over);
        match former {
            State::Given(result) => self.drop_unseen(result),
            other => drop_contained(other),
        }
    }

    fn drop_unseen(&self, result: Result<T, JoinError>) {
        match result {
            Ok(value) => drop_contained(value),
            Err(error) => self.handle.report_unseen(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
