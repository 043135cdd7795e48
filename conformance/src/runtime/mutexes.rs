//! Mutexes. The traces of `three_tasks_take_turns`, `a_released_lock_is_not_overtaken` and `waiters_that_are_aborted`
//! are what CPython 3.11 prints for the same programs with `asyncio.Lock`: see `sync_order.py`.

use std::cell::Cell;
use std::future::pending;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use carhop::sync::Mutex;
use carhop::time::timeout;
use carhop::{spawn, yield_now};

use crate::pattern::Dice;

use super::by_hand::{ByHand, meddler_on_drop, with_meddler};
use super::rude_waker::Manners;
use super::support::{OnDrop, Trace, cancelled, join_all, panic_quietly};
use super::{Env, trials};

trials![
    three_tasks_take_turns,
    a_released_lock_is_not_overtaken,
    waiters_that_are_aborted,
    waiters_dropped_at_every_stage,
    a_waiter_that_moves_to_another_waker,
    wakers_that_panic,
    a_panic_does_not_poison,
    values_whose_drop_uses_the_mutex,
    wakers_that_use_the_mutex,
    locks_given_up_in_time_or_not,
    what_needs_no_lock,
];

fn three_tasks_take_turns(env: &Env) {
    let (trace, mutex) = (Trace::default(), Rc::new(Mutex::new(())));
    let worker = |name| {
        let (trace, mutex) = (trace.clone(), Rc::clone(&mutex));
        async move {
            for round in [1, 2] {
                let _guard = mutex.lock().await;
                trace.log(format_args!("{name}{round}+"));
                yield_now().await;
                trace.log(format_args!("{name}{round}-"));
            }
        }
    };
    env.run(async { join_all(["A", "B", "C"].map(|name| spawn(worker(name)))).await });
    assert_eq!(trace.text(), "A1+ A1- B1+ B1- C1+ C1- A2+ A2- B2+ B2- C2+ C2-");
}

fn a_released_lock_is_not_overtaken(env: &Env) {
    let (trace, mutex) = (Trace::default(), Rc::new(Mutex::new(())));
    let task = |name| {
        let (trace, mutex) = (trace.clone(), Rc::clone(&mutex));
        spawn(async move {
            let _guard = mutex.lock().await;
            trace.log(name);
        })
    };
    env.run(async {
        let guard = mutex.lock().await;
        let waiter = task("waiter");
        yield_now().await;
        // It is ready before the waiter is.
        let newcomer = task("newcomer");
        trace.log("release");
        drop(guard);
        assert!(mutex.is_locked() && mutex.try_lock().is_none());
        let guard = mutex.lock().await;
        trace.log("releaser");
        drop(guard);
        join_all([waiter, newcomer]).await;
    });
    assert_eq!(trace.text(), "release waiter releaser newcomer");
}

fn waiters_that_are_aborted(env: &Env) {
    let (trace, mutex) = (Trace::default(), Rc::new(Mutex::new(())));
    let waiter = |name: &'static str| {
        let (trace, mutex) = (trace.clone(), Rc::clone(&mutex));
        spawn(async move {
            let dropped = Cell::new(true);
            let _end = OnDrop(|| {
                if dropped.get() {
                    trace.log(format_args!("{name}x"));
                }
            });
            let _guard = mutex.lock().await;
            dropped.set(false);
            trace.log(name);
            yield_now().await;
        })
    };
    env.run(async {
        let guard = mutex.lock().await;
        let [a, b, c, d] = ["A", "B", "C", "D"].map(waiter);
        yield_now().await;
        // One within the queue, and one who has the lock and does not know.
        b.abort();
        drop(guard);
        a.abort();
        trace.log("root");
        assert!(cancelled(a.await) && cancelled(b.await));
        join_all([c, d]).await;
    });
    assert_eq!(trace.text(), "root Bx Ax C D");
    assert!(!mutex.is_locked());
}

fn waiters_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let mutex = Mutex::new(());
        drop(mutex.lock());
        assert!(!mutex.is_locked());
        // In the queue: each of three.
        for which in 0..3 {
            let guard = mutex.try_lock().unwrap();
            let mut waiters: Vec<_> = (0..3).map(|_| ByHand::waiting(mutex.lock())).collect();
            drop(waiters.remove(which));
            assert!(waiters.iter_mut().all(|waiter| waiter.poll().is_pending() && !waiter.is_woken()));
            drop(guard);
            let second = waiters.pop().unwrap();
            drop(waiters.pop().unwrap().ready());
            assert!(second.is_woken() && mutex.is_locked());
            // It was granted the lock, and nobody comes after.
            drop(second);
            assert!(!mutex.is_locked());
        }
        // It was granted the lock, and somebody comes after.
        let guard = mutex.try_lock().unwrap();
        let (first, mut second) = (ByHand::waiting(mutex.lock()), ByHand::waiting(mutex.lock()));
        drop(guard);
        assert!(first.is_woken() && !second.is_woken());
        drop(first);
        assert!(second.is_woken());
        let guard = second.ready();
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
    });
}

fn a_waiter_that_moves_to_another_waker(env: &Env) {
    env.run(async {
        let mutex = Mutex::new(());
        let guard = mutex.try_lock().unwrap();
        let mut waiter = ByHand::waiting(mutex.lock());
        let old = waiter.change_waker();
        assert!(waiter.poll().is_pending());
        assert_eq!(old.alive(), 0);
        drop(guard);
        assert_eq!((old.wakes(), waiter.is_woken()), (0, true));
        drop(waiter.ready());
    });
}

fn wakers_that_panic(env: &Env) {
    env.run(async {
        let mutex = Mutex::new(());
        let guard = mutex.try_lock().unwrap();
        let manners = || Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() };
        let mut first = ByHand::with(manners(), mutex.lock());
        let mut second = ByHand::with(manners(), mutex.lock());
        // The second poll drops the waker of the first.
        for waiter in [&mut first, &mut second] {
            assert!(waiter.poll().is_pending() && waiter.poll().is_pending());
        }
        let third = ByHand::waiting(mutex.lock());
        // Its place is lost with its panic, and nobody else's.
        let mut lost = ByHand::with(Manners { panics_on_clone: true, ..Manners::default() }, mutex.lock());
        assert!(lost.try_poll().is_err());
        drop(second);
        drop(guard);
        drop(first.ready());
        assert!(third.is_woken());
        drop((lost, third));
        assert!(!mutex.is_locked());
    });
}

fn a_panic_does_not_poison(env: &Env) {
    let mutex = Rc::new(Mutex::new(1));
    let shared = Rc::clone(&mutex);
    env.run(async {
        let task = spawn(async move {
            *shared.lock().await = 2;
            let _guard = shared.lock().await;
            panic_quietly("with the guard in its hands")
        });
        yield_now().await;
        assert_eq!(*mutex.lock().await, 2);
        assert!(task.await.unwrap_err().is_panic());
    });
}

/// Tries to lock the mutex that it is in.
struct Inward(Weak<Mutex<Option<Inward>>>, Trace);

impl Drop for Inward {
    fn drop(&mut self) {
        let Some(mutex) = self.0.upgrade() else { return self.1.log("gone") };
        self.1.log(if mutex.try_lock().is_some() { "free" } else { "locked" });
        assert!(format!("{mutex:?}").contains("<locked>"));
        // A waiter that comes and goes.
        drop(ByHand::waiting(mutex.lock()));
    }
}

impl std::fmt::Debug for Inward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let locked = self.0.upgrade().is_some_and(|mutex| mutex.try_lock().is_none());
        write!(f, "Inward {{ locked: {locked} }}")
    }
}

fn values_whose_drop_uses_the_mutex(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let mutex = Rc::new_cyclic(|weak| Mutex::new(Some(Inward(Weak::clone(weak), trace.clone()))));
        assert_eq!(format!("{mutex:?}"), "Mutex { value: Some(Inward { locked: true }), waiters: 0 }");
        let next = Inward(Rc::downgrade(&mutex), trace.clone());
        *mutex.lock().await = Some(next);
        assert!(!mutex.is_locked());
        drop(mutex);
    });
    assert_eq!(trace.text(), "locked gone");
}

fn wakers_that_use_the_mutex(env: &Env) {
    env.run(async {
        let mutex = Rc::new(Mutex::new(0));
        let meddled = Rc::new(Cell::new(0));
        let (inner, count) = (Rc::clone(&mutex), Rc::clone(&meddled));
        let meddle = move || {
            assert!(inner.try_lock().is_none());
            drop(ByHand::waiting(inner.lock()));
            count.set(count.get() + 1);
        };
        with_meddler(meddle, |waker| {
            let guard = mutex.try_lock().unwrap();
            let (mut first, mut second) = (Box::pin(mutex.lock()), Box::pin(mutex.lock()));
            assert!(first.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            assert!(second.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            drop(guard);
            assert_eq!(meddled.get(), 1);
            drop(first);
            assert_eq!(meddled.get(), 2);
            drop(second);
            // Wakers that are replaced, taken with the future, or have done their work.
            let guard = mutex.try_lock().unwrap();
            let mut waiters = [(); 3].map(|()| Box::pin(mutex.lock()));
            for waiter in &mut waiters {
                assert!(waiter.as_mut().poll(&mut Context::from_waker(&meddler_on_drop())).is_pending());
            }
            let [mut replaced, taken, done] = waiters;
            assert!(replaced.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(meddled.get(), 3);
            drop((replaced, taken));
            assert_eq!(meddled.get(), 4);
            drop(guard);
            assert_eq!(meddled.get(), 5);
            drop(done);
        });
        assert!(!mutex.is_locked());
    });
}

fn locks_given_up_in_time_or_not(env: &Env) {
    let (mutex, inside) = (Rc::new(Mutex::new(0)), Rc::new(Cell::new(false)));
    env.run(async {
        let given_up = Rc::new(Cell::new(0));
        let tasks = (0..20).map(|_| {
            let (mutex, inside, given_up) = (Rc::clone(&mutex), Rc::clone(&inside), Rc::clone(&given_up));
            spawn(async move {
                let mut dice = Dice::new();
                for _ in 0..50 {
                    let limit = Duration::from_nanos(dice.roll(40_000) as u64);
                    let Ok(mut guard) = timeout(limit, mutex.lock()).await else {
                        given_up.set(given_up.get() + 1);
                        continue;
                    };
                    assert!(!inside.replace(true));
                    yield_now().await;
                    *guard += 1;
                    assert!(inside.replace(false));
                }
            })
        });
        join_all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(*mutex.try_lock().expect("free at the end"), 1000 - given_up.get());
        // One that waits when everything ends.
        let guard = mutex.lock().await;
        let shared = Rc::clone(&mutex);
        drop(spawn(async move { *shared.lock().await = pending().await }));
        yield_now().await;
        drop(guard);
    });
    assert!(!mutex.is_locked());
}

fn what_needs_no_lock(_env: &Env) {
    let mut mutex = Mutex::from([1, 2, 3]);
    mutex.get_mut()[0] = 4;
    {
        let unsized_mutex: &mut Mutex<[i32]> = &mut mutex;
        unsized_mutex.get_mut()[1] = 5;
        let guard = unsized_mutex.try_lock().unwrap();
        assert_eq!(guard.len(), 3);
        assert_eq!(format!("{unsized_mutex:?}"), "Mutex { value: <locked>, waiters: 0 }");
    }
    assert_eq!(format!("{mutex:?}"), "Mutex { value: [4, 5, 3], waiters: 0 }");
    // A guard that is forgotten locks it for ever, but not for its owner.
    std::mem::forget(mutex.try_lock());
    assert!(mutex.try_lock().is_none());
    mutex.get_mut()[2] = 6;
    assert_eq!(mutex.into_inner(), [4, 5, 6]);
}
