//! Barriers. The traces are what CPython 3.11 prints for the same programs with `asyncio.Barrier`: see `sync_order.py`.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;

use carhop::sync::Barrier;
use carhop::{JoinHandle, spawn, yield_now};

use super::by_hand::{ByHand, with_meddler};
use super::rude_waker::Manners;
use super::support::{OnDrop, Trace, cancelled, join_all, panic_of};
use super::{Env, trials};

trials![
    two_rounds_of_three,
    more_tasks_than_parties,
    who_comes_before_all_have_left,
    a_task_that_leaves,
    reset_while_some_wait,
    aborted_and_reset,
    aborted_or_reset_after_it_tripped,
    waiters_dropped_at_every_stage,
    one_leader_though_somebody_left,
    wakers_that_panic,
    wakers_that_use_the_barrier,
    of_one,
    of_none,
];

/// What each task logs: its name, and its index, `!` for an error, or `x` if it is dropped.
async fn party(trace: Trace, barrier: Rc<Barrier>, name: &str, rounds: usize) {
    for _ in 0..rounds {
        let dropped = Cell::new(true);
        let _end = OnDrop(|| {
            if dropped.get() {
                trace.log(format_args!("{name}x"));
            }
        });
        let outcome = barrier.wait().await;
        dropped.set(false);
        match outcome {
            Ok(result) => trace.log(format_args!("{name}:{}", result.index())),
            Err(error) => {
                assert_eq!(error.to_string(), "the barrier was broken or reset");
                trace.log(format_args!("{name}!"));
            }
        }
    }
}

/// A trace, a barrier, and what spawns a task for it.
fn setting(parties: usize) -> (Trace, Rc<Barrier>, impl Fn(&'static str) -> JoinHandle<()>) {
    let (trace, barrier) = (Trace::default(), Rc::new(Barrier::new(parties)));
    let task = {
        let (trace, barrier) = (trace.clone(), Rc::clone(&barrier));
        move |name| spawn(party(trace.clone(), Rc::clone(&barrier), name, 1))
    };
    (trace, barrier, task)
}

fn two_rounds_of_three(env: &Env) {
    let (trace, barrier, _) = setting(3);
    let task = |name| spawn(party(trace.clone(), Rc::clone(&barrier), name, 2));
    env.run(async { join_all(["A", "B", "C"].map(task)).await });
    assert_eq!(trace.text(), "C:2 A:0 B:1 A:2 B:0 C:1");
}

fn more_tasks_than_parties(env: &Env) {
    let (trace, barrier, task) = setting(2);
    env.run(async { join_all(["A", "B", "C", "D", "E", "F"].map(task)).await });
    assert_eq!(trace.text(), "B:1 A:0 D:1 C:0 F:1 E:0");
    assert_eq!(barrier.n_waiting(), 0);
}

fn who_comes_before_all_have_left(env: &Env) {
    let (trace, barrier, task) = setting(2);
    env.run(async {
        let a = spawn(party(trace.clone(), barrier, "A", 2));
        join_all([a, task("B"), task("C")]).await;
    });
    // C waits outside until A has left, and A is back before C runs.
    assert_eq!(trace.text(), "B:1 A:0 C:1 A:0");
}

fn a_task_that_leaves(env: &Env) {
    let (trace, barrier, task) = setting(3);
    env.run(async {
        let (a, b) = (task("A"), task("B"));
        yield_now().await;
        trace.log(barrier.n_waiting());
        b.abort();
        yield_now().await;
        trace.log(barrier.n_waiting());
        let (c, d) = (task("C"), task("D"));
        assert!(cancelled(b.await));
        join_all([a, c, d]).await;
        trace.log(barrier.n_waiting());
    });
    assert_eq!(trace.text(), "2 Bx 1 D:2 A:0 C:1 0");
}

fn reset_while_some_wait(env: &Env) {
    let (trace, barrier, task) = setting(3);
    env.run(async {
        let (a, b) = (task("A"), task("B"));
        yield_now().await;
        trace.log(barrier.n_waiting());
        barrier.reset();
        trace.log(barrier.n_waiting());
        trace.log(barrier.is_broken());
        join_all([a, b, task("C"), task("D"), task("E")]).await;
    });
    assert_eq!(trace.text(), "2 0 false A! B! E:2 C:0 D:1");
}

fn aborted_and_reset(env: &Env) {
    let (trace, barrier, task) = setting(3);
    env.run(async {
        let (a, b) = (task("A"), task("B"));
        yield_now().await;
        barrier.abort();
        trace.log(barrier.is_broken());
        join_all([a, b, task("C")]).await;
        barrier.reset();
        trace.log(barrier.is_broken());
        join_all(["D", "E", "F"].map(task)).await;
    });
    assert_eq!(trace.text(), "true A! B! C! false F:2 D:0 E:1");
}

fn aborted_or_reset_after_it_tripped(env: &Env) {
    for (what, expected) in [("abort", "B:1 abort A!"), ("reset", "B:1 reset A!")] {
        let (trace, barrier, task) = setting(2);
        env.run(async {
            let a = task("A");
            yield_now().await;
            // It trips, and A has not run yet.
            party(trace.clone(), Rc::clone(&barrier), "B", 1).await;
            if what == "abort" {
                barrier.abort()
            } else {
                barrier.reset()
            }
            trace.log(what);
            a.await.unwrap();
        });
        assert_eq!(trace.text(), expected);
    }
}

fn waiters_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let barrier = Barrier::new(3);
        drop(barrier.wait());
        assert_eq!((barrier.parties(), barrier.n_waiting()), (3, 0));
        let (first, second) = (ByHand::waiting(barrier.wait()), ByHand::waiting(barrier.wait()));
        assert_eq!(barrier.n_waiting(), 2);
        drop(first);
        assert_eq!(barrier.n_waiting(), 1);
        let mut third = ByHand::waiting(barrier.wait());
        assert_eq!(barrier.wait().await.unwrap().index(), 2);
        // Outside, in two places; inside, and told to leave.
        let (outside, mut fourth) = (ByHand::waiting(barrier.wait()), ByHand::waiting(barrier.wait()));
        let gone = ByHand::waiting(barrier.wait());
        drop((outside, second));
        assert!(third.is_woken() && !fourth.is_woken());
        assert_eq!(third.ready().unwrap().index(), 1);
        assert!(fourth.is_woken() && gone.is_woken());
        drop(gone);
        assert!(fourth.poll().is_pending());
        assert_eq!(barrier.n_waiting(), 1);
        // Told to fail; the next one comes in as if nothing had been.
        barrier.reset();
        drop(fourth);
        let waiter = ByHand::waiting(barrier.wait());
        assert_eq!(format!("{barrier:?}"), "Barrier { state: Filling, parties: 3, n_waiting: 1 }");
        barrier.abort();
        assert_eq!(format!("{barrier:?}"), "Barrier { state: Broken, parties: 3, n_waiting: 0 }");
        drop(waiter);
        assert!(barrier.wait().await.is_err());
    });
}

fn one_leader_though_somebody_left(env: &Env) {
    env.run(async {
        let barrier = Barrier::new(4);
        let first = ByHand::waiting(barrier.wait());
        let mut others = Vec::from([(); 2].map(|()| ByHand::waiting(barrier.wait())));
        drop(first);
        others.push(ByHand::waiting(barrier.wait()));
        let last = barrier.wait().await.unwrap();
        let results = [0, 1, 2].map(|which: usize| others[which].ready().unwrap());
        assert_eq!(results.map(|result| result.index()), [0, 1, 2]);
        assert_eq!(results.map(|result| result.is_leader()), [true, false, false]);
        assert_eq!((last.index(), last.is_leader()), (3, false));
    });
}

fn wakers_that_panic(env: &Env) {
    env.run(async {
        let barrier = Barrier::new(4);
        let manners = || Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() };
        let mut waiters = [(); 3].map(|()| ByHand::with(manners(), barrier.wait()));
        for waiter in &mut waiters {
            assert!(waiter.poll().is_pending() && waiter.poll().is_pending());
        }
        let manners = Manners { panics_on_clone: true, ..Manners::default() };
        let mut lost = ByHand::with(manners, barrier.wait());
        drop(waiters[2].change_waker());
        assert!(waiters[2].poll().is_pending());
        // It trips before it needs a waker.
        assert!(lost.ready().is_ok());
        assert!(waiters.iter_mut().all(|waiter| waiter.is_woken() && waiter.ready().is_ok()));
        let manners = Manners { panics_on_clone: true, ..Manners::default() };
        let mut lost = ByHand::with(manners, barrier.wait());
        assert!(lost.try_poll().is_err());
        assert_eq!(barrier.n_waiting(), 0);
    });
}

fn wakers_that_use_the_barrier(env: &Env) {
    env.run(async {
        let barrier = Rc::new(Barrier::new(3));
        let inner = Rc::clone(&barrier);
        with_meddler(
            // Comes, waits outside, and goes.
            move || drop(ByHand::waiting(inner.wait())),
            |waker| {
                let mut waiters: Vec<_> = (0..2).map(|_| Box::pin(barrier.wait())).collect();
                for waiter in &mut waiters {
                    assert!(waiter.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
                }
                assert_eq!(ByHand::new(barrier.wait()).ready().unwrap().index(), 2);
                for waiter in &mut waiters {
                    assert!(waiter.as_mut().poll(&mut Context::from_waker(waker)).is_ready());
                }
            },
        );
        assert_eq!(barrier.n_waiting(), 0);
    });
}

fn of_one(env: &Env) {
    env.run(async {
        let barrier = Barrier::new(1);
        for _ in 0..3 {
            let result = barrier.wait().await.unwrap();
            assert!(result.is_leader());
        }
        assert_eq!(barrier.n_waiting(), 0);
    });
}

fn of_none(_env: &Env) {
    assert_eq!(panic_of(|| Barrier::new(0)), "a barrier needs at least one party");
}
