//! How other threads wake tasks of a loop.
//!
//! ```text
//! another thread              the loop's thread
//! ──────────────              ─────────────────
//! push slot                   asleep := true
//! ── fence ──                 ── fence ──
//! asleep? -> clear, unpark    anything pushed? -> do not sleep after all
//! ```
//!
//! Either the other thread sees `asleep`, or the loop sees what was pushed: the two fences exclude that both
//! look too early. So no wake is lost, and a system call is made only when the loop sleeps. The model at the
//! end of this file lets loom try every interleaving.
//!
//! Woken slots form a stack whose links live beside the slots, so a wake allocates nothing, and a slot that
//! is already in it is not pushed twice.

use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use crate::reactor::Unpark;

/// The end of the stack.
const NONE: u32 = u32::MAX;

/// The first segment holds 64 links, and each further one as many as all before it.
const FIRST_SEGMENT_BITS: u32 = 6;
const SEGMENTS: usize = 19;

/// The number of tasks whose links fit: 2^24.
pub(crate) const MAX_SLOTS: u32 = 1 << (FIRST_SEGMENT_BITS as usize + SEGMENTS - 1);

/// Wakes from other threads, on their way to the loop.
pub(crate) struct Wakes {
    /// The slot that was woken last.
    newest: CachePadded<AtomicU32>,
    /// The loop waits inside its reactor, or is about to.
    asleep: CachePadded<AtomicBool>,
    /// What ends the loop's wait. There from before its first one.
    unparker: OnceLock<Arc<dyn Unpark>>,
    /// Never moved once there, so that other threads need no lock.
    segments: [OnceLock<Box<[Link]>>; SEGMENTS],
}

/// A slot's place in the stack.
struct Link {
    /// In the stack, or about to be.
    woken: AtomicBool,
    /// The slot that was woken before this one.
    next: AtomicU32,
}

impl Wakes {
    pub(crate) fn new() -> Self {
        Self {
            newest: CachePadded::new(AtomicU32::new(NONE)),
            asleep: CachePadded::new(AtomicBool::new(false)),
            unparker: OnceLock::new(),
            segments: [const { OnceLock::new() }; SEGMENTS],
        }
    }

    /// Makes room for the links of slots up to `slot`. The loop calls it before it hands out a waker.
    pub(crate) fn reserve(&self, slot: u32) {
        let (segment, _) = place(slot);
        self.segments[segment].get_or_init(|| {
            let len = 1 << (FIRST_SEGMENT_BITS as usize + segment.saturating_sub(1));
            (0..len).map(|_| Link { woken: AtomicBool::new(false), next: AtomicU32::new(NONE) }).collect()
        });
    }

    /// Wakes the task in `slot`, from any thread. Never waits for the loop.
    pub(crate) fn wake(&self, slot: u32) {
        // A waker that outlived its runtime may name a slot that this one never had.
        let Some(link) = self.link(slot) else { return };
        // Release: what this thread wrote before the wake is seen by the poll that follows it.
        if link.woken.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            link.next.store(newest, Ordering::Relaxed);
            match self.newest.compare_exchange_weak(newest, slot, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(other) => newest = other,
            }
        }
        self.unpark_if_asleep();
    }

    /// Calls `wake` with each slot woken since the last time, in the order of the wakes.
    pub(crate) fn drain(&self, mut wake: impl FnMut(u32)) {
        if self.newest.load(Ordering::Relaxed) == NONE {
            return;
        }
        let mut newest = self.newest.swap(NONE, Ordering::Acquire);
        let mut oldest = NONE;
        while newest != NONE {
            let link = self.link(newest).expect("only slots with a link are pushed");
            let before = link.next.load(Ordering::Relaxed);
            link.next.store(oldest, Ordering::Relaxed);
            (oldest, newest) = (newest, before);
        }
        while oldest != NONE {
            let link = self.link(oldest).expect("only slots with a link are pushed");
            let after = link.next.load(Ordering::Relaxed);
            // From here on the slot may be pushed again, so its link is read before.
            link.woken.swap(false, Ordering::AcqRel);
            wake(oldest);
            oldest = after;
        }
    }

    /// Whether there is something that ends the loop's wait.
    pub(crate) fn has_unparker(&self) -> bool {
        self.unparker.get().is_some()
    }

    /// Says what ends the loop's wait. Called once at most.
    pub(crate) fn set_unparker(&self, unparker: Arc<dyn Unpark>) {
        let is_first = self.unparker.set(unparker).is_ok();
        debug_assert!(is_first);
    }

    /// Says that the loop, which can be unparked, is about to wait. `false`: something was pushed meanwhile, so do not.
    pub(crate) fn fall_asleep(&self) -> bool {
        debug_assert!(self.has_unparker());
        // Release: whoever sees it sees the unparker.
        self.asleep.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.newest.load(Ordering::Relaxed) == NONE {
            return true;
        }
        self.stay_awake();
        false
    }

    /// Says that the loop no longer waits.
    pub(crate) fn stay_awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    fn unpark_if_asleep(&self) {
        fence(Ordering::SeqCst);
        // Of many threads that wake a sleeping loop, one makes the system call.
        let first =
            || self.asleep.compare_exchange(true, false, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if self.asleep.load(Ordering::Relaxed) && first() {
            self.unparker.get().expect("nobody sleeps without it").unpark();
        }
    }

    fn link(&self, slot: u32) -> Option<&Link> {
        let (segment, offset) = place(slot);
        self.segments.get(segment)?.get()?.get(offset)
    }
}

/// The segment of a slot's link, and the place within it.
fn place(slot: u32) -> (usize, usize) {
    let segment = (u32::BITS - (slot >> FIRST_SEGMENT_BITS).leading_zeros()) as usize;
    let start = if segment == 0 { 0 } else { 1 << (FIRST_SEGMENT_BITS as usize + segment - 1) };
    (segment, slot as usize - start)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn drained(wakes: &Wakes) -> Vec<u32> {
        let mut slots = Vec::new();
        wakes.drain(|slot| slots.push(slot));
        slots
    }

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(63), (0, 63));
        assert_eq!(place(64), (1, 0));
        assert_eq!(place(127), (1, 63));
        assert_eq!(place(128), (2, 0));
        assert_eq!(place(MAX_SLOTS - 1), (SEGMENTS - 1, (MAX_SLOTS as usize / 2) - 1));
    }

    #[test]
    fn wakes_arrive_once_and_in_order() {
        let wakes = Wakes::new();
        (0..300).for_each(|slot| wakes.reserve(slot));
        for slot in [7, 200, 0, 7, 64, 200] {
            wakes.wake(slot);
        }
        assert_eq!(drained(&wakes), [7, 200, 0, 64]);
        wakes.wake(7);
        assert_eq!(drained(&wakes), [7]);
        assert_eq!(drained(&wakes), []);
    }

    #[test]
    fn a_wake_of_a_slot_that_never_was_is_ignored() {
        let wakes = Wakes::new();
        wakes.reserve(0);
        wakes.wake(64);
        wakes.wake(NONE);
        assert_eq!(drained(&wakes), []);
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p runtime-core --lib --release remote`
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::Arc as LoomArc;
    use loom::sync::Notify;
    use loom::thread;

    /// Wakes a model thread that sleeps in `LoopThread::sleep`. `Notify` is loom's eventfd.
    struct Bell(LoomArc<Notify>);
    impl Unpark for Bell {
        fn unpark(&self) {
            self.0.notify();
        }
    }

    /// A loop that sleeps until each of `slots` was woken. A lost wake is a deadlock, which loom reports.
    fn loop_sees_all(slots: &'static [u32]) {
        let bell = LoomArc::new(Notify::new());
        let wakes = LoomArc::new(Wakes::new());
        wakes.set_unparker(Arc::new(Bell(bell.clone())));
        slots.iter().for_each(|&slot| wakes.reserve(slot));
        for &slot in slots {
            let wakes = wakes.clone();
            thread::spawn(move || wakes.wake(slot));
        }
        let mut missing = slots.to_vec();
        loop {
            wakes.drain(|slot| {
                if let Some(at) = missing.iter().position(|&s| s == slot) {
                    missing.swap_remove(at);
                }
            });
            if missing.is_empty() {
                break;
            }
            if wakes.fall_asleep() {
                bell.wait();
            }
            wakes.stay_awake();
        }
    }

    /// All interleavings with up to three preemptions: without a bound it takes hours, and hardly any bug
    /// needs more than two.
    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn no_wake_of_two_threads_is_lost() {
        check(|| loop_sees_all(&[0, 1]));
    }

    /// Two threads wake one slot. What each wrote before must be seen by a poll after its wake.
    #[test]
    fn a_second_wake_of_the_same_slot_is_not_lost() {
        check(|| {
            let bell = LoomArc::new(Notify::new());
            let wakes = LoomArc::new(Wakes::new());
            wakes.set_unparker(Arc::new(Bell(bell.clone())));
            let written = LoomArc::new((AtomicU32::new(0), AtomicU32::new(0)));
            wakes.reserve(0);
            for first in [true, false] {
                let (wakes, written) = (wakes.clone(), written.clone());
                thread::spawn(move || {
                    let place = if first { &written.0 } else { &written.1 };
                    place.store(1, Ordering::Relaxed);
                    wakes.wake(0);
                });
            }
            let mut sum = 0;
            while sum < 2 {
                wakes.drain(|_| sum = written.0.load(Ordering::Relaxed) + written.1.load(Ordering::Relaxed));
                if sum < 2 {
                    if wakes.fall_asleep() {
                        bell.wait();
                    }
                    wakes.stay_awake();
                }
            }
        });
    }
}
