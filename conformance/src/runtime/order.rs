//! Which task runs when. The traces are those of asyncio, wherever asyncio has the like.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use carhop::net::TcpStream;
use carhop::time::{Instant, sleep, sleep_until};
use carhop::{spawn, yield_now};
use futures::poll;

use super::support::{Count, Trace, join_all, listener};
use super::{Env, trials};

trials![
    three_tasks_that_yield_take_turns,
    the_root_takes_turns_with_what_it_spawned,
    what_was_spawned_before_the_root_runs_before_it,
    tasks_spawned_by_tasks_run_after_those_that_are_ready,
    joiners_wake_in_the_order_of_the_ends,
    a_task_woken_many_times_runs_once,
    the_others_go_on_with_the_next_root,
    sleeps_with_equal_deadlines_end_in_the_order_of_their_first_polls,
    sleeps_that_are_due_together_end_in_the_order_of_their_deadlines,
    a_sleep_of_zero_lets_others_run,
    timers_come_between_steps,
    nothing_arrives_within_a_first_poll,
];

async fn steps(trace: Trace, name: &str, count: u32) {
    for step in 1..count {
        trace.log(format_args!("{name}{step}"));
        yield_now().await;
    }
    trace.log(format_args!("{name}{count}"));
}

fn three_tasks_that_yield_take_turns(env: &Env) {
    let trace = Trace::default();
    env.run(async { join_all(["A", "B", "C"].map(|name| spawn(steps(trace.clone(), name, 3)))).await });
    assert_eq!(trace.text(), "A1 B1 C1 A2 B2 C2 A3 B3 C3");
}

fn the_root_takes_turns_with_what_it_spawned(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        trace.log("root1");
        let (a, b) = (spawn(steps(trace.clone(), "A", 2)), spawn(steps(trace.clone(), "B", 2)));
        trace.log("root2");
        yield_now().await;
        trace.log("root3");
        a.await.unwrap();
        trace.log("root4");
        b.await.unwrap();
        trace.log("root5");
    });
    assert_eq!(trace.text(), "root1 root2 A1 B1 root3 A2 B2 root4 root5");
}

fn what_was_spawned_before_the_root_runs_before_it(env: &Env) {
    let trace = Trace::default();
    let runtime = env.runtime();
    let tasks = ["A", "B"].map(|name| runtime.spawn(steps(trace.clone(), name, 2)));
    runtime.block_on(async {
        trace.log("root");
        join_all(tasks).await;
    });
    assert_eq!(trace.text(), "A1 B1 root A2 B2");
}

fn tasks_spawned_by_tasks_run_after_those_that_are_ready(env: &Env) {
    async fn parent(trace: Trace, name: &'static str) {
        trace.log(name);
        let child = |which| {
            let trace = trace.clone();
            spawn(async move { trace.log(format_args!("{name}{which}")) })
        };
        let children = [child("a"), child("b")];
        yield_now().await;
        trace.log(format_args!("{name}!"));
        join_all(children).await;
    }
    let trace = Trace::default();
    env.run(async { join_all(["A", "B"].map(|name| spawn(parent(trace.clone(), name)))).await });
    assert_eq!(trace.text(), "A B Aa Ab A! Ba Bb B!");
}

fn joiners_wake_in_the_order_of_the_ends(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        // The first works for three polls, the second for one, the third for two.
        let workers = [("1", 2), ("2", 0), ("3", 1)].map(|(name, yields)| {
            let trace = trace.clone();
            let worker = async move {
                for _ in 0..yields {
                    yield_now().await;
                }
                trace.log(format_args!("end{name}"));
                name
            };
            spawn(worker)
        });
        join_all(workers.map(|worker| {
            let trace = trace.clone();
            spawn(async move { trace.log(format_args!("joined{}", worker.await.unwrap())) })
        }))
        .await;
    });
    assert_eq!(trace.text(), "end2 joined2 end3 end1 joined3 joined1");
}

fn a_task_woken_many_times_runs_once(env: &Env) {
    let polls = Count::default();
    env.run(async {
        let waker: Rc<Cell<Option<Waker>>> = Rc::default();
        let (counted, given) = (polls.clone(), Rc::clone(&waker));
        let _task = spawn(poll_fn(move |cx| {
            counted.add();
            given.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        }));
        yield_now().await;
        for round in 1..4 {
            assert_eq!(polls.get(), round);
            let waker = waker.take().unwrap();
            (0..5).for_each(|_| waker.wake_by_ref());
            for _ in 0..8 {
                yield_now().await;
            }
        }
    });
    assert_eq!(polls.get(), 4);
}

fn the_others_go_on_with_the_next_root(env: &Env) {
    let trace = Trace::default();
    let runtime = env.runtime();
    let mut task = None;
    runtime.block_on(async {
        task = Some(spawn(steps(trace.clone(), "A", 3)));
        trace.log("first");
        yield_now().await;
        trace.log("end");
    });
    assert_eq!(trace.text(), "first A1 end");
    runtime.block_on(async {
        trace.log("second");
        task.take().unwrap().await.unwrap();
    });
    assert_eq!(trace.text(), "first A1 end A2 second A3");
}

async fn log_at(trace: Trace, deadline: Instant, name: u32) {
    sleep_until(deadline).await;
    trace.log(name);
}

fn sleeps_with_equal_deadlines_end_in_the_order_of_their_first_polls(env: &Env) {
    for wait in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(70)] {
        let trace = Trace::default();
        env.run(async {
            let deadline = Instant::now() + wait;
            join_all((1..=9).map(|name| spawn(log_at(trace.clone(), deadline, name)))).await;
        });
        assert_eq!(trace.text(), "1 2 3 4 5 6 7 8 9", "after {wait:?}");
    }
}

fn sleeps_that_are_due_together_end_in_the_order_of_their_deadlines(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        // There must be a time long ago.
        sleep(Duration::from_millis(10)).await;
        let now = Instant::now();
        let after = |us| now + Duration::from_micros(us);
        let sleeps = [7, 3, 9, 1, 5].map(|name| spawn(log_at(trace.clone(), after(name.into()), name)));
        // Set before this block_on began, so to speak: these are overdue when they are first polled.
        let overdue = [4, 2].map(|name| {
            let long_ago = now - Duration::from_millis(9 - u64::from(name));
            spawn(log_at(trace.clone(), long_ago, name))
        });
        while Instant::now() <= after(10) {}
        join_all(sleeps).await;
        join_all(overdue).await;
    });
    assert_eq!(trace.text(), "2 4 1 3 5 7 9");
}

fn a_sleep_of_zero_lets_others_run(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let task = spawn(steps(trace.clone(), "A", 1));
        sleep(Duration::ZERO).await;
        trace.log("root");
        task.await.unwrap();
    });
    assert_eq!(trace.text(), "A1 root");
}

fn timers_come_between_steps(env: &Env) {
    for (polls_per_step, expected) in [(1, "S1 Y1 S2 Y2 Y3 Y4 Y5"), (256, "S1 Y1 Y2 Y3 Y4 Y5 S2")] {
        let trace = Trace::default();
        let runtime = env.builder().polls_per_step(polls_per_step).build().unwrap();
        runtime.block_on(async {
            let sleeper = spawn({
                let trace = trace.clone();
                async move {
                    trace.log("S1");
                    sleep(Duration::ZERO).await;
                    trace.log("S2");
                }
            });
            join_all([sleeper, spawn(steps(trace.clone(), "Y", 5))]).await;
        });
        assert_eq!(trace.text(), expected, "{polls_per_step} polls a step");
    }
}

fn nothing_arrives_within_a_first_poll(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let mut connect = pin!(TcpStream::connect(addr));
        assert!(poll!(&mut connect).is_pending());
        let mut client = connect.await.unwrap();

        let mut accept = pin!(listener.accept());
        assert!(poll!(&mut accept).is_pending());
        let (mut server, _) = accept.await.unwrap();

        client.write_all(b"hello").await.unwrap();
        let mut buf = [0; 5];
        {
            let mut read = pin!(server.read_exact(&mut buf));
            assert!(poll!(&mut read).is_pending());
            read.await.unwrap();
        }
        assert_eq!(&buf, b"hello");
    });
}
