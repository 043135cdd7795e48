//! Who runs next, where a policy says so.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use carhop::policy::{Lifo, Policy, Priority, Ready, SeededRandom, WeightedShares};
use carhop::task::{self, TaskId};
use carhop::time::sleep;
use carhop::{JoinHandle, Runtime, spawn, yield_now};
use futures::channel::oneshot;

use super::support::{Count, OnDrop, Trace, cancelled, pair};
use super::{Env, trials};

trials![
    lifo,
    lifo_starves_as_its_documentation_says,
    priority,
    a_priority_for_each_task,
    priority_starves_as_its_documentation_says,
    weighted_shares_of_three_to_one,
    a_share_that_was_idle_gets_no_arrears,
    the_same_seed_gives_the_same_order,
    each_seed_runs_everything,
    one_of_a_users_own,
    the_root_is_scheduled_like_any_task,
    aborts_of_tasks_that_are_held,
    a_runtime_dropped_while_its_policy_holds_tasks,
    timers_threads_and_sockets,
    each_task_is_told_of_once,
];

pub(super) fn with<P: Policy + 'static>(env: &Env, make: impl Fn() -> P + Send + Sync + 'static) -> Runtime {
    env.builder().policy(make).build().unwrap()
}

/// A runtime with a policy, and what is reported of it.
pub(super) fn reported<P: Policy + 'static>(
    env: &Env,
    make: impl Fn() -> P + Send + Sync + 'static,
) -> (Runtime, Arc<Mutex<Vec<String>>>) {
    let incidents: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&incidents);
    let builder = env.builder().on_incident(move |incident| told.lock().unwrap().push(incident.to_string()));
    (builder.policy(make).build().unwrap(), incidents)
}

/// A task that logs its name in each of its polls.
pub(super) fn worker(trace: &Trace, name: &'static str, priority: u32, polls: u32) -> JoinHandle<()> {
    let trace = trace.clone();
    task::Builder::new().name(name).priority(priority).spawn(async move {
        for _ in 1..polls {
            trace.log(name);
            yield_now().await;
        }
        trace.log(name);
    })
}

pub(super) async fn join_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) {
    for handle in handles {
        handle.await.unwrap();
    }
}

/// First in, first out; what the broken ones are made of.
#[derive(Default)]
pub(super) struct Fifo(VecDeque<TaskId>);

impl Policy for Fifo {
    fn push(&mut self, task: Ready) {
        self.0.push_back(task.task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.0.pop_front()
    }
}

fn lifo(env: &Env) {
    let trace = Trace::default();
    with(env, Lifo::new)
        .block_on(async { join_all(["a", "b", "c"].map(|name| worker(&trace, name, 1, 2))).await });
    assert_eq!(trace.text(), "c c b b a a");
}

fn lifo_starves_as_its_documentation_says(env: &Env) {
    let trace = Trace::default();
    with(env, Lifo::new).block_on(async {
        let patient = worker(&trace, "patient", 1, 1);
        // More than a step has polls.
        for _ in 0..1000 {
            yield_now().await;
        }
        assert_eq!(trace.text(), "");
        patient.await.unwrap();
    });
    assert_eq!(trace.text(), "patient");
}

fn priority(env: &Env) {
    let trace = Trace::default();
    with(env, Priority::new).block_on(async {
        let tasks = [("a", 1), ("b", 3), ("c", 2), ("d", 3), ("e", 0)];
        join_all(tasks.map(|(name, priority)| worker(&trace, name, priority, 2))).await;
    });
    // The root has the priority of `a`, and asks for it first; it has been told of the end of `a` only.
    assert_eq!(trace.text(), "b d b d c c a a e e");
}

/// Deadlines, say. Looking through all there ever were takes minutes.
fn a_priority_for_each_task(env: &Env) {
    const TASKS: u32 = 100_000;
    let (order, runtime) = (Rc::new(RefCell::new(Vec::new())), with(env, Priority::new));
    runtime.block_on(async {
        let tasks = (0..TASKS).map(|number| {
            let order = Rc::clone(&order);
            // All of them differ, and the root's is the lowest.
            let priority = 2 + (number ^ 0x2a);
            task::Builder::new().priority(priority).spawn(async move { order.borrow_mut().push(priority) })
        });
        join_all(tasks.collect::<Vec<_>>()).await;
    });
    let order = order.take();
    assert!(order.len() == TASKS as usize && order.is_sorted_by(|one, next| one > next));
}

fn priority_starves_as_its_documentation_says(env: &Env) {
    let (trace, fired) = (Trace::default(), Count::default());
    with(env, Priority::new).block_on(async {
        let low = worker(&trace, "low", 2, 1);
        let (high, fire) = (trace.clone(), fired.clone());
        // The timer is fired all the same, while somebody is always ready.
        let timer = task::Builder::new().priority(9).spawn(async move {
            sleep(Duration::from_millis(1)).await;
            fire.add();
        });
        let fire = fired.clone();
        let high = task::Builder::new().priority(8).spawn(async move {
            while fire.get() == 0 {
                yield_now().await;
            }
            high.log("high");
        });
        join_all([low, timer, high]).await;
    });
    assert_eq!(trace.text(), "high low");
}

fn weighted_shares_of_three_to_one(env: &Env) {
    let trace = Trace::default();
    with(env, || WeightedShares::new([(10, 3), (20, 1)])).block_on(async {
        join_all([worker(&trace, "x", 10, 9), worker(&trace, "y", 20, 4)]).await;
    });
    assert_eq!(trace.text(), "x y x x x y x x x y x x y");
    // Two tasks of one class have the class's share between them.
    let trace = Trace::default();
    with(env, || WeightedShares::new([(10, 3), (20, 1)])).block_on(async {
        join_all([worker(&trace, "x", 10, 5), worker(&trace, "X", 10, 4), worker(&trace, "y", 20, 3)]).await;
    });
    assert_eq!(trace.text(), "x y X x X y x X x y X x");
}

fn a_share_that_was_idle_gets_no_arrears(env: &Env) {
    let trace = Trace::default();
    with(env, || WeightedShares::new([(10, 3), (20, 1)])).block_on(async {
        let log = trace.clone();
        let first = task::Builder::new().priority(20).spawn(async move {
            for _ in 0..5 {
                log.log("y");
                yield_now().await;
            }
            let late = worker(&log, "x", 10, 9);
            for _ in 0..3 {
                log.log("y");
                yield_now().await;
            }
            late.await.unwrap();
        });
        first.await.unwrap();
    });
    assert_eq!(trace.text(), "y y y y y y x x x x y x x x y x x");
}

fn in_the_order_of(env: &Env, seed: u64) -> String {
    let trace = Trace::default();
    with(env, move || SeededRandom::new(seed)).block_on(async {
        join_all(["a", "b", "c", "d"].map(|name| worker(&trace, name, 1, 4))).await;
    });
    trace.text()
}

fn the_same_seed_gives_the_same_order(env: &Env) {
    // A literal, so that it is the same on each backend and on each day.
    assert_eq!(in_the_order_of(env, 7), "a c b d b b d b c a d d c a c a");
    assert_eq!(in_the_order_of(env, 7), in_the_order_of(env, 7));
}

fn each_seed_runs_everything(env: &Env) {
    let orders: BTreeSet<String> = (0..32).map(|seed| in_the_order_of(env, seed)).collect();
    assert!(orders.len() > 28, "{} orders of 32 seeds", orders.len());
    for order in orders {
        let mut names: Vec<_> = order.split(' ').collect();
        names.sort();
        assert_eq!(names.join(""), "aaaabbbbccccdddd");
    }
}

/// The newest slot first.
#[derive(Default)]
struct Highest(BTreeSet<TaskId>);

impl Policy for Highest {
    fn push(&mut self, task: Ready) {
        self.0.insert(task.task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.0.pop_last()
    }
}

fn one_of_a_users_own(env: &Env) {
    let trace = Trace::default();
    with(env, Highest::default)
        .block_on(async { join_all(["a", "b", "c"].map(|name| worker(&trace, name, 1, 2))).await });
    assert_eq!(trace.text(), "c c b b a a");
}

fn the_root_is_scheduled_like_any_task(env: &Env) {
    let trace = Trace::default();
    let runtime = with(env, Priority::new);
    let low = runtime.block_on(async {
        let (high, low) = (worker(&trace, "high", 2, 2), worker(&trace, "low", 0, 1));
        trace.log("root");
        yield_now().await;
        trace.log("root");
        high.await.unwrap();
        Some(low)
    });
    assert_eq!(trace.text(), "root high high root");
    // What it holds, it holds until the next one.
    runtime.block_on(async {
        trace.log("next");
        low.unwrap().await.unwrap();
    });
    assert_eq!(trace.text(), "root high high root next low");
}

fn aborts_of_tasks_that_are_held(env: &Env) {
    let trace = Trace::default();
    let runtime = with(env, Priority::new);
    runtime.block_on(async {
        let low = worker(&trace, "low", 0, 3);
        yield_now().await;
        low.abort();
        assert!(cancelled(low.await));
        // The slot and its number are used again.
        join_all((0..100).map(|_| worker(&trace, "next", 0, 2))).await;
    });
    assert_eq!(trace.text(), vec!["next"; 200].join(" "));
}

fn a_runtime_dropped_while_its_policy_holds_tasks(env: &Env) {
    let (drops, polls) = (Count::default(), Count::default());
    let runtime = with(env, Priority::new);
    runtime.block_on(async {
        for _ in 0..100 {
            let (dropped, polled) = (drops.clone(), polls.clone());
            let guard = OnDrop(move || dropped.add());
            drop(task::Builder::new().priority(0).spawn(async move {
                let _guard = guard;
                polled.add();
            }));
        }
        yield_now().await;
    });
    assert_eq!(drops.get(), 0);
    drop(runtime);
    assert_eq!((drops.get(), polls.get()), (100, 0));
}

fn timers_threads_and_sockets(env: &Env) {
    let runtimes = [
        with(env, Lifo::new),
        with(env, Priority::new),
        with(env, || WeightedShares::new([(1, 2)])),
        with(env, || SeededRandom::new(1)),
        with(env, Fifo::default),
    ];
    for runtime in runtimes {
        runtime.block_on(async {
            let mut tasks = Vec::new();
            for _ in 0..100 {
                let (sender, receiver) = oneshot::channel();
                tasks.push(spawn(async move {
                    sleep(Duration::from_micros(10)).await;
                    let thread = thread::spawn(move || sender.send(()).unwrap());
                    receiver.await.unwrap();
                    thread.join().unwrap();
                }));
            }
            let (mut near, mut far) = pair().await;
            tasks.push(spawn(async move { far.read_exact(&mut [0; 5]).await.unwrap() }));
            near.write_all(b"hello").await.unwrap();
            join_all(tasks).await;
        });
    }
}

/// First in, first out, and strict with the loop.
#[derive(Default)]
struct Strict(Fifo, BTreeSet<TaskId>);

impl Policy for Strict {
    fn push(&mut self, task: Ready) {
        assert!(self.1.insert(task.task), "told twice of {}", task.task);
        self.0.push(task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        let task = self.0.pop()?;
        self.1.remove(&task);
        Some(task)
    }
}

fn each_task_is_told_of_once(env: &Env) {
    let (runtime, incidents) = reported(env, Strict::default);
    runtime.block_on(async {
        for _ in 0..50 {
            let wakers: Vec<Waker> = {
                let tasks = (0..20).map(|_| spawn(poll_fn(|cx| Poll::Ready(cx.waker().clone()))));
                let mut wakers = Vec::new();
                for task in tasks.collect::<Vec<_>>() {
                    wakers.push(task.await.unwrap());
                }
                wakers
            };
            // Their tasks have ended, and others get their slots.
            let thread = thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
            let next: Vec<_> = (0..20).map(|_| spawn(yield_now())).collect();
            thread.join().unwrap();
            join_all(next).await;
        }
    });
    assert_eq!(*incidents.lock().unwrap(), [""; 0]);
}
