//! Sets of tasks that are joined as they end.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use carhop::task::JoinSet;
use carhop::time::{Instant, sleep};
use carhop::{spawn, yield_now};
use futures::executor::block_on;
use futures::poll;

use super::support::{Count, OnDrop, Trace, cancelled, panic_of, panic_quietly, waiting};
use super::{Env, trials};

trials![
    outputs_come_in_the_order_of_the_ends,
    join_all_returns_in_the_order_of_spawning,
    panics_and_aborts_come_in_their_turn,
    a_drop_aborts_all_in_the_order_of_spawning,
    aborted_tasks_stay_to_be_joined,
    detached_tasks_go_on_and_leave_the_set_alone,
    shutdown_waits_for_the_drops,
    a_join_that_is_given_up_loses_nothing,
    a_look_takes_what_has_ended,
    a_waker_that_joins_at_once,
    a_set_that_outlives_its_runtime,
    what_could_not_be_spawned_leaves_no_trace,
    many_tasks_in_few_places,
    join_macros_with_borrowed_data,
    tasks_gathered_by_their_handles,
];

/// Yields, says so, and returns its name.
fn worker(trace: &Trace, name: &'static str, yields: u32) -> impl Future<Output = &'static str> + use<> {
    let trace = trace.clone();
    async move {
        for _ in 0..yields {
            yield_now().await;
        }
        trace.log(format_args!("end{name}"));
        name
    }
}

/// The trace is CPython's: `asyncio.as_completed` over three such workers that yield with `sleep(0)`.
fn outputs_come_in_the_order_of_the_ends(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let workers = [("A", 16), ("B", 0), ("C", 8)];
        let mut set: JoinSet<_> =
            workers.map(|(name, yields)| worker(&trace, name, yields)).into_iter().collect();
        assert_eq!(format!("{set:?}"), "JoinSet(3 tasks)");
        while let Some(name) = set.join_next().await {
            trace.log(format_args!("next{}", name.unwrap()));
        }
        assert!(set.is_empty());
    });
    assert_eq!(trace.text(), "endB nextB endC nextC endA nextA");

    // Those that have ended before anybody asks.
    let trace = Trace::default();
    env.run(async {
        let workers = [("A", 2), ("B", 0), ("C", 1)];
        let mut set: JoinSet<_> =
            workers.map(|(name, yields)| worker(&trace, name, yields)).into_iter().collect();
        sleep(Duration::from_millis(1)).await;
        while let Some(name) = set.join_next().await {
            trace.log(format_args!("next{}", name.unwrap()));
        }
    });
    assert_eq!(trace.text(), "endB endC endA nextB nextC nextA");
}

/// The traces are CPython's: `asyncio.gather`, and with `return_exceptions=True` where some raise.
fn join_all_returns_in_the_order_of_spawning(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let mut set = JoinSet::new();
        // Places that are used again, so that they do not tell the order.
        for _ in 0..3 {
            set.spawn(async { "" });
        }
        while set.join_next().await.is_some() {}
        for (name, yields) in [("A", 2), ("B", 0), ("C", 1)] {
            set.spawn(worker(&trace, name, yields));
        }
        let names: Vec<_> = set.join_all().await.into_iter().map(Result::unwrap).collect();
        trace.log(format_args!("gathered{}", names.concat()));
    });
    assert_eq!(trace.text(), "endB endC endA gatheredABC");

    let trace = Trace::default();
    env.run(async {
        let mut set = JoinSet::new();
        for (name, yields, fails) in [("A", 1, true), ("B", 0, false), ("C", 0, true)] {
            let work = worker(&trace, name, yields);
            set.spawn(async move {
                let name = work.await;
                if fails { panic_quietly(name) } else { name }
            });
        }
        let outputs = set.join_all().await.into_iter().map(|output| match output {
            Ok(name) => name.to_owned(),
            Err(error) => format!("ValueError({})", error.into_panic().unwrap().downcast::<&str>().unwrap()),
        });
        trace.log(format_args!("gathered:{}", outputs.collect::<Vec<_>>().join(",")));
    });
    assert_eq!(trace.text(), "endB endC endA gathered:ValueError(A),B,ValueError(C)");
}

fn panics_and_aborts_come_in_their_turn(env: &Env) {
    env.run(async {
        let mut set = JoinSet::new();
        set.spawn(async {
            yield_now().await;
            "ready"
        });
        set.spawn(async { panic_quietly("at once") });
        set.spawn(async {
            // Its drop panics, and that is the output.
            let _guard = OnDrop(|| panic_quietly("in a drop"));
            pending().await
        });
        let error = set.join_next().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: at once");
        assert_eq!(set.join_next().await.unwrap().unwrap(), "ready");
        set.abort_all();
        let error = set.join_next().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: in a drop");
        assert!(set.join_next().await.is_none());
    });
}

fn a_drop_aborts_all_in_the_order_of_spawning(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let mut set = JoinSet::new();
        // The place that was free last is taken first.
        for yields in [0, 1] {
            set.spawn(async move {
                for _ in 0..yields {
                    yield_now().await;
                }
            });
        }
        while set.join_next().await.is_some() {}
        for name in ["A", "B", "C"] {
            let trace = trace.clone();
            set.spawn(async move {
                let _guard = OnDrop(|| trace.log(name));
                pending().await
            });
        }
        yield_now().await;
        drop(set);
        trace.log("dropped");
        yield_now().await;
        trace.log("end");
    });
    assert_eq!(trace.text(), "dropped A B C end");
}

fn aborted_tasks_stay_to_be_joined(env: &Env) {
    env.run(async {
        let mut set: JoinSet<()> = JoinSet::default();
        (0..3).for_each(|_| drop(set.spawn(pending())));
        set.spawn(async {});
        yield_now().await;
        set.abort_all();
        assert_eq!(set.len(), 4);
        assert!(set.join_next().await.unwrap().is_ok());
        for left in [2, 1, 0] {
            assert!(cancelled(set.join_next().await.unwrap()));
            assert_eq!(set.len(), left);
        }
        assert!(set.join_next().await.is_none());
    });
}

fn detached_tasks_go_on_and_leave_the_set_alone(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let mut set = JoinSet::new();
        set.spawn(worker(&trace, "A", 3));
        set.spawn(worker(&trace, "B", 16));
        yield_now().await;
        set.detach_all();
        assert!(set.is_empty() && set.join_next().await.is_none());
        // In the places of those that were let go.
        set.spawn(worker(&trace, "C", 30));
        set.spawn(worker(&trace, "D", 6));
        trace.log(format_args!("next{}", set.join_next().await.unwrap().unwrap()));
        trace.log(format_args!("next{}", set.join_next().await.unwrap().unwrap()));
    });
    assert_eq!(trace.text(), "endA endD nextD endB endC nextC");
}

fn shutdown_waits_for_the_drops(env: &Env) {
    let (polls, drops) = (Count::default(), Count::default());
    env.run(async {
        let mut set = JoinSet::new();
        (0..100).for_each(|_| drop(set.spawn(waiting(&polls, &drops))));
        yield_now().await;
        set.shutdown().await;
        assert_eq!((polls.get(), drops.get(), set.len()), (100, 100, 0));
        set.shutdown().await;
    });
}

fn a_join_that_is_given_up_loses_nothing(env: &Env) {
    env.run(async {
        for polls in 0..6 {
            let mut set = JoinSet::new();
            for yields in [3, 1] {
                set.spawn(async move {
                    for _ in 0..yields {
                        yield_now().await;
                    }
                    yields
                });
            }
            let mut given_up = Vec::new();
            {
                let mut join = Box::pin(set.join_next());
                for _ in 0..polls {
                    if let Poll::Ready(output) = poll!(&mut join) {
                        given_up.push(output.unwrap().unwrap());
                        break;
                    }
                    yield_now().await;
                }
            }
            while let Some(output) = set.join_next().await {
                given_up.push(output.unwrap());
            }
            assert_eq!(given_up, [1, 3], "given up after {polls} polls");
        }
    });
}

fn a_look_takes_what_has_ended(env: &Env) {
    env.run(async {
        let mut set = JoinSet::new();
        assert!(set.try_join_next().is_none());
        for yields in [1, 0] {
            set.spawn(async move {
                for _ in 0..yields {
                    yield_now().await;
                }
                yields
            });
        }
        assert!(set.try_join_next().is_none());
        yield_now().await;
        assert_eq!(set.try_join_next().unwrap().unwrap(), 0);
        assert!(set.try_join_next().is_none());
        yield_now().await;
        assert_eq!(set.try_join_next().unwrap().unwrap(), 1);
        assert!(set.is_empty());
    });
}

thread_local! {
    static JOINED_AT_ONCE: RefCell<JoinSet<u32>> = RefCell::default();
    static LOOKS: RefCell<Vec<Poll<u32>>> = const { RefCell::new(Vec::new()) };
}

/// Joins within the wake.
struct JoinsAtOnce;

impl Wake for JoinsAtOnce {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self);
        let poll = JOINED_AT_ONCE.with_borrow_mut(|set| set.poll_join_next(&mut Context::from_waker(&waker)));
        LOOKS.with_borrow_mut(|looks| looks.push(poll.map(|output| output.unwrap().unwrap())));
    }
}

/// The notice of an end comes while the task's future is being dropped: a moment before its output can be had.
fn a_waker_that_joins_at_once(env: &Env) {
    env.run(async {
        JOINED_AT_ONCE.with_borrow_mut(|set| drop(set.spawn(async { 7 })));
        Arc::new(JoinsAtOnce).wake();
        yield_now().await;
    });
    assert_eq!(LOOKS.take(), [Poll::Pending, Poll::Pending, Poll::Ready(7)]);
}

fn a_set_that_outlives_its_runtime(env: &Env) {
    let runtime = env.runtime();
    let mut set = runtime.block_on(async {
        let mut set = JoinSet::new();
        set.spawn(pending());
        set.spawn(async { 1 });
        set.spawn(pending());
        yield_now().await;
        set
    });
    drop(runtime);
    assert_eq!(block_on(set.join_next()).unwrap().unwrap(), 1);
    assert!(cancelled(block_on(set.join_next()).unwrap()));
    set.abort_all();
    assert!(cancelled(block_on(set.join_next()).unwrap()));
    assert!(block_on(set.join_next()).is_none());
}

fn what_could_not_be_spawned_leaves_no_trace(env: &Env) {
    let mut set = JoinSet::new();
    for _ in 0..2 {
        assert!(panic_of(|| set.spawn(async { 0 })).starts_with("spawn needs a running carhop runtime"));
    }
    env.run(async {
        assert!(set.is_empty() && set.join_next().await.is_none());
        // It has the place that the others would have had, and is not taken for one of them.
        let first = set.spawn(pending());
        set.spawn(async { 1 });
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
        first.abort();
        assert!(cancelled(set.join_next().await.unwrap()));
        assert!(set.join_next().await.is_none());
    });
}

fn many_tasks_in_few_places(env: &Env) {
    env.run(async {
        let (mut set, mut sum) = (JoinSet::new(), 0u64);
        for number in 0..10_000 {
            set.spawn(async move {
                for _ in 0..number % 7 {
                    yield_now().await;
                }
                number
            });
            if set.len() == 16 {
                sum += set.join_next().await.unwrap().unwrap();
            }
        }
        sum += set.join_all().await.into_iter().map(Result::unwrap).sum::<u64>();
        assert_eq!(sum, 9_999 * 10_000 / 2);
    });
}

/// `gather` over coroutines, which needs no tasks here.
fn join_macros_with_borrowed_data(env: &Env) {
    async fn later<T>(ms: u64, value: T) -> T {
        sleep(Duration::from_millis(ms)).await;
        value
    }
    env.run(async {
        let (name, count) = (String::from("borrowed"), std::cell::Cell::new(0));
        let add = async |ms| {
            later(ms, ()).await;
            count.set(count.get() + 1);
            &name[..]
        };
        let start = Instant::now();
        assert_eq!(futures::join!(add(60), add(50), add(40)), ("borrowed", "borrowed", "borrowed"));
        // The longest, not the sum.
        assert!(start.elapsed() < Duration::from_millis(150));
        assert_eq!(futures::future::join_all([2, 0, 1].map(|ms| later(ms, ms))).await, [2, 0, 1]);
        let failed = futures::try_join!(async { Ok::<_, &str>(add(1).await) }, async {
            later(2, ()).await;
            Err::<(), _>(&name[..])
        });
        assert_eq!((failed, count.get()), (Err("borrowed"), 4));
        let tried = futures::future::try_join_all([3, 1].map(async |ms| Ok::<_, ()>(later(ms, ms).await)));
        assert_eq!(tried.await, Ok(vec![3, 1]));
    });
}

/// The trace is CPython's, of `asyncio.gather` over three tasks.
fn tasks_gathered_by_their_handles(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let tasks = [("A", 2), ("B", 0), ("C", 1)].map(|(name, yields)| spawn(worker(&trace, name, yields)));
        let names: Vec<_> = futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        trace.log(format_args!("gathered{}", names.concat()));
    });
    assert_eq!(trace.text(), "endB endC endA gatheredABC");
}
