//! Tasks that are polled within `spawn` for the first time. The traces are those of asyncio's `eager_task_factory`, of
//! which its documentation says: a task starts during its construction, is only scheduled if it blocks, and is not
//! scheduled at all if it does not.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use carhop::task::{self, State, TaskInfo};
use carhop::time::sleep;
use carhop::{JoinHandle, spawn, yield_now};

use super::support::{Count, OnDrop, Trace, cancelled, panic_quietly, text_of};
use super::{Env, trials};

trials![
    it_runs_before_what_follows,
    what_waits_is_scheduled,
    what_is_done_at_once_never_enters_the_queue,
    it_wakes_itself,
    a_panic,
    an_abort_from_within,
    an_abort_from_outside,
    one_within_another,
    the_outer_task_is_current_again,
    the_outer_task_keeps_what_it_waits_for,
    the_outer_task_keeps_its_turn,
    all_of_them_are_running,
    during_the_shutdown,
];

fn eager<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    task::Builder::new().eager(true).spawn(future)
}

fn it_runs_before_what_follows(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let log = trace.clone();
        let early = spawn({
            let log = trace.clone();
            async move { log.log("queued") }
        });
        let task = eager(async move {
            log.log("1");
            yield_now().await;
            log.log("2");
        });
        trace.log("root");
        task.await.unwrap();
        early.await.unwrap();
    });
    assert_eq!(trace.text(), "1 root queued 2");
}

fn what_waits_is_scheduled(env: &Env) {
    env.run(async {
        let task = eager(async {
            sleep(Duration::from_micros(1)).await;
            7
        });
        assert!(!task.is_finished());
        assert_eq!(task.await.unwrap(), 7);
    });
}

fn what_is_done_at_once_never_enters_the_queue(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let other = spawn({
            let log = trace.clone();
            async move { log.log("other") }
        });
        let task = eager(async { 7 });
        assert!(task.is_finished());
        assert_eq!(task::tasks().tasks().len(), 2, "{}", task::tasks());
        // Nor does whoever waits for it give way.
        assert_eq!(task.await.unwrap(), 7);
        trace.log("root");
        other.await.unwrap();
    });
    assert_eq!(trace.text(), "root other");
}

fn it_wakes_itself(env: &Env) {
    let polls = Count::default();
    env.run(async {
        let counted = polls.clone();
        let task = eager(poll_fn(move |cx| {
            counted.add();
            (0..3).for_each(|_| cx.waker().wake_by_ref());
            if counted.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
        }));
        assert_eq!(polls.get(), 1);
        task.await.unwrap();
        // It was woken when it ended. Whoever has its slot next is not.
        let next = spawn(pending::<()>());
        yield_now().await;
        assert!(!next.is_finished());
    });
    assert_eq!(polls.get(), 3);
}

fn a_panic(env: &Env) {
    env.run(async {
        let drops = Count::default();
        let dropped = drops.clone();
        let task: JoinHandle<()> = eager(async move {
            let _guard = OnDrop(move || dropped.add());
            panic_quietly("early")
        });
        assert!(task.is_finished());
        assert_eq!(drops.get(), 1);
        assert_eq!(text_of(&*task.await.unwrap_err().into_panic().unwrap()), "early");
        drop(eager(async { panic_quietly("nobody asks") }));
    });
}

fn an_abort_from_within(env: &Env) {
    env.run(async {
        // Its handle does not exist yet, but another task may end the outer one.
        let handle: Rc<RefCell<Option<task::AbortHandle>>> = Rc::default();
        let its = Rc::clone(&handle);
        let outer = spawn(async move {
            let inner = eager(async move { its.borrow().as_ref().unwrap().abort() });
            assert!(inner.is_finished());
            yield_now().await;
            unreachable!("it was aborted");
        });
        *handle.borrow_mut() = Some(outer.abort_handle());
        assert!(cancelled(outer.await));
    });
}

fn an_abort_from_outside(env: &Env) {
    let drops = Count::default();
    env.run(async {
        let dropped = drops.clone();
        let task = eager(async move {
            let _guard = OnDrop(move || dropped.add());
            pending::<()>().await
        });
        task.abort();
        assert!(cancelled(task.await));
    });
    assert_eq!(drops.get(), 1);
}

fn one_within_another(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        fn nest(trace: Trace, depth: u32) -> JoinHandle<()> {
            eager(async move {
                trace.log(format_args!("in{depth}"));
                let inner = (depth < 3).then(|| nest(trace.clone(), depth + 1));
                trace.log(format_args!("out{depth}"));
                yield_now().await;
                trace.log(format_args!("again{depth}"));
                if let Some(inner) = inner {
                    inner.await.unwrap();
                }
            })
        }
        nest(trace.clone(), 1).await.unwrap();
    });
    assert_eq!(trace.text(), "in1 in2 in3 out3 out2 out1 again3 again2 again1");
}

fn the_outer_task_is_current_again(env: &Env) {
    carhop::task_local! { static NAME: &'static str; }
    env.run(async {
        let root = task::current().unwrap();
        NAME.set("root");
        let inner = eager(async move {
            assert_ne!(task::current().unwrap(), root);
            assert_eq!(NAME.get(), "root");
            NAME.set("inner");
            task::current().unwrap()
        });
        assert_eq!(task::current().unwrap(), root);
        assert_eq!(NAME.get(), "root");
        let id = inner.id();
        assert_eq!(inner.await.unwrap(), id);
        // Also after a panic.
        drop(eager(async { panic_quietly("early") }));
        assert_eq!(task::current().unwrap(), root);
    });
}

fn the_outer_task_keeps_what_it_waits_for(env: &Env) {
    env.run(async {
        let outer = spawn(async {
            let mut timer = std::pin::pin!(sleep(Duration::MAX));
            let mut inner = None;
            poll_fn(|cx| {
                let poll = timer.as_mut().poll(cx);
                // Waits for something else, and that is its own business.
                inner.get_or_insert_with(|| eager(async { eager(pending::<()>()).await }));
                poll
            })
            .await
        });
        let id = outer.id();
        yield_now().await;
        let tasks = task::tasks();
        let of = |wanted: &dyn Fn(&TaskInfo) -> bool| {
            tasks.tasks().iter().find(|task| wanted(task)).unwrap().state.to_string()
        };
        assert!(of(&|task| task.id == id).starts_with("waits for a timer"), "{tasks}");
        assert!(of(&|task| task.parent == Some(id)).starts_with("waits for task #"), "{tasks}");
        outer.abort();
    });
}

fn the_outer_task_keeps_its_turn(env: &Env) {
    // What it may do in one poll is not more because of the others that it runs.
    env.run(async {
        let (mut near, _far) = super::support::pair().await;
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        let bystander = spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        for _ in 0..300 {
            near.write_all(b"x").await.unwrap();
            drop(eager(async {}));
        }
        assert!(polls.get() >= 300 / 64, "{} polls", polls.get());
        bystander.abort();
    });
}

fn all_of_them_are_running(env: &Env) {
    env.run(async {
        let task = eager(async {
            let inner = eager(async {
                let tasks = task::tasks();
                assert_eq!(tasks.tasks().len(), 3, "{tasks}");
                assert!(tasks.tasks().iter().all(|task| task.state == State::Running), "{tasks}");
                pending::<()>().await
            });
            let tasks = task::tasks();
            let state = |id| tasks.tasks().iter().find(|task| task.id == id).unwrap().state;
            assert_eq!(state(task::current().unwrap()), State::Running);
            assert_ne!(state(inner.id()), State::Running);
        });
        task.await.unwrap();
    });
}

fn during_the_shutdown(env: &Env) {
    let (polls, drops) = (Count::default(), Count::default());
    let runtime = env.runtime();
    let (polled, dropped) = (polls.clone(), drops.clone());
    drop(runtime.spawn(async move {
        let _guard = OnDrop(move || {
            let (polled, dropped) = (polled.clone(), dropped.clone());
            let guard = OnDrop(move || dropped.add());
            let task = eager(async move {
                let _guard = guard;
                polled.add();
            });
            assert!(!task.is_finished());
        });
        pending::<()>().await
    }));
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!((polls.get(), drops.get()), (0, 1));
}
