//! Spawning, joining, aborting.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::rc::Rc;
use std::task::{Poll, Waker};

use carhop::{spawn, yield_now};
use futures::FutureExt;
use futures::future::{Either, select};

use super::rude_waker::{Manners, RudeWaker};
use super::support::{Count, OnDrop, Trace, cancelled, panic_of, waiting};
use super::{Env, trials};

trials![
    an_output_reaches_its_handle,
    a_handle_knows_whether_its_task_has_finished,
    the_future_is_gone_when_its_output_arrives,
    a_dropped_handle_detaches,
    a_dropped_handle_forgets_who_waits,
    a_handle_is_ready_once,
    no_poll_after_the_end,
    wakes_spawns_and_aborts_from_within_drops,
    slots_are_used_again,
    a_hundred_thousand_tasks,
];

fn an_output_reaches_its_handle(env: &Env) {
    env.run(async {
        let not_send = Rc::new(7);
        let task = spawn(ready(Rc::clone(&not_send)));
        assert!(Rc::ptr_eq(&task.await.unwrap(), &not_send));
        // What has ended before it is asked for, too.
        let task = spawn(async { "early" });
        yield_now().await;
        assert_eq!(task.await.unwrap(), "early");
    });
}

fn a_handle_knows_whether_its_task_has_finished(env: &Env) {
    env.run(async {
        let task = spawn(yield_now());
        assert!(!task.is_finished());
        assert_eq!(format!("{task:?}"), "JoinHandle(running)");
        yield_now().await;
        assert!(!task.is_finished());
        yield_now().await;
        assert!(task.is_finished());
        assert_eq!(format!("{task:?}"), "JoinHandle(finished)");
        task.await.unwrap();

        let task = spawn(pending::<()>());
        task.abort();
        assert!(!task.is_finished(), "an abort takes effect at the next poll");
        yield_now().await;
        assert!(task.is_finished());
    });
}

fn the_future_is_gone_when_its_output_arrives(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let guard = OnDrop({
            let trace = trace.clone();
            move || trace.log("dropped")
        });
        // A future that, unlike an async block, keeps what it captured beyond its end.
        let mut polls = 0;
        let task = spawn(poll_fn(move |cx| {
            let _ = &guard;
            polls += 1;
            if polls == 2 {
                return Poll::Ready("joined");
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        trace.log(task.await.unwrap());
    });
    assert_eq!(trace.text(), "dropped joined");
}

fn a_dropped_handle_detaches(env: &Env) {
    let (ends, drops) = (Count::default(), Count::default());
    env.run(async {
        for yields in 0..3 {
            let (ends, drops) = (ends.clone(), drops.clone());
            let task = spawn(async move {
                for _ in 0..yields {
                    yield_now().await;
                }
                ends.add();
                OnDrop(move || drops.add())
            });
            // Before its first poll, while it is on its way, and after its end.
            for _ in 0..yields {
                yield_now().await;
            }
            drop(task);
        }
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!((ends.get(), drops.get()), (3, 3));
    });
}

fn a_dropped_handle_forgets_who_waits(env: &Env) {
    env.run(async {
        let waker = RudeWaker::new(Manners::default());
        let mut task = spawn(yield_now()).boxed_local();
        assert!(waker.poll(&mut task).unwrap().is_pending());
        assert_eq!(waker.alive(), 1);
        drop(task);
        assert_eq!(waker.alive(), 0);
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(waker.wakes(), 0);
    });
}

fn a_handle_is_ready_once(env: &Env) {
    env.run(async {
        let mut task = spawn(ready(1));
        assert_eq!((&mut task).await.unwrap(), 1);
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let text = panic_of(|| std::pin::Pin::new(&mut task).poll(&mut cx));
        assert_eq!(text, "a JoinHandle was polled after it was ready");
        assert!(task.is_finished());
        task.abort();
    });
}

fn no_poll_after_the_end(env: &Env) {
    env.run(async {
        let waker: Rc<Cell<Option<Waker>>> = Rc::default();
        let (stored, mut polls) = (Rc::clone(&waker), 0);
        let task = spawn(poll_fn(move |cx| {
            polls += 1;
            assert!(polls <= 2, "polled after it was ready");
            stored.set(Some(cx.waker().clone()));
            // Scheduled already when it ends.
            cx.waker().wake_by_ref();
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
        task.await.unwrap();
        let waker = waker.take().unwrap();
        for _ in 0..3 {
            waker.wake_by_ref();
            yield_now().await;
        }
        // Nor is the next task in its place polled without need.
        let (polls, drops) = (Count::default(), Count::default());
        let _task = spawn(waiting(&polls, &drops));
        yield_now().await;
        waker.wake();
        yield_now().await;
        yield_now().await;
        assert_eq!(polls.get(), 1);
    });
}

fn wakes_spawns_and_aborts_from_within_drops(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let other = spawn(pending::<()>());
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let (inner, other) = (trace.clone(), Rc::new(other));
        let aborts = Rc::clone(&other);
        let task = spawn(async move {
            let _guard = OnDrop(move || {
                waker.wake_by_ref();
                aborts.abort();
                let trace = inner.clone();
                spawn(async move { trace.log("spawned by a drop") });
            });
            pending::<()>().await
        });
        yield_now().await;
        task.abort();
        match select(task, pending::<()>()).await {
            Either::Left((result, _)) => assert!(cancelled(result)),
            Either::Right(_) => unreachable!(),
        }
        yield_now().await;
        assert!(other.is_finished());
    });
    assert_eq!(trace.text(), "spawned by a drop");
}

fn slots_are_used_again(env: &Env) {
    env.run(async {
        for round in 0..1000 {
            let tasks: Vec<_> = (0..10).map(|n| spawn(async move { (round, n) })).collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), (round, n));
            }
        }
    });
}

fn a_hundred_thousand_tasks(env: &Env) {
    env.run(async {
        let tasks: Vec<_> = (0..100_000u64)
            .map(|n| {
                spawn(async move {
                    yield_now().await;
                    n
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        assert_eq!(sum, 100_000 * 99_999 / 2);
    });
}
