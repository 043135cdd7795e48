//! Semaphores. The traces of `five_tasks_and_two_permits`, `who_was_let_in_and_has_not_run_is_not_overtaken` and
//! `waiters_that_are_aborted` are what CPython 3.11 prints for the same programs with `asyncio.Semaphore`: see
//! `sync_order.py`.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;

use carhop::sync::{AcquireError, Semaphore, TryAcquireError};
use carhop::{spawn, yield_now};

use super::by_hand::{ByHand, with_meddler};
use super::rude_waker::Manners;
use super::support::{OnDrop, Trace, cancelled, join_all, panic_of};
use super::{Env, trials};

trials![
    five_tasks_and_two_permits,
    who_was_let_in_and_has_not_run_is_not_overtaken,
    a_permit_that_comes_wakes_one,
    waiters_that_are_aborted,
    a_big_request_is_not_overtaken,
    a_big_request_that_is_dropped_lets_others_in,
    waiters_dropped_after_they_were_let_in,
    a_waiter_that_moves_to_another_waker,
    wakers_that_panic,
    wakers_that_use_the_semaphore,
    closed_while_some_wait,
    permits_that_never_come_back,
    permits_that_tasks_hand_on,
    too_many_permits,
];

fn five_tasks_and_two_permits(env: &Env) {
    let (trace, semaphore) = (Trace::default(), Rc::new(Semaphore::new(2)));
    let worker = |name| {
        let (trace, semaphore) = (trace.clone(), Rc::clone(&semaphore));
        spawn(async move {
            let _permit = semaphore.acquire().await.unwrap();
            trace.log(format_args!("{name}+"));
            yield_now().await;
            trace.log(format_args!("{name}-"));
        })
    };
    env.run(async { join_all(["A", "B", "C", "D", "E"].map(worker)).await });
    assert_eq!(trace.text(), "A+ B+ A- B- C+ D+ C- D- E+ E-");
    assert_eq!(semaphore.available_permits(), 2);
}

fn who_was_let_in_and_has_not_run_is_not_overtaken(env: &Env) {
    let (trace, semaphore) = (Trace::default(), Rc::new(Semaphore::new(0)));
    let worker = |name| {
        let (trace, semaphore) = (trace.clone(), Rc::clone(&semaphore));
        spawn(async move {
            semaphore.acquire().await.unwrap().forget();
            trace.log(name);
        })
    };
    env.run(async {
        let a = worker("A");
        yield_now().await;
        // It is ready before A is, and there are permits for both.
        let b = worker("B");
        semaphore.add_permits(2);
        trace.log("released");
        assert_eq!(semaphore.available_permits(), 1);
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
        join_all([a, b]).await;
    });
    assert_eq!(trace.text(), "released A B");
}

fn a_permit_that_comes_wakes_one(env: &Env) {
    env.run(async {
        let semaphore = Semaphore::new(0);
        let mut first = ByHand::waiting(semaphore.acquire());
        semaphore.add_permits(3);
        // They line up behind the first, which has not run.
        let (second, third) = (ByHand::waiting(semaphore.acquire()), ByHand::waiting(semaphore.acquire()));
        semaphore.add_permits(1);
        assert!(second.is_woken() && !third.is_woken());
        let permit = first.ready().unwrap();
        assert!(third.is_woken());
        assert_eq!(semaphore.available_permits(), 1);
        drop(permit);
    });
}

fn waiters_that_are_aborted(env: &Env) {
    let (trace, semaphore) = (Trace::default(), Rc::new(Semaphore::new(0)));
    let worker = |name: &'static str| {
        let (trace, semaphore) = (trace.clone(), Rc::clone(&semaphore));
        spawn(async move {
            let dropped = Cell::new(true);
            let _end = OnDrop(|| {
                if dropped.get() {
                    trace.log(format_args!("{name}x"));
                }
            });
            semaphore.acquire().await.unwrap().forget();
            dropped.set(false);
            trace.log(name);
        })
    };
    env.run(async {
        let [a, b, c, d] = ["A", "B", "C", "D"].map(worker);
        yield_now().await;
        // For A and B.
        semaphore.add_permits(2);
        a.abort();
        c.abort();
        trace.log("root");
        for _ in 0..3 {
            yield_now().await;
        }
        trace.log("late");
        semaphore.add_permits(1);
        assert!(cancelled(a.await) && cancelled(c.await));
        join_all([b, d]).await;
        trace.log(semaphore.available_permits());
    });
    assert_eq!(trace.text(), "root Ax B Cx D late 1");
}

fn a_big_request_is_not_overtaken(env: &Env) {
    env.run(async {
        let semaphore = Semaphore::new(2);
        let mut big = ByHand::waiting(semaphore.acquire_many(4));
        let mut small = ByHand::waiting(semaphore.acquire());
        let nothing = ByHand::waiting(semaphore.acquire_many(0));
        for permits in [0, 1, 2] {
            assert_eq!(semaphore.try_acquire_many(permits).unwrap_err(), TryAcquireError::NoPermits);
        }
        semaphore.add_permits(1);
        assert!(!big.is_woken() && !small.is_woken());
        semaphore.add_permits(1);
        assert!(big.is_woken() && !small.is_woken() && !nothing.is_woken());
        let permit = big.ready().unwrap();
        assert_eq!((permit.num_permits(), semaphore.available_permits()), (4, 0));
        drop(permit);
        assert!(small.is_woken() && nothing.is_woken());
        drop((small.ready(), nothing));
        assert_eq!(semaphore.available_permits(), 4);
        drop(semaphore.try_acquire_many(0).unwrap());
    });
}

fn a_big_request_that_is_dropped_lets_others_in(env: &Env) {
    env.run(async {
        let semaphore = Semaphore::new(3);
        let big = ByHand::waiting(semaphore.acquire_many(4));
        let mut small = [1, 2, 1].map(|permits| ByHand::waiting(semaphore.acquire_many(permits)));
        drop(big);
        assert_eq!([0, 1, 2].map(|which| small[which].is_woken()), [true, true, false]);
        drop(small[0].ready());
        assert!(small[2].is_woken());
    });
}

fn waiters_dropped_after_they_were_let_in(env: &Env) {
    env.run(async {
        let semaphore = Rc::new(Semaphore::new(0));
        drop(semaphore.acquire());
        let first = ByHand::waiting(semaphore.acquire_many(2));
        let (mut second, third) =
            (ByHand::waiting(semaphore.acquire()), ByHand::waiting(semaphore.acquire()));
        let fourth = ByHand::waiting(Rc::clone(&semaphore).acquire_owned());
        semaphore.add_permits(2);
        assert!(first.is_woken() && !second.is_woken());
        drop(first);
        assert!(second.is_woken() && third.is_woken() && !fourth.is_woken());
        let permit = second.ready().unwrap();
        drop(third);
        assert!(fourth.is_woken());
        drop((fourth, permit));
        assert_eq!(semaphore.available_permits(), 2);
        assert_eq!(Rc::strong_count(&semaphore), 1);
    });
}

fn a_waiter_that_moves_to_another_waker(env: &Env) {
    env.run(async {
        let semaphore = Semaphore::new(0);
        let mut waiter = ByHand::waiting(semaphore.acquire());
        let old = waiter.change_waker();
        assert!(waiter.poll().is_pending());
        semaphore.add_permits(1);
        assert_eq!((old.alive(), old.wakes(), waiter.is_woken()), (0, 0, true));
        drop(waiter.ready().unwrap());
    });
}

fn wakers_that_panic(env: &Env) {
    env.run(async {
        let semaphore = Semaphore::new(0);
        let mut waiters: Vec<_> = (0..3)
            .map(|_| {
                let manners = Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() };
                ByHand::with(manners, semaphore.acquire())
            })
            .collect();
        assert!(waiters.iter_mut().all(|waiter| waiter.poll().is_pending() && waiter.poll().is_pending()));
        let manners = Manners { panics_on_clone: true, ..Manners::default() };
        let mut lost = ByHand::with(manners, semaphore.acquire());
        assert!(lost.try_poll().is_err());
        drop(lost);
        semaphore.add_permits(3);
        assert!(waiters.iter().all(ByHand::is_woken));
        drop(waiters);
        assert_eq!(semaphore.available_permits(), 3);
    });
}

fn wakers_that_use_the_semaphore(env: &Env) {
    env.run(async {
        let semaphore = Rc::new(Semaphore::new(0));
        let inner = Rc::clone(&semaphore);
        let meddle = move || {
            inner.add_permits(1);
            drop(ByHand::new(inner.acquire_many(100)).poll());
        };
        with_meddler(meddle, |waker| {
            let mut waiters: Vec<_> = (0..5).map(|_| Box::pin(semaphore.acquire())).collect();
            for waiter in &mut waiters {
                assert!(waiter.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            }
            // Each wake brings a permit for the next one.
            semaphore.add_permits(1);
            let mut permits = Vec::new();
            for waiter in &mut waiters {
                match waiter.as_mut().poll(&mut Context::from_waker(waker)) {
                    std::task::Poll::Ready(permit) => permits.push(permit.unwrap()),
                    std::task::Poll::Pending => panic!("one that was not woken"),
                }
            }
            assert_eq!(semaphore.available_permits(), 1);
        });
    });
}

fn closed_while_some_wait(env: &Env) {
    env.run(async {
        let semaphore = Rc::new(Semaphore::new(1));
        let permit = semaphore.acquire().await.unwrap();
        let (mut served, mut waiter) =
            (ByHand::waiting(semaphore.acquire()), ByHand::waiting(semaphore.acquire_many(3)));
        drop(permit);
        assert!(!semaphore.is_closed());
        semaphore.close();
        semaphore.close();
        assert!(semaphore.is_closed());
        // What was granted before counts.
        let permit = served.ready().unwrap();
        let error: AcquireError = waiter.ready().unwrap_err();
        assert_eq!(error.to_string(), "the semaphore is closed");
        assert_eq!(semaphore.acquire().await.unwrap_err(), error);
        assert_eq!(Rc::clone(&semaphore).acquire_owned().await.unwrap_err(), error);
        drop(permit);
        assert_eq!(semaphore.available_permits(), 1);
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
        assert_eq!(Rc::clone(&semaphore).try_acquire_owned().unwrap_err(), TryAcquireError::Closed);
        assert_eq!(format!("{semaphore:?}"), "Semaphore { available: 1, closed: true, waiters: 0 }");
    });
}

fn permits_that_never_come_back(env: &Env) {
    env.run(async {
        let semaphore = Rc::new(Semaphore::new(5));
        semaphore.acquire_many(2).await.unwrap().forget();
        Rc::clone(&semaphore).try_acquire_owned().unwrap().forget();
        assert_eq!(semaphore.available_permits(), 2);
        assert_eq!(Rc::strong_count(&semaphore), 1);
        let waiter = ByHand::waiting(semaphore.acquire_many(3));
        semaphore.add_permits(1);
        assert!(waiter.is_woken());
    });
}

fn permits_that_tasks_hand_on(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let semaphore = Rc::new(Semaphore::new(1));
        for round in 0..3 {
            let permit = Rc::clone(&semaphore).acquire_many_owned(1).await.unwrap();
            assert_eq!(permit.num_permits(), 1);
            let trace = trace.clone();
            drop(spawn(async move {
                trace.log(round);
                yield_now().await;
                drop(permit);
            }));
            let inner = Rc::clone(&semaphore);
            assert_eq!(inner.try_acquire_many_owned(1).unwrap_err(), TryAcquireError::NoPermits);
        }
        drop(semaphore.acquire().await);
    });
    assert_eq!(trace.text(), "0 1 2");
}

fn too_many_permits(_env: &Env) {
    let semaphore = Semaphore::new(usize::MAX - 3);
    semaphore.add_permits(3);
    let permit = semaphore.try_acquire_many(usize::MAX).unwrap();
    // Those that are out count too, so that giving them back cannot fail.
    let expected =
        format!("a semaphore of {max} permits cannot have 1 more: at most {max} can be", max = usize::MAX);
    assert_eq!(panic_of(|| semaphore.add_permits(1)), expected);
    drop(permit);
    assert_eq!(semaphore.available_permits(), usize::MAX);
    semaphore.try_acquire_many(2).unwrap().forget();
    semaphore.add_permits(2);
    assert_eq!(semaphore.available_permits(), usize::MAX);
}
