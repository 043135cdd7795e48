//! Condition variables. The traces of `one_two_and_all` and `three_consumers` are what CPython 3.11 prints for the same
//! programs with `asyncio.Condition`: see `sync_order.py`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Context;

use carhop::sync::{Condvar, Mutex};
use carhop::{spawn, yield_now};

use super::by_hand::{ByHand, with_meddler};
use super::rude_waker::Manners;
use super::support::{Trace, join_all, panic_quietly, try_quietly};
use super::{Env, trials};

trials![
    one_two_and_all,
    three_consumers,
    waiters_dropped_before_they_are_notified,
    a_notification_is_passed_on,
    a_notification_of_all_is_not_passed_on,
    notified_as_soon_as_it_unlocks,
    nobody_waits,
    wakers_that_panic,
    wakers_that_notify,
    a_condition_that_panics,
    one_condition_for_two_mutexes,
];

fn one_two_and_all(env: &Env) {
    let (trace, shared) = (Trace::default(), Rc::new((Mutex::new(()), Condvar::new())));
    let waiter = |name| {
        let (trace, shared) = (trace.clone(), Rc::clone(&shared));
        spawn(async move {
            let (mutex, changed) = &*shared;
            let guard = mutex.lock().await;
            trace.log(format_args!("{name}?"));
            let _guard = changed.wait(guard).await;
            trace.log(name);
            yield_now().await;
            trace.log(format_args!("{name}-"));
        })
    };
    env.run(async {
        let waiters = ["A", "B", "C", "D", "E"].map(waiter);
        yield_now().await;
        let (mutex, changed) = &*shared;
        let guard = mutex.lock().await;
        changed.notify_one();
        trace.log("one");
        yield_now().await;
        trace.log("held");
        drop(guard);
        yield_now().await;
        let guard = mutex.lock().await;
        trace.log("two");
        changed.notify(2);
        drop(guard);
        let guard = mutex.lock().await;
        trace.log("all");
        changed.notify_all();
        drop(guard);
        join_all(waiters).await;
    });
    assert_eq!(trace.text(), "A? B? C? D? E? one held A A- two all B B- C C- D D- E E-");
}

fn three_consumers(env: &Env) {
    let shared = Rc::new((Mutex::new(VecDeque::new()), Condvar::new()));
    let trace = Trace::default();
    let consumer = |name| {
        let (trace, shared) = (trace.clone(), Rc::clone(&shared));
        spawn(async move {
            let (items, changed) = &*shared;
            let mut items = changed.wait_while(items.lock().await, |items| items.is_empty()).await;
            trace.log(format_args!("{name}{}", items.pop_front().unwrap()));
        })
    };
    env.run(async {
        let consumers = ["A", "B", "C"].map(consumer);
        yield_now().await;
        for item in 0..3 {
            let (items, changed) = &*shared;
            let mut guard = items.lock().await;
            guard.push_back(item);
            trace.log(format_args!("put{item}"));
            changed.notify_all();
            drop(guard);
            yield_now().await;
        }
        join_all(consumers).await;
    });
    assert_eq!(trace.text(), "put0 A0 put1 B1 put2 C2");
}

/// Locks and waits.
async fn lock_and_wait(mutex: &Mutex<u8>, changed: &Condvar) -> u8 {
    let guard = mutex.lock().await;
    *changed.wait(guard).await
}

fn waiters_dropped_before_they_are_notified(env: &Env) {
    env.run(async {
        let (mutex, changed) = (Mutex::new(7), Condvar::new());
        // With the guard in its hands.
        drop(changed.wait(mutex.lock().await));
        assert!(!mutex.is_locked());
        let mut waiters: Vec<_> = (0..4).map(|_| ByHand::waiting(lock_and_wait(&mutex, &changed))).collect();
        assert!(!mutex.is_locked());
        drop(waiters.remove(0));
        drop(waiters.remove(1));
        changed.notify(2);
        assert!(waiters.iter_mut().all(|waiter| waiter.ready() == 7));
        assert_eq!(format!("{changed:?}"), "Condvar { waiters: 0 }");
    });
}

fn a_notification_is_passed_on(env: &Env) {
    env.run(async {
        let (mutex, changed) = (Mutex::new(7), Condvar::new());
        let waiter = || ByHand::waiting(lock_and_wait(&mutex, &changed));
        // Before it knows, while it waits for the lock, and once it has been granted that.
        for stage in 0..3 {
            let (mut first, mut second, third) = (waiter(), waiter(), waiter());
            let guard = mutex.lock().await;
            changed.notify_one();
            assert!(first.is_woken() && !second.is_woken());
            if stage > 0 {
                assert!(first.poll().is_pending());
            }
            let guard = (stage < 2).then_some(guard);
            assert_eq!(mutex.is_locked(), guard.is_some() || stage == 2);
            drop(first);
            assert!(second.is_woken() && !third.is_woken());
            drop(guard);
            assert!(!mutex.is_locked());
            assert_eq!(second.ready(), 7);
            // What it has acted upon is not passed on.
            drop(second);
            assert!(!third.is_woken() && !mutex.is_locked());
        }
    });
}

fn a_notification_of_all_is_not_passed_on(env: &Env) {
    env.run(async {
        let (mutex, changed) = (Mutex::new(7), Condvar::new());
        let waiter = || ByHand::waiting(lock_and_wait(&mutex, &changed));
        let (first, mut second) = (waiter(), waiter());
        changed.notify_all();
        let late = waiter();
        let guard = mutex.lock().await;
        assert!(second.poll().is_pending());
        drop((first, second, guard));
        assert!(!late.is_woken() && !mutex.is_locked());
    });
}

fn notified_as_soon_as_it_unlocks(env: &Env) {
    env.run(async {
        let shared = Rc::new((Mutex::new(7), Condvar::new()));
        let inner = Rc::clone(&shared);
        with_meddler(
            move || inner.1.notify_one(),
            |waker| {
                let (mutex, changed) = &*shared;
                let guard = mutex.try_lock().unwrap();
                let mut next = Box::pin(mutex.lock());
                assert!(next.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
                // Its waker notifies when it is handed the lock.
                let waiter = ByHand::waiting(changed.wait(guard));
                assert!(waiter.is_woken());
            },
        );
        assert!(!shared.0.is_locked());
    });
}

fn nobody_waits(env: &Env) {
    env.run(async {
        let (mutex, changed) = (Mutex::new(7), Condvar::default());
        changed.notify_one();
        changed.notify(usize::MAX);
        changed.notify_all();
        let waiter = ByHand::waiting(lock_and_wait(&mutex, &changed));
        changed.notify(0);
        assert!(!waiter.is_woken());
    });
}

fn wakers_that_panic(env: &Env) {
    env.run(async {
        let (mutex, changed) = (Mutex::new(7), Condvar::new());
        let mut waiters: Vec<_> = (0..3)
            .map(|_| {
                let manners = Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() };
                ByHand::with(manners, lock_and_wait(&mutex, &changed))
            })
            .collect();
        assert!(waiters.iter_mut().all(|waiter| waiter.poll().is_pending() && waiter.poll().is_pending()));
        changed.notify(3);
        assert!(waiters.iter_mut().all(|waiter| waiter.is_woken() && waiter.ready() == 7));
        let manners = Manners { panics_on_clone: true, ..Manners::default() };
        let mut lost = ByHand::with(manners, lock_and_wait(&mutex, &changed));
        assert!(lost.try_poll().is_err());
        drop(lost);
        assert!(!mutex.is_locked());
    });
}

fn wakers_that_notify(env: &Env) {
    env.run(async {
        let shared = Rc::new((Mutex::new(7), Condvar::new()));
        let late: Rc<RefCell<Vec<ByHand<'static, u8>>>> = Rc::default();
        let (inner, new) = (Rc::clone(&shared), Rc::clone(&late));
        let meddle = move || {
            let shared = Rc::clone(&inner);
            let waiter = ByHand::waiting(async move { lock_and_wait(&shared.0, &shared.1).await });
            new.borrow_mut().push(waiter);
        };
        with_meddler(meddle, |waker| {
            let (mutex, changed) = &*shared;
            let mut waiters: Vec<_> = (0..2).map(|_| Box::pin(lock_and_wait(mutex, changed))).collect();
            for waiter in &mut waiters {
                assert!(waiter.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            }
            // Those who came when others were woken are not meant.
            changed.notify(10);
            assert_eq!(late.borrow().len(), 2);
            assert!(!late.borrow().iter().any(ByHand::is_woken));
            drop(waiters);
            // Both notifications were passed on.
            assert!(late.borrow().iter().all(ByHand::is_woken));
        });
        drop(late.take());
    });
}

fn a_condition_that_panics(env: &Env) {
    env.run(async {
        let (mutex, changed) = (Mutex::new(7), Condvar::new());
        let guard = mutex.lock().await;
        let panics = changed.wait_while(guard, |_| panic_quietly("the condition"));
        assert!(try_quietly(|| ByHand::new(panics).poll().is_ready()).is_err());
        assert_eq!(*mutex.try_lock().unwrap(), 7);
    });
}

fn one_condition_for_two_mutexes(env: &Env) {
    env.run(async {
        let (one, two, changed) = (Mutex::new(1), Mutex::new(2), Condvar::new());
        let mut first = ByHand::waiting(lock_and_wait(&one, &changed));
        let mut second = ByHand::waiting(lock_and_wait(&two, &changed));
        changed.notify_all();
        let guard = one.lock().await;
        assert!(first.poll().is_pending());
        assert_eq!(second.ready(), 2);
        drop(guard);
        assert_eq!(first.ready(), 1);
    });
}
