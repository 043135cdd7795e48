//! A waker that counts what is done to it, and panics as told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use super::support::panic_quietly;

/// What it panics on.
#[derive(Default)]
pub(super) struct Manners {
    pub(super) panics_on_clone: bool,
    pub(super) panics_on_wake: bool,
    pub(super) panics_on_drop: bool,
}

/// Makes such wakers, and knows what became of them.
pub(super) struct RudeWaker(Arc<State>);

struct State {
    manners: Manners,
    alive: AtomicIsize,
    wakes: AtomicUsize,
}

impl RudeWaker {
    pub(super) fn new(manners: Manners) -> Self {
        Self(Arc::new(State { manners, alive: AtomicIsize::new(0), wakes: AtomicUsize::new(0) }))
    }

    pub(super) fn waker(&self) -> Waker {
        self.0.alive.fetch_add(1, Ordering::Relaxed);
        let data = Arc::into_raw(Arc::clone(&self.0)).cast();
        // SAFETY: the data owns one count of the `Arc`, as the functions of `VTABLE` expect. They are
        // thread-safe, for the state consists of atomics.
        unsafe { Waker::new(data, &VTABLE) }
    }

    /// Polls `future`; the panic of a waker, if it comes out of that, is the error.
    pub(super) fn poll<T>(&self, future: &mut Pin<Box<dyn Future<Output = T> + '_>>) -> Result<Poll<T>, ()> {
        // Forgotten rather than dropped: that is for those that were kept.
        let waker = std::mem::ManuallyDrop::new(self.waker());
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        self.0.alive.fetch_sub(1, Ordering::Relaxed);
        poll.map_err(drop)
    }

    /// How many wakers there are now.
    pub(super) fn alive(&self) -> isize {
        self.0.alive.load(Ordering::Relaxed)
    }

    /// How many times one was woken.
    pub(super) fn wakes(&self) -> usize {
        self.0.wakes.load(Ordering::Relaxed)
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is being cloned owns one count, so the state is there.
    let state = unsafe { &*data.cast::<State>() };
    if state.manners.panics_on_clone {
        panic_quietly("a waker panics when it is cloned");
    }
    state.alive.fetch_add(1, Ordering::Relaxed);
    // SAFETY: as above; the new count is the new waker's.
    unsafe { Arc::increment_strong_count(data.cast::<State>()) };
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    // SAFETY: the waker that is being consumed hands over its count.
    let state = unsafe { Arc::from_raw(data.cast::<State>()) };
    state.alive.fetch_sub(1, Ordering::Relaxed);
    woken(&state);
}

fn wake_by_ref(data: *const ()) {
    // SAFETY: as in `clone`.
    woken(unsafe { &*data.cast::<State>() });
}

fn woken(state: &State) {
    state.wakes.fetch_add(1, Ordering::Relaxed);
    if state.manners.panics_on_wake {
        panic_quietly("a waker panics when it wakes");
    }
}

fn drop_waker(data: *const ()) {
    // SAFETY: as in `wake`.
    let state = unsafe { Arc::from_raw(data.cast::<State>()) };
    state.alive.fetch_sub(1, Ordering::Relaxed);
    if state.manners.panics_on_drop {
        panic_quietly("a waker panics when it is dropped");
    }
}
