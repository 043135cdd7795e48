//! Values that travel with a task.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use carhop::task::{self, AccessError};
use carhop::{Handle, call_later, defer, spawn, yield_now};
use futures::future::{Either, select};

use super::support::{Count, OnDrop, Trace, panic_of, panic_quietly, try_quietly};
use super::{Env, trials};

trials![
    children_inherit,
    neither_sees_what_the_other_sets,
    defaults,
    what_is_not_set,
    outside_of_a_task,
    scopes,
    a_scope_that_panics,
    a_scope_that_is_dropped_midway,
    scopes_that_take_turns,
    a_scope_that_moves_to_another_task,
    drops_of_values_may_do_anything,
    values_go_with_their_task,
    a_finished_task_keeps_nothing,
    values_of_the_root_go_with_it,
    at_the_shutdown,
    callbacks_inherit,
    letters_inherit_within_the_loop_only,
    letters_that_come_in_the_middle_of_a_step,
    a_refused_value_that_owns_a_runtime,
    a_default_that_uses_the_task_local,
    two_runtimes,
];

carhop::task_local! {
    static NAME: &'static str;
    static DEPTH: u32 = 0;
    static GUARD: Rc<dyn std::any::Any>;
    static RECURSIVE: u32 = {
        if !STARTED.get().replace(true) { RECURSIVE.set(7) }
        9
    };
    static STARTED: Rc<std::cell::Cell<bool>> = Rc::default();
}

fn children_inherit(env: &Env) {
    env.run(async {
        NAME.set("root");
        DEPTH.set(1);
        let child = spawn(async {
            let grandchild = spawn(async { (NAME.get(), DEPTH.get()) });
            // Too late for the one that is there.
            NAME.set("child");
            let later = spawn(async { (NAME.get(), DEPTH.get()) });
            (grandchild.await.unwrap(), later.await.unwrap())
        });
        assert_eq!(child.await.unwrap(), (("root", 1), ("child", 1)));
        assert_eq!(NAME.get(), "root");
    });
}

fn neither_sees_what_the_other_sets(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        NAME.set("before");
        let log = trace.clone();
        let child = spawn(async move {
            log.log(format_args!("child:{}", NAME.get()));
            NAME.set("child");
            yield_now().await;
            log.log(format_args!("child:{}", NAME.get()));
        });
        NAME.set("root");
        yield_now().await;
        trace.log(format_args!("root:{}", NAME.get()));
        child.await.unwrap();
        trace.log(format_args!("root:{}", NAME.get()));
    });
    assert_eq!(trace.text(), "child:before root:root child:child root:root");
}

fn defaults(env: &Env) {
    env.run(async {
        assert_eq!(DEPTH.get(), 0);
        DEPTH.set(DEPTH.get() + 1);
        assert_eq!(DEPTH.with(|depth| *depth), 1);
        assert_eq!(spawn(async { DEPTH.get() }).await.unwrap(), 1);
    });
    env.run(async { assert_eq!(spawn(async { DEPTH.get() }).await.unwrap(), 0) });
}

fn what_is_not_set(env: &Env) {
    env.run(async {
        assert_eq!(NAME.try_with(|_| ()), Err(AccessError::NotSet));
        assert_eq!(panic_of(|| NAME.get()), "this task-local is not set in this task, and has no default");
        spawn(async { NAME.set("child") }).await.unwrap();
        assert_eq!(NAME.try_with(|_| ()), Err(AccessError::NotSet));
    });
}

fn outside_of_a_task(env: &Env) {
    let text = "a task-local needs a running task of a carhop runtime on this thread";
    assert_eq!(NAME.try_with(|_| ()), Err(AccessError::NoTask));
    assert_eq!(panic_of(|| NAME.set("nobody")), text);
    let runtime = env.runtime();
    runtime.block_on(async { NAME.set("root") });
    assert_eq!(NAME.try_with(|_| ()), Err(AccessError::NoTask));
    // What is spawned from outside inherits nothing.
    let task = runtime.spawn(async { NAME.try_with(|_| ()) });
    runtime.block_on(async {
        NAME.set("next root");
        assert_eq!(task.await.unwrap(), Err(AccessError::NotSet));
    });
    assert_eq!(panic_of(|| futures::executor::block_on(NAME.scope("nobody", async {}))), text);
}

fn scopes(env: &Env) {
    env.run(async {
        let inside = NAME.scope("outer", async {
            assert_eq!(NAME.get(), "outer");
            let inner = NAME.scope("inner", async {
                yield_now().await;
                spawn(async { NAME.get() }).await.unwrap()
            });
            let inner = inner.await;
            yield_now().await;
            NAME.set("changed");
            yield_now().await;
            (inner, NAME.get())
        });
        assert_eq!(inside.await, ("inner", "changed"));
        assert_eq!(NAME.try_with(|_| ()), Err(AccessError::NotSet));
        NAME.set("root");
        NAME.scope("scope", yield_now()).await;
        assert_eq!(NAME.get(), "root");
    });
}

fn a_scope_that_panics(env: &Env) {
    env.run(async {
        NAME.set("root");
        let mut scope = Box::pin(NAME.scope("scope", async { panic_quietly("inside") }));
        let outcome = poll_fn(|cx| Poll::Ready(try_quietly(|| scope.as_mut().poll(cx)).is_err())).await;
        assert!(outcome);
        assert_eq!(NAME.get(), "root");
    });
}

fn a_scope_that_is_dropped_midway(env: &Env) {
    let drops = Count::default();
    env.run(async {
        NAME.set("root");
        let dropped = drops.clone();
        let mut scope = Box::pin(NAME.scope("scope", async {
            let _guard = OnDrop(|| {
                // As documented: it is not set while the future is dropped.
                assert_eq!(NAME.get(), "root");
                dropped.add();
            });
            pending::<()>().await
        }));
        assert!(futures::poll!(&mut scope).is_pending());
        assert_eq!(NAME.get(), "root");
        drop(scope);
        assert_eq!(NAME.get(), "root");
    });
    assert_eq!(drops.get(), 1);
}

fn scopes_that_take_turns(env: &Env) {
    async fn watch(name: &'static str, turns: u32) -> &'static str {
        let inside = NAME.scope(name, async {
            for _ in 0..turns {
                assert_eq!(NAME.get(), name);
                yield_now().await;
            }
            NAME.get()
        });
        inside.await
    }
    env.run(async {
        NAME.set("root");
        let (one, other) = (Box::pin(watch("one", 5)), Box::pin(watch("other", 3)));
        match select(one, other).await {
            Either::Right((name, one)) => {
                assert_eq!((name, NAME.get()), ("other", "root"));
                assert_eq!(one.await, "one");
            }
            Either::Left(_) => panic!("it takes longer"),
        }
        assert_eq!(NAME.get(), "root");
    });
}

fn a_scope_that_moves_to_another_task(env: &Env) {
    env.run(async {
        NAME.set("root");
        let mut scope = Box::pin(NAME.scope("scope", async {
            yield_now().await;
            NAME.get()
        }));
        assert!(futures::poll!(&mut scope).is_pending());
        let task = spawn(async move {
            NAME.set("task");
            (scope.await, NAME.get())
        });
        assert_eq!(task.await.unwrap(), ("scope", "task"));
        assert_eq!(NAME.get(), "root");
    });
}

/// A value whose drop calls `f`.
fn dropping(f: impl FnMut() + 'static) -> Rc<dyn std::any::Any> {
    Rc::new(OnDrop(f))
}

fn drops_of_values_may_do_anything(env: &Env) {
    let drops = Count::default();
    let runtime = env.runtime();
    runtime.block_on(async {
        let dropped = drops.clone();
        let nosy = move || {
            let dropped = dropped.clone();
            dropping(move || {
                dropped.add();
                let _ = NAME.try_with(|_| ());
                let _ = GUARD.try_with(|_| ());
                let _ = task::tasks().to_string();
                drop(spawn(async {}));
                drop(task::Builder::new().eager(true).spawn(async { DEPTH.set(1) }));
            })
        };
        // Replaced by another one.
        GUARD.set(nosy());
        GUARD.set(nosy());
        assert_eq!(drops.get(), 1);
        // At the end of a task, which is its only owner then.
        let value = nosy();
        spawn(async { GUARD.set(value) }).await.unwrap();
        assert_eq!(drops.get(), 2);
        // At the end of a scope, and in its middle.
        GUARD.scope(nosy(), yield_now()).await;
        assert_eq!(drops.get(), 3);
        let mut scope = Box::pin(GUARD.scope(nosy(), pending::<()>()));
        assert!(futures::poll!(&mut scope).is_pending());
        drop(scope);
        assert_eq!(drops.get(), 4);
        // One that panics harms nobody.
        let task = spawn(async { GUARD.set(dropping(|| panic_quietly("in a drop"))) });
        task.await.unwrap();
    });
    // And with the root.
    assert_eq!(drops.get(), 5);
}

fn values_go_with_their_task(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let (log, dropped) = (trace.clone(), trace.clone());
        let task = spawn(async move {
            GUARD.set(dropping(move || dropped.log("dropped")));
            let ended = log.clone();
            let _last = OnDrop(move || ended.log(format_args!("set:{}", GUARD.try_with(|_| ()).is_ok())));
            yield_now().await;
            log.log("end");
        });
        yield_now().await;
        yield_now().await;
        trace.log("root");
        assert!(task.is_finished());
        drop(task);
    });
    assert_eq!(trace.text(), "end set:true dropped root");
}

fn a_finished_task_keeps_nothing(env: &Env) {
    let drops = Count::default();
    env.run(async {
        let (dropped, error) = (drops.clone(), Rc::new(RefCell::new(String::new())));
        let said = Rc::clone(&error);
        let task = spawn(async move {
            GUARD.set(dropping(move || {
                // What it set now, nobody would ever drop.
                let dropped = dropped.clone();
                let value = dropping(move || dropped.add());
                *said.borrow_mut() = panic_of(|| GUARD.set(value));
            }));
        });
        yield_now().await;
        assert!(task.is_finished());
        assert_eq!(drops.get(), 1);
        assert!(error.borrow().starts_with("a task-local needs a running task"), "{}", error.borrow());
        task.await.unwrap();
    });
    // A task that shares its values with one that goes on keeps none of them alive.
    env.run(async {
        let dropped = drops.clone();
        GUARD.set(dropping(move || dropped.add()));
        let child = spawn(async { GUARD.with(|_| ()) });
        yield_now().await;
        assert!(child.is_finished());
        GUARD.set(dropping(|| ()));
        assert_eq!(drops.get(), 2);
        child.await.unwrap();
    });
}

fn values_of_the_root_go_with_it(env: &Env) {
    let (runtime, drops) = (env.runtime(), Count::default());
    let set = || {
        let dropped = drops.clone();
        GUARD.set(dropping(move || {
            dropped.add();
            drop(spawn(async {}));
        }));
    };
    runtime.block_on(async { set() });
    assert_eq!(drops.get(), 1);
    try_quietly(|| {
        runtime.block_on(async {
            set();
            panic_quietly("the root")
        })
    })
    .unwrap_err();
    assert_eq!(drops.get(), 2);
    runtime.block_on(async { assert!(GUARD.try_with(|_| ()).is_err()) });
}

fn at_the_shutdown(env: &Env) {
    let trace = Trace::default();
    let runtime = env.runtime();
    for name in ["a", "b"] {
        let (log, value) = (trace.clone(), trace.clone());
        drop(runtime.spawn(async move {
            NAME.set(name);
            GUARD.set(dropping(move || value.log(format_args!("value:{name}"))));
            let _guard = OnDrop(move || log.log(format_args!("task:{}", NAME.get())));
            pending::<()>().await
        }));
    }
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(trace.text(), "task:a value:a task:b value:b");
}

fn callbacks_inherit(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        NAME.set("first");
        let log = |what: &'static str| {
            let trace = trace.clone();
            move || trace.log(format_args!("{what}:{}", NAME.get()))
        };
        defer(log("defer"));
        call_later(Duration::from_micros(1), log("later"));
        let done = log("done");
        spawn(yield_now()).on_done(move |_| done());
        let eager = log("eager");
        drop(task::Builder::new().eager(true).spawn(async move { eager() }));
        // As asyncio copies the context when it is asked.
        NAME.set("second");
        carhop::time::sleep(Duration::from_millis(1)).await;
        yield_now().await;
    });
    let mut lines: Vec<_> = trace.text().split(' ').map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["defer:first", "done:first", "eager:first", "later:first"]);
}

fn letters_inherit_within_the_loop_only(env: &Env) {
    env.run(async {
        NAME.set("root");
        let handle = Handle::current();
        let here = handle.spawn(async { NAME.try_with(|name| *name) });
        let there = thread::spawn(move || handle.spawn(async { NAME.try_with(|name| *name) }));
        assert_eq!(here.await.unwrap(), Ok("root"));
        assert_eq!(there.join().unwrap().await.unwrap(), Err(AccessError::NotSet));
    });
}

fn letters_that_come_in_the_middle_of_a_step(env: &Env) {
    let (told, heard) = mpsc::channel();
    env.run(async {
        let handle = Handle::current();
        let task = spawn(async move {
            NAME.set("task");
            // While it is polled, so that the loop hears of it after one of its polls.
            let post = move || {
                let letter = move || {
                    let (tasks, id) = (task::tasks(), task::current().unwrap());
                    let parent = tasks.tasks().iter().find(|task| task.id == id).unwrap().parent;
                    told.send((NAME.try_with(|name| *name), parent)).unwrap();
                };
                handle.post(letter).unwrap();
            };
            thread::spawn(post).join().unwrap();
            for _ in 0..100 {
                yield_now().await;
            }
        });
        task.await.unwrap();
    });
    assert_eq!(heard.recv().unwrap(), (Err(AccessError::NotSet), None));
}

fn a_refused_value_that_owns_a_runtime(env: &Env) {
    carhop::task_local! { static RUNTIME: carhop::Runtime; }
    let (outer, drops) = (env.runtime(), Count::default());
    // Dropping a runtime enters it, which must not happen while the thread's own is being looked at.
    let runtime = env.runtime();
    let dropped = drops.clone();
    drop(runtime.spawn(async move {
        let _guard = OnDrop(move || dropped.add());
        pending::<()>().await
    }));
    runtime.block_on(yield_now());
    let mut runtime = Some(runtime);
    let guard = OnDrop(move || {
        let runtime = runtime.take().unwrap();
        let text = panic_of(|| RUNTIME.set(runtime));
        assert!(text.starts_with("a task-local needs"), "{text}");
    });
    // Dropped by the loop, beside all tasks.
    outer.block_on(async move { drop(spawn(async move { guard })) });
    outer.block_on(yield_now());
    drop(outer);
    assert_eq!(drops.get(), 1);
}

fn a_default_that_uses_the_task_local(env: &Env) {
    env.run(async {
        assert_eq!(RECURSIVE.get(), 9);
        assert_eq!(RECURSIVE.get(), 9);
    });
}

fn two_runtimes(env: &Env) {
    let (one, other) = (env.runtime(), env.runtime());
    let task = other.spawn(async {
        NAME.set("other");
        yield_now().await;
        NAME.get()
    });
    other.block_on(yield_now());
    one.block_on(async {
        NAME.set("one");
        // Spawned into another runtime, which has no running task.
        drop(other.spawn(async { assert!(NAME.try_with(|_| ()).is_err()) }));
    });
    assert_eq!(other.block_on(task).unwrap(), "other");
}
