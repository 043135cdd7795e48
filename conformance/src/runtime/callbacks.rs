//! Functions that the loop calls later. The traces are what CPython 3.11 prints for the same program with `call_soon`,
//! `call_later`, `call_at` and `add_done_callback`: see `sync_order.py`.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use carhop::task::CallHandle;
use carhop::time::{Instant, sleep};
use carhop::{JoinHandle, call_at, call_later, defer, spawn, yield_now};

use super::support::{Count, OnDrop, Trace, cancelled, panic_of, panic_quietly, text_of};
use super::{Env, trials};

trials![
    deferred_calls_among_tasks,
    calls_at_times,
    calls_that_are_due_together,
    many_calls_at_the_same_time,
    cancelled_calls,
    a_cancelled_call_drops_its_callback,
    a_dropped_handle_changes_nothing,
    never,
    when_they_are_due,
    a_panic,
    a_done_callback_among_others,
    a_done_callback_of_a_finished_task,
    a_done_callback_of_an_aborted_task,
    a_done_callback_of_a_task_that_panics,
    chains_of_done_callbacks,
    a_done_callback_at_the_shutdown,
    calls_at_the_shutdown,
    outside_of_a_runtime,
];

/// A callback that logs.
fn log(trace: &Trace, what: &'static str) -> impl FnOnce() + use<> {
    let trace = trace.clone();
    move || trace.log(what)
}

/// A done-callback that logs.
fn log_done<T>(trace: &Trace, what: &'static str) -> impl FnOnce(T) + use<T> {
    let trace = trace.clone();
    move |_| trace.log(what)
}

fn deferred_calls_among_tasks(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let twice = |first: &'static str, second: &'static str| {
            let trace = trace.clone();
            spawn(async move {
                trace.log(first);
                yield_now().await;
                trace.log(second);
            })
        };
        let a = twice("A1", "A2");
        defer(log(&trace, "s1"));
        let b = twice("B1", "B2");
        let again = trace.clone();
        defer(move || {
            again.log("s2");
            defer(log(&again, "s3"));
        });
        trace.log("root1");
        yield_now().await;
        trace.log("root2");
        a.await.unwrap();
        b.await.unwrap();
        trace.log("root3");
        yield_now().await;
        trace.log("root4");
    });
    assert_eq!(trace.text(), "root1 A1 s1 B1 s2 root2 A2 B2 s3 root3 root4");
}

fn calls_at_times(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let ms = Duration::from_millis;
        call_later(ms(30), log(&trace, "late"));
        call_later(ms(10), log(&trace, "early"));
        call_later(ms(20), log(&trace, "middle"));
        call_later(ms(0), log(&trace, "zero"));
        defer(log(&trace, "soon"));
        yield_now().await;
        trace.log("root");
        sleep(ms(50)).await;
        trace.log("end");
    });
    assert_eq!(trace.text(), "soon root zero early middle late end");
}

fn calls_that_are_due_together(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let now = Instant::now();
        let us = Duration::from_micros;
        call_at(now + us(300), log(&trace, "3"));
        call_at(now + us(100), log(&trace, "1"));
        call_at(now - us(1_000_000), log(&trace, "past"));
        call_at(now + us(200), log(&trace, "2"));
        let never = call_at(now + us(150), log(&trace, "never"));
        defer(log(&trace, "soon"));
        never.cancel();
        while now.elapsed() < us(1000) {}
        trace.log("root");
        sleep(us(2000)).await;
        trace.log("end");
    });
    assert_eq!(trace.text(), "root soon past 1 2 3 end");
}

/// asyncio leaves their order open.
fn many_calls_at_the_same_time(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        for wait in [0, 50] {
            let when = Instant::now() + Duration::from_micros(wait);
            for name in ["a", "b", "c", "d", "e", "f", "g"] {
                call_at(when, log(&trace, name));
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(trace.text(), "a b c d e f g a b c d e f g");
}

fn cancelled_calls(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let calls = Rc::new(["c0", "c1", "c2", "c3"].map(|name| defer(log(&trace, name))));
        calls[1].cancel();
        let late = Rc::clone(&calls);
        defer(move || late[3].cancel());
        let next: Rc<RefCell<Option<CallHandle>>> = Rc::default();
        let (its, said) = (Rc::clone(&next), trace.clone());
        defer(move || {
            said.log("canceller");
            its.borrow().as_ref().unwrap().cancel();
        });
        *next.borrow_mut() = Some(defer(log(&trace, "h4")));
        yield_now().await;
        // After the call, and twice.
        calls[0].cancel();
        calls[1].cancel();
        trace.log("root");
    });
    assert_eq!(trace.text(), "c0 c2 c3 canceller root");
}

fn a_cancelled_call_drops_its_callback(env: &Env) {
    let drops = Count::default();
    env.run(async {
        let guard = || {
            let drops = drops.clone();
            OnDrop(move || drops.add())
        };
        let (one, two, three) = (guard(), guard(), guard());
        let calls = [
            defer(move || drop(one)),
            call_later(Duration::from_secs(3600), move || drop(two)),
            call_later(Duration::MAX, move || drop(three)),
        ];
        yield_now().await;
        assert_eq!(drops.get(), 1);
        calls.iter().for_each(CallHandle::cancel);
        yield_now().await;
        assert_eq!(drops.get(), 3);
    });
}

fn a_dropped_handle_changes_nothing(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        drop(defer(log(&trace, "soon")));
        drop(call_later(Duration::from_micros(1), log(&trace, "later")));
        sleep(Duration::from_millis(1)).await;
    });
    assert_eq!(trace.text(), "soon later");
}

fn never(env: &Env) {
    let runtime = env.runtime();
    runtime.block_on(async {
        let call = call_later(Duration::MAX, || unreachable!("this is never"));
        let at = call_at(Instant::now() + Duration::MAX, || unreachable!("nor is this"));
        assert_eq!(call.when(), Some(Instant::now() + Duration::MAX));
        assert_eq!(call.when(), at.when());
        sleep(Duration::from_micros(1)).await;
    });
}

fn when_they_are_due(env: &Env) {
    env.run(async {
        let before = Instant::now();
        let soon = defer(|| ());
        let later = call_later(Duration::from_secs(1), || ());
        let at = call_at(before, || ());
        let after = Instant::now();
        assert_eq!(soon.when(), None);
        let due = later.when().unwrap() - Duration::from_secs(1);
        assert!(before <= due && due <= after);
        assert_eq!(at.when(), Some(before));
        // Never early.
        let fired = Rc::new(RefCell::new(None));
        let its = Rc::clone(&fired);
        let call = call_later(Duration::from_micros(500), move || *its.borrow_mut() = Some(Instant::now()));
        while fired.borrow().is_none() {
            sleep(Duration::from_micros(100)).await;
        }
        assert!(fired.take() >= call.when());
    });
}

fn a_panic(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        defer(log(&trace, "a"));
        defer(|| panic_quietly("in a callback"));
        defer(log(&trace, "b"));
        call_later(Duration::ZERO, || panic_quietly("in a callback"));
        call_later(Duration::ZERO, log(&trace, "c"));
        sleep(Duration::from_millis(1)).await;
    });
    assert_eq!(trace.text(), "a b c");
}

fn a_done_callback_among_others(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let its = trace.clone();
        let work = spawn(async move {
            its.log("work");
            defer(log(&its, "before"));
        });
        let its = trace.clone();
        work.on_done(move |output| {
            output.unwrap();
            its.log("done");
            defer(log(&its, "from_done"));
        });
        let after = spawn({
            let trace = trace.clone();
            async move { trace.log("after") }
        });
        defer(log(&trace, "soon"));
        after.await.unwrap();
        trace.log("root");
        yield_now().await;
        yield_now().await;
        trace.log("end");
    });
    assert_eq!(trace.text(), "work after soon before done root from_done end");
}

fn a_done_callback_of_a_finished_task(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let task = spawn(async { 7 });
        yield_now().await;
        assert!(task.is_finished());
        defer(log(&trace, "soon1"));
        task.on_done(log_done(&trace, "done"));
        trace.log("added");
        defer(log(&trace, "soon2"));
        yield_now().await;
        trace.log("root");
    });
    assert_eq!(trace.text(), "added soon1 done soon2 root");
}

fn a_done_callback_of_an_aborted_task(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let task = spawn(sleep(Duration::from_secs(100)));
        yield_now().await;
        let abort = task.abort_handle();
        let its = trace.clone();
        task.on_done(move |output| {
            assert!(cancelled(output));
            its.log("done:cancelled");
        });
        defer(log(&trace, "soon1"));
        abort.abort();
        defer(log(&trace, "soon2"));
        for name in ["root1", "root2", "root3"] {
            yield_now().await;
            trace.log(name);
        }
    });
    assert_eq!(trace.text(), "soon1 soon2 root1 done:cancelled root2 root3");
}

fn a_done_callback_of_a_task_that_panics(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let task: JoinHandle<()> = spawn(async { panic_quietly("boom") });
        let its = trace.clone();
        task.on_done(move |output| its.log(text_of(&*output.unwrap_err().into_panic().unwrap())));
        // And one that panics itself.
        spawn(async {}).on_done(|_| panic_quietly("in a callback"));
        spawn(async {}).on_done(log_done(&trace, "last"));
        for _ in 0..3 {
            yield_now().await;
        }
    });
    assert_eq!(trace.text(), "boom last");
}

/// As deep as would overflow a stack, were one dropped or called within the other.
fn chains_of_done_callbacks(env: &Env) {
    const DEPTH: u32 = 100_000;
    fn chain(calls: Count, left: u32) -> JoinHandle<()> {
        spawn(async move {
            if left > 0 {
                let counted = calls.clone();
                chain(calls, left - 1).on_done(move |_| counted.add());
            }
        })
    }
    let calls = Count::default();
    let runtime = env.runtime();
    runtime.block_on(async {
        chain(calls.clone(), DEPTH).await.unwrap();
        while calls.get() < DEPTH as usize {
            yield_now().await;
        }
    });
    // Callbacks that own the handles of others, at the end of the runtime.
    runtime.block_on(async {
        let mut task = spawn(pending::<()>());
        for _ in 0..DEPTH {
            let inner = task;
            task = spawn(async move { drop(inner.await) });
        }
        task.on_done(|_| unreachable!("they wait for ever"));
        yield_now().await;
    });
    drop(runtime);
}

fn a_done_callback_at_the_shutdown(env: &Env) {
    let (calls, drops) = (Count::default(), Count::default());
    let runtime = env.runtime();
    let callback = |what: &Count| {
        let (called, dropped) = (what.clone(), drops.clone());
        let guard = OnDrop(move || dropped.add());
        move |_| {
            let _guard = guard;
            called.add();
        }
    };
    runtime.block_on(async {
        spawn(pending::<()>()).on_done(callback(&calls));
        // Finished, but the callback has had no turn yet.
        let task = spawn(async {});
        yield_now().await;
        task.on_done(callback(&calls));
    });
    // Asked for by the drop of a task.
    let late = callback(&calls);
    let mut late = Some(late);
    drop(runtime.spawn(async move {
        let _guard = OnDrop(move || spawn(async {}).on_done(late.take().unwrap()));
        pending::<()>().await
    }));
    runtime.block_on(async {});
    drop(runtime);
    assert_eq!(drops.get(), 3);
    assert!(calls.get() <= 1, "only the finished one may have been called");
}

fn calls_at_the_shutdown(env: &Env) {
    let drops = Count::default();
    let runtime = env.runtime();
    let kept = runtime.block_on(async {
        let guard = || {
            let drops = drops.clone();
            OnDrop(move || drops.add())
        };
        let (one, two) = (guard(), guard());
        [defer(move || drop(one)), call_later(Duration::from_secs(3600), move || drop(two))]
    });
    drop(runtime);
    assert_eq!(drops.get(), 2);
    // Of a runtime that is gone.
    kept.iter().for_each(CallHandle::cancel);
}

fn outside_of_a_runtime(_: &Env) {
    let text = panic_of(|| defer(|| ()));
    assert!(text.starts_with("spawn needs a running carhop runtime on this thread"), "{text}");
    panic_of(|| call_later(Duration::ZERO, || ()));
    panic_of(|| call_at(Instant::now(), || ()));
}
