//! Futures that a trial polls by hand, each with a waker of its own, to stop at every stage.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use super::rude_waker::{Manners, RudeWaker};

/// A future and its waker.
pub(super) struct ByHand<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    waker: RudeWaker,
}

impl<'a, T> ByHand<'a, T> {
    pub(super) fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self::with(Manners::default(), future)
    }

    pub(super) fn with(manners: Manners, future: impl Future<Output = T> + 'a) -> Self {
        Self { future: Box::pin(future), waker: RudeWaker::new(manners) }
    }

    /// One that was polled once, and waits.
    pub(super) fn waiting(future: impl Future<Output = T> + 'a) -> Self {
        let mut waiter = Self::new(future);
        assert!(waiter.poll().is_pending());
        waiter
    }

    pub(super) fn poll(&mut self) -> Poll<T> {
        self.try_poll().expect("a waker that does not panic")
    }

    /// The error is a panic of the waker.
    pub(super) fn try_poll(&mut self) -> Result<Poll<T>, ()> {
        self.waker.poll(&mut self.future)
    }

    pub(super) fn ready(&mut self) -> T {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it should be ready"),
        }
    }

    pub(super) fn is_woken(&self) -> bool {
        self.waker.wakes() > 0
    }

    /// From now on it is polled with another waker, as one that moves to another task. Returns the old one.
    pub(super) fn change_waker(&mut self) -> RudeWaker {
        std::mem::replace(&mut self.waker, RudeWaker::new(Manners::default()))
    }
}

thread_local! {
    static MEDDLE: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Runs `f` with a waker that calls `meddle` when it is woken.
pub(super) fn with_meddler(meddle: impl Fn() + 'static, f: impl FnOnce(&Waker)) {
    MEDDLE.set(Some(Rc::new(meddle)));
    f(&Waker::from(Arc::new(MeddlesOnWake)));
    MEDDLE.take();
}

/// Within `with_meddler`: a waker that calls `meddle` when the last of its clones is dropped.
pub(super) fn meddler_on_drop() -> Waker {
    Waker::from(Arc::new(MeddlesOnDrop))
}

struct MeddlesOnWake;

impl Wake for MeddlesOnWake {
    fn wake(self: Arc<Self>) {
        meddle();
    }
}

struct MeddlesOnDrop;

impl Wake for MeddlesOnDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for MeddlesOnDrop {
    fn drop(&mut self) {
        meddle();
    }
}

fn meddle() {
    let meddle = MEDDLE.with_borrow(Clone::clone);
    if let Some(meddle) = meddle {
        meddle();
    }
}
