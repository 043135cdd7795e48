//! Policies that panic, choose badly, or do what is not theirs to do.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use carhop::policy::{Lifo, Policy, Ready};
use carhop::task::{self, TaskId};
use carhop::{Handle, spawn, yield_now};

use super::policies::{Fifo, join_all, reported, with, worker};
use super::support::{Count, Trace, panic_of, panic_quietly};
use super::{Env, trials};

trials![
    panics_in_push_and_pop,
    panics_in_drop,
    panics_while_it_is_made,
    one_that_chooses_nothing_does_not_spin,
    one_that_names_each_task_twice,
    one_that_always_names_the_first_task,
    one_that_spawns_and_wakes,
    one_that_spawns_without_end,
    it_runs_in_no_task,
];

/// Panics with a call of its own choice.
struct Bomb {
    fifo: Fifo,
    calls_left: u32,
    in_push: bool,
    in_drop: bool,
}

impl Bomb {
    fn tick(&mut self, in_push: bool) {
        if self.in_push == in_push {
            self.calls_left = self.calls_left.saturating_sub(1);
            if self.calls_left == 0 {
                panic_quietly("a policy");
            }
        }
    }
}

impl Policy for Bomb {
    fn push(&mut self, task: Ready) {
        self.tick(true);
        self.fifo.push(task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        let task = self.fifo.pop();
        self.tick(false);
        task
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.in_drop {
            panic_quietly("its drop");
        }
    }
}

const PANICKED: &str = "the scheduling policy, which is not asked any more, panicked: a policy";

fn panics_in_push_and_pop(env: &Env) {
    for in_push in [true, false] {
        for calls_left in 1..30 {
            let fifo = Fifo::default;
            let make = move || Bomb { fifo: fifo(), calls_left, in_push, in_drop: false };
            let (runtime, incidents) = reported(env, make);
            let trace = Trace::default();
            runtime.block_on(async {
                join_all(["a", "b", "c"].map(|name| worker(&trace, name, 1, 10))).await;
                // First in, first out from now on.
                let trace = Trace::default();
                join_all(["a", "b", "c"].map(|name| worker(&trace, name, 1, 2))).await;
                assert_eq!(trace.text(), "a b c a b c");
            });
            for name in ["a", "b", "c"] {
                assert_eq!(trace.text().matches(name).count(), 10, "{}", trace.text());
            }
            assert_eq!(*incidents.lock().unwrap(), [PANICKED]);
        }
    }
}

fn panics_in_drop(env: &Env) {
    let fifo = Fifo::default;
    let make = move |calls_left| Bomb { fifo: fifo(), calls_left, in_push: true, in_drop: true };
    let (runtime, incidents) = reported(env, move || make(3));
    let trace = Trace::default();
    runtime.block_on(async { join_all(["a", "b"].map(|name| worker(&trace, name, 1, 3))).await });
    drop(runtime);
    assert_eq!(*incidents.lock().unwrap(), ["a drop panicked: its drop", PANICKED]);
    // And with the runtime.
    let (runtime, incidents) = reported(env, move || make(u32::MAX));
    drop(runtime.spawn(yield_now()));
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(*incidents.lock().unwrap(), ["a drop panicked: its drop"]);
}

fn panics_while_it_is_made(env: &Env) {
    let make = || -> Lifo { panic_quietly("while it is made") };
    let builder = env.builder().policy(make);
    assert_eq!(panic_of(|| builder.build()), "while it is made");
    env.run(async { spawn(yield_now()).await.unwrap() });
}

/// Chooses nobody until it may.
struct Sulky {
    fifo: Fifo,
    asked: Arc<AtomicUsize>,
    may: Arc<AtomicBool>,
}

impl Policy for Sulky {
    fn push(&mut self, task: Ready) {
        self.fifo.push(task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.may.load(Ordering::Relaxed) { self.fifo.pop() } else { None }
    }
}

fn one_that_chooses_nothing_does_not_spin(env: &Env) {
    let (asked, may) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let its = (Arc::clone(&asked), Arc::clone(&may));
    let runtime = with(env, move || Sulky {
        fifo: Fifo::default(),
        asked: Arc::clone(&its.0),
        may: Arc::clone(&its.1),
    });
    // Chooses until here, to hand out a handle.
    may.store(true, Ordering::Relaxed);
    let handle = runtime.block_on(async { Handle::current() });
    may.store(false, Ordering::Relaxed);
    let before = asked.load(Ordering::Relaxed);
    let thread = thread::spawn(move || {
        while asked.load(Ordering::Relaxed) == before {
            thread::yield_now();
        }
        // Plenty of time to ask a million times.
        thread::sleep(Duration::from_millis(30));
        let times = asked.load(Ordering::Relaxed) - before;
        assert!(times < 5, "asked {times} times, with no news");
        // Another thread is news.
        may.store(true, Ordering::Relaxed);
        handle.post(|| ()).unwrap();
    });
    runtime.block_on(async { join_all((0..3).map(|_| spawn(yield_now()))).await });
    thread.join().unwrap();
}

/// Names each task two times.
#[derive(Default)]
struct Twice(Fifo, Option<TaskId>);

impl Policy for Twice {
    fn push(&mut self, task: Ready) {
        self.0.push(task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.1.take().or_else(|| {
            self.1 = self.0.pop();
            self.1
        })
    }
}

fn one_that_names_each_task_twice(env: &Env) {
    let (runtime, incidents) = reported(env, Twice::default);
    let trace = Trace::default();
    runtime.block_on(async { join_all(["a", "b", "c"].map(|name| worker(&trace, name, 1, 100))).await });
    assert_eq!(trace.text().len(), 599);
    assert_eq!(*incidents.lock().unwrap(), [""; 0]);
}

/// Names the first task that it was ever told of.
#[derive(Default)]
struct Stuck(Option<TaskId>);

impl Policy for Stuck {
    fn push(&mut self, task: Ready) {
        self.0.get_or_insert(task.task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.0
    }
}

fn one_that_always_names_the_first_task(env: &Env) {
    let (runtime, incidents) = reported(env, Stuck::default);
    let trace = Trace::default();
    runtime.block_on(async { join_all(["a", "b"].map(|name| worker(&trace, name, 1, 2))).await });
    assert_eq!(trace.text(), "a b a b");
    let text = "the scheduling policy, which is not asked any more, panicked: it keeps choosing tasks that are not \
                ready";
    assert_eq!(*incidents.lock().unwrap(), [text]);
}

thread_local! {
    /// What the policy of this thread wakes.
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Spawns and wakes whenever it is called.
struct Busy {
    fifo: Fifo,
    spawns_left: u32,
}

impl Busy {
    fn work(&mut self) {
        if self.spawns_left > 0 {
            self.spawns_left -= 1;
            drop(spawn(yield_now()));
            drop(task::Builder::new().eager(true).spawn(async { drop(spawn(yield_now())) }));
        }
        WAKERS.with_borrow(|wakers| wakers.iter().for_each(Waker::wake_by_ref));
    }
}

impl Policy for Busy {
    fn push(&mut self, task: Ready) {
        self.work();
        self.fifo.push(task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.work();
        self.fifo.pop()
    }
}

fn one_that_spawns_and_wakes(env: &Env) {
    for spawns_left in [10, 100] {
        let (runtime, incidents) = reported(env, move || Busy { fifo: Fifo::default(), spawns_left });
        let polls = Rc::new(Count::default());
        let polled = Rc::clone(&polls);
        runtime.block_on(async {
            drop(spawn(poll_fn::<(), _>(move |cx| {
                polled.add();
                WAKERS.with_borrow_mut(|wakers| *wakers = vec![cx.waker().clone()]);
                Poll::Pending
            })));
            for _ in 0..5 {
                yield_now().await;
            }
        });
        WAKERS.take();
        assert!(polls.get() > 2);
        assert_eq!(*incidents.lock().unwrap(), [""; 0]);
    }
}

/// Spawns with each task that it is told of.
#[derive(Default)]
struct Breeder(Fifo);

impl Policy for Breeder {
    fn push(&mut self, task: Ready) {
        drop(spawn(async {}));
        self.0.push(task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.0.pop()
    }
}

fn one_that_spawns_without_end(env: &Env) {
    let (runtime, incidents) = reported(env, Breeder::default);
    runtime.block_on(async {
        for _ in 0..5 {
            yield_now().await;
        }
    });
    // Until there is no room for tasks any more, it would say.
    assert_eq!(*incidents.lock().unwrap(), [""; 0]);
}

/// Asks who it is.
struct Curious(Fifo, Arc<AtomicUsize>);

impl Policy for Curious {
    fn push(&mut self, task: Ready) {
        self.1.fetch_add(usize::from(task::current().is_some()), Ordering::Relaxed);
        self.0.push(task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.1.fetch_add(usize::from(task::current().is_some()), Ordering::Relaxed);
        self.0.pop()
    }
}

fn it_runs_in_no_task(env: &Env) {
    let within = Arc::<AtomicUsize>::default();
    let its = Arc::clone(&within);
    let runtime = with(env, move || Curious(Fifo::default(), Arc::clone(&its)));
    runtime.block_on(async { join_all((0..3).map(|_| spawn(yield_now()))).await });
    assert_eq!(within.load(Ordering::Relaxed), 0);
}
