//! What can be said of tasks to those who look: who they are, where they come from, what they wait for.

use std::future::{pending, poll_fn};
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use carhop::net::TcpStream;
use carhop::task::{self, Awaits, State, TaskId, TaskInfo, TaskTree};
use carhop::time::{Instant, sleep};
use carhop::{Handle, JoinHandle, Runtime, spawn, yield_now};
use futures::future::{join, join3};

use super::support::{Count, OnDrop, Trace, connection, fill, listener, pair, panic_quietly, short_of_room};
use super::{Env, trials};

trials![
    numbers_names_parents_and_places,
    running_ready_and_waiting,
    a_task_that_yields_is_ready,
    what_sockets_wait_for,
    timers,
    other_tasks,
    several_things_at_once,
    a_foreign_future,
    notes_do_not_leak_to_other_tasks,
    notes_of_strangers_do_not_leak,
    only_the_last_poll_counts,
    the_root,
    ages,
    the_age_of_what_is_spawned_from_outside: Time,
    drawn_as_a_tree,
    children_of_tasks_that_have_ended,
    a_chain_of_many_parents,
    two_runtimes,
    while_tasks_are_dropped,
];

#[track_caller]
fn named<F: Future + 'static>(name: &'static str, future: F) -> JoinHandle<F::Output> {
    task::Builder::new().name(name).spawn(future)
}

fn of(id: TaskId) -> TaskInfo {
    let tasks = task::tasks();
    tasks.tasks().iter().find(|task| task.id == id).unwrap_or_else(|| panic!("no {id} in\n{tasks}")).clone()
}

fn state_of<T>(task: &JoinHandle<T>) -> String {
    of(task.id()).state.to_string()
}

/// Without ages and times, which differ from run to run.
fn timeless(tree: &TaskTree) -> String {
    let line = |line: &str| {
        let (rest, _age) = line.rsplit_once(", ").unwrap();
        let place = rest.find(" at ").unwrap();
        let state = rest.rfind(", ").unwrap();
        format!("{}{}\n", &rest[..place], &rest[state..])
    };
    tree.to_string().lines().map(line).collect()
}

fn numbers_names_parents_and_places(env: &Env) {
    let runtime = env.runtime();
    let outside = runtime.spawn(pending::<()>());
    let spawned_outside = line!() - 1;
    let block_on = line!() + 1;
    runtime.block_on(async {
        let root = task::current().unwrap();
        let line = line!() + 1;
        let child = named("child", async {
            let line = line!() + 1;
            let grandchild = spawn(pending::<()>());
            let id = grandchild.id();
            drop(grandchild);
            let its = of(id);
            assert_eq!((its.name, its.parent, its.location.line()), (None, task::current(), line));
            task::current().unwrap()
        });
        let id = child.id();
        let its = of(id);
        assert_eq!(its.name.as_deref(), Some("child"));
        assert_eq!((its.id, its.parent), (id, Some(root)));
        assert_eq!((its.location.file(), its.location.line()), (file!(), line));
        assert_eq!(child.await.unwrap(), id);
        assert!(task::tasks().tasks().iter().all(|task| task.id != id));
        let its = of(outside.id());
        assert_eq!((its.parent, its.location.line()), (None, spawned_outside));
        let its = of(root);
        assert_eq!((its.parent, its.location.line()), (None, block_on));
        // The number of the slot is used again, with a count behind.
        let next = named(String::leak("next".into()), async {});
        assert_eq!(next.id().to_string(), format!("{id}.1"));
        assert_ne!(next.id(), id);
    });
    let places = runtime.block_on(async {
        let callback = carhop::defer(|| ());
        let line = line!() - 1;
        let found = task::tasks().tasks().iter().any(|task| task.location.line() == line);
        drop(callback);
        found
    });
    assert!(places);
}

fn running_ready_and_waiting(env: &Env) {
    env.run(async {
        let me = task::current().unwrap();
        let (ready, waiting) = (spawn(async {}), spawn(pending::<()>()));
        assert_eq!(of(me).state, State::Running);
        assert_eq!(of(ready.id()).state, State::Ready);
        assert_eq!(of(waiting.id()).state, State::Ready);
        let seen = spawn(async move {
            assert_eq!(of(task::current().unwrap()).state, State::Running);
            of(me).state
        });
        let seen_by = seen.id();
        let State::Waiting { awaits: Awaits::Task(on), others: 0, left: None } = seen.await.unwrap() else {
            panic!("the root waits for a task")
        };
        assert_eq!(on, seen_by);
        let foreign = State::Waiting { awaits: Awaits::Unknown, others: 0, left: None };
        assert_eq!(of(waiting.id()).state, foreign);
        waiting.abort();
        assert_eq!(of(waiting.id()).state, State::Ready);
    });
}

fn a_task_that_yields_is_ready(env: &Env) {
    env.run(async {
        let task = spawn(async {
            loop {
                yield_now().await;
            }
        });
        yield_now().await;
        let task: JoinHandle<()> = task;
        assert_eq!(of(task.id()).state, State::Ready);
    });
}

fn what_sockets_wait_for(env: &Env) {
    // The lower ones are the process's own.
    let lowest = if env.has_kernel() { 3 } else { 0 };
    env.run(async {
        let (_full, addr) = short_of_room();
        let accepting = listener().await;
        let (mut near, mut far) = connection(&accepting).await;
        fill(&mut near).await;
        let write = named("write", async move { near.write_all(&vec![0; 1 << 24]).await });
        let read = named("read", async move {
            let mut all = vec![0; 1 << 24];
            let (_kept, mut idle) = pair().await;
            let outcome = idle.read(&mut all).await;
            drop((outcome, far.read(&mut all).await));
        });
        let accept = named("accept", async move { accepting.accept().await.map(drop) });
        // The first ones fill the queue, so that another one has to wait.
        let connects: Vec<_> = (0..16).map(|_| spawn(TcpStream::connect(addr))).collect();
        for _ in 0..3 {
            sleep(Duration::from_millis(1)).await;
        }
        let says = |state: String, what: &str| {
            let number = state.strip_prefix(&format!("waits for {what} on fd "));
            number.is_some_and(|number| number.parse::<i32>().is_ok_and(|number| number >= lowest))
        };
        assert!(says(state_of(&write), "write"), "{}", task::tasks());
        assert!(says(state_of(&read), "receive"), "{}", task::tasks());
        assert!(says(state_of(&accept), "accept"), "{}", task::tasks());
        let connecting = connects.iter().filter(|task| !task.is_finished());
        let states: Vec<_> = connecting.map(state_of).collect();
        assert!(!states.is_empty());
        assert!(states.into_iter().all(|state| says(state, "connect")), "{}", task::tasks());
    });
}

fn timers(env: &Env) {
    env.run(async {
        let hour = Duration::from_secs(3600);
        let (timer, never) = (spawn(sleep(hour)), spawn(sleep(Duration::MAX)));
        yield_now().await;
        let State::Waiting { awaits: Awaits::Timer { .. }, others: 0, left: Some(left) } =
            of(timer.id()).state
        else {
            panic!("{}", task::tasks())
        };
        assert!(left <= hour && left > hour - Duration::from_secs(60));
        assert!(state_of(&timer).starts_with("waits for a timer (3"), "{}", state_of(&timer));
        assert_eq!(of(never.id()).state.to_string(), "waits for a timer that never fires");
    });
}

fn other_tasks(env: &Env) {
    env.run(async {
        let waited_for = spawn(pending::<()>());
        let id = waited_for.id();
        let waits = spawn(async move { drop(waited_for.await) });
        let remote = Handle::current().spawn(pending::<()>());
        let from_afar = spawn(async move { drop(remote.await) });
        yield_now().await;
        assert_eq!(state_of(&waits), format!("waits for task {id}"));
        assert_eq!(state_of(&from_afar), "waits for RemoteJoinHandle");
    });
}

fn several_things_at_once(env: &Env) {
    env.run(async {
        let other = spawn(pending::<()>());
        let id = other.id();
        let (mut near, _far) = pair().await;
        let three =
            spawn(async move { join3(near.read(&mut [0]), sleep(Duration::from_secs(9)), other).await.1 });
        let two = spawn(join(sleep(Duration::from_secs(9)), sleep(Duration::MAX)));
        yield_now().await;
        assert_eq!(state_of(&three), format!("waits for task {id} and 2 more"));
        assert_eq!(state_of(&two), "waits for a timer that never fires and 1 more");
    });
}

fn a_foreign_future(env: &Env) {
    env.run(async {
        let (_sender, receiver) = futures::channel::oneshot::channel::<()>();
        let foreign = spawn(receiver);
        yield_now().await;
        assert_eq!(state_of(&foreign), "waits for something of its own");
    });
}

fn notes_do_not_leak_to_other_tasks(env: &Env) {
    env.run(async {
        let timers: Vec<_> = (0..3).map(|_| spawn(sleep(Duration::from_secs(9)))).collect();
        let foreign = spawn(pending::<()>());
        // One that finishes, panics or is aborted leaves none behind either.
        let finishing = spawn(poll_fn(|cx| {
            assert!(pin!(sleep(Duration::from_secs(9))).poll(cx).is_pending());
            Poll::Ready(())
        }));
        let after = spawn(pending::<()>());
        let panicking = spawn(poll_fn(|cx| -> Poll<()> {
            assert!(pin!(sleep(Duration::from_secs(9))).poll(cx).is_pending());
            panic_quietly("boom")
        }));
        let last = spawn(pending::<()>());
        yield_now().await;
        for task in [&foreign, &after, &last] {
            assert_eq!(state_of(task), "waits for something of its own", "{}", task::tasks());
        }
        drop((timers, finishing, panicking));
    });
}

fn notes_of_strangers_do_not_leak(env: &Env) {
    let runtime = env.runtime();
    let mut task = runtime.spawn(pending::<()>());
    // Polled by nobody's task.
    assert!(pin!(&mut task).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    runtime.block_on(yield_now());
    let text = |runtime: &Runtime| runtime.tasks().tasks()[0].state.to_string();
    assert_eq!(text(&runtime), "waits for something of its own");
    // By a drop between two polls: of the output that nobody takes.
    runtime.block_on(async {
        let nosy = OnDrop(|| {
            let mut timer = sleep(Duration::from_secs(9));
            assert!(pin!(&mut timer).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            mem::forget(timer);
        });
        drop(spawn(async move { nosy }));
        let next = spawn(pending::<()>());
        yield_now().await;
        assert_eq!(state_of(&next), "waits for something of its own");
    });
}

fn only_the_last_poll_counts(env: &Env) {
    env.run(async {
        let task = spawn(async {
            sleep(Duration::from_micros(1)).await;
            sleep(Duration::from_micros(1)).await;
            let (mut near, _far) = pair().await;
            near.read(&mut [0]).await
        });
        while !state_of(&task).starts_with("waits for receive") {
            sleep(Duration::from_micros(50)).await;
        }
        assert!(!state_of(&task).contains("more"), "{}", state_of(&task));
    });
}

fn the_root(env: &Env) {
    let runtime = env.runtime();
    assert_eq!(runtime.tasks().tasks().len(), 0);
    assert_eq!(runtime.tasks().to_string(), "");
    let first = runtime.block_on(async {
        let tasks = task::tasks();
        assert_eq!(tasks.tasks().len(), 1);
        assert_eq!(tasks.tasks()[0].state, State::Running);
        let id = tasks.tasks()[0].id;
        let seen = spawn(async move { of(id).state.to_string() });
        let timer = sleep(Duration::from_secs(9));
        let mut seen = pin!(seen);
        let mut timer = pin!(timer);
        let text = poll_fn(|cx| {
            let _ = timer.as_mut().poll(cx);
            seen.as_mut().poll(cx)
        });
        assert!(text.await.unwrap().starts_with("waits for task #2 and 1 more"));
        id
    });
    assert_eq!(runtime.tasks().tasks().len(), 0);
    assert_eq!(task::current(), None);
    runtime.block_on(async { assert_ne!(task::current().unwrap(), first) });
}

fn ages(env: &Env) {
    env.run(async {
        let before = Instant::now();
        let old = spawn(pending::<()>());
        sleep(Duration::from_millis(3)).await;
        let (young, now) = (spawn(pending::<()>()), Instant::now());
        let age = of(old.id()).age;
        assert!(age >= Duration::from_millis(3), "{age:?}");
        // To the step of the loop, which began before.
        let since_root = of(task::current().unwrap()).age;
        assert!(age <= since_root);
        assert!(since_root >= now - before);
        assert!(of(young.id()).age < age);
    });
}

fn the_age_of_what_is_spawned_from_outside(env: &Env) {
    let runtime = env.runtime();
    let made = Instant::now();
    let task = runtime.spawn(pending::<()>());
    assert!(runtime.tasks().tasks()[0].age <= made.elapsed() + Duration::from_millis(1));
    runtime.block_on(yield_now());
    // However long it has been at rest.
    std::thread::sleep(Duration::from_millis(5));
    let spawned = Instant::now();
    let late = runtime.spawn(pending::<()>());
    let tasks = runtime.tasks();
    assert!(tasks.tasks()[1].age <= spawned.elapsed(), "{tasks}");
    assert!(tasks.tasks()[0].age >= Duration::from_millis(5), "{tasks}");
    drop((task, late));
}

fn drawn_as_a_tree(env: &Env) {
    env.run(async {
        let cook = named("cook", async {
            let stove = named("stove", async {
                drop(named("pan", pending::<()>()));
                pending::<()>().await
            });
            let oven = named("oven", sleep(Duration::MAX));
            drop(stove);
            oven.await
        });
        let guest = named("guest", pending::<()>());
        yield_now().await;
        yield_now().await;
        let expected = "#0.1, running\n  \
                        #2 `cook`, waits for task #5\n    \
                        #4 `stove`, waits for something of its own\n      \
                        #6 `pan`, ready\n    \
                        #5 `oven`, waits for a timer that never fires\n  \
                        #3 `guest`, waits for something of its own\n";
        assert_eq!(timeless(&task::tasks()), expected);
        let text = task::tasks().to_string();
        let cook_line = text.lines().nth(1).unwrap();
        let place = format!("  #2 `cook` at {}:", file!());
        assert!(cook_line.starts_with(&place) && cook_line.ends_with("s old"), "{cook_line}");
        drop((cook, guest));
    });
}

fn children_of_tasks_that_have_ended(env: &Env) {
    env.run(async {
        let child = spawn(async { Some(named("orphan", pending::<()>())) }).await.unwrap();
        // Whoever has the parent's slot now is not its parent.
        let next = named("next", pending::<()>());
        let text = timeless(&task::tasks());
        assert_eq!(
            text,
            "#0.1, running\n  #2.1 `next`, ready\n#3 `orphan`, waits for something of its own\n",
            "{}",
            task::tasks()
        );
        drop((child, next));
    });
}

fn a_chain_of_many_parents(env: &Env) {
    const DEPTH: usize = 100_000;
    fn next(count: Count, left: usize) {
        if left > 0 {
            drop(spawn(async move {
                count.add();
                next(count, left - 1);
                pending::<()>().await
            }));
        }
    }
    env.run(async {
        let count = Count::default();
        next(count.clone(), DEPTH);
        while count.get() < DEPTH {
            yield_now().await;
        }
        let text = task::tasks().to_string();
        assert_eq!(text.lines().count(), DEPTH + 1);
        // Not the square of its length.
        assert!(text.len() < DEPTH * 400, "{}", text.len());
    });
}

fn two_runtimes(env: &Env) {
    let (one, other) = (env.runtime(), env.runtime());
    let of_other = other.spawn(pending::<()>());
    one.block_on(async {
        let mine = named("mine", pending::<()>());
        assert_eq!(timeless(&task::tasks()), "#0.1, running\n  #2 `mine`, ready\n");
        assert_eq!(timeless(&other.tasks()), "#2, ready\n");
        drop((mine, named("waits", of_other)));
    });
}

fn while_tasks_are_dropped(env: &Env) {
    let runtime = env.runtime();
    let trace = Trace::default();
    for _ in 0..3 {
        let log = trace.clone();
        drop(runtime.spawn(async move {
            let _guard = OnDrop(move || {
                let tasks = task::tasks();
                let me = task::current().unwrap();
                assert!(tasks.tasks().iter().any(|task| task.id == me && task.state == State::Running));
                log.log(tasks.tasks().len());
            });
            pending::<()>().await
        }));
    }
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(trace.text(), "3 2 1");
}
