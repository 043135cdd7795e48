//! Work that other threads hand to a runtime.

use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use carhop::task;
use carhop::time::sleep;
use carhop::{Handle, RemoteJoinHandle, RuntimeGone, defer, yield_now};
use futures::channel::oneshot;
use futures::executor;

use crate::machine::Shortage;

use super::misuse::fork;
use super::support::{OnDrop, Trace, cancelled, panic_of, panic_quietly, text_of};
use super::{Env, trials};

trials![
    letters_keep_their_order,
    letters_to_a_loop_that_sleeps,
    letters_to_a_loop_that_is_busy,
    letters_while_no_descriptor_is_left,
    none_of_many_is_lost,
    before_the_first_block_on,
    from_the_loops_own_thread,
    from_within_a_letter,
    from_a_task_of_another_runtime,
    between_two_runtimes_that_run,
    a_spawn,
    a_spawn_of_what_is_not_send,
    a_spawn_awaited_elsewhere,
    a_spawn_that_panics,
    a_making_that_panics,
    a_panic_that_nobody_asks_for,
    an_abort,
    an_abort_before_the_loop_runs,
    a_dropped_handle_detaches,
    after_the_runtime,
    letters_that_come_too_late,
    a_runtime_that_ends_meanwhile,
    in_a_forked_child,
    none_outside_of_a_runtime,
];

/// Calls `f` on a thread of its own, and waits for it.
fn on_a_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(f).join().unwrap()
}

fn add(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Waits until `count` is so large.
async fn until(count: &AtomicUsize, large: usize) {
    while count.load(Ordering::Relaxed) < large {
        sleep(Duration::from_micros(10)).await;
    }
}

fn letters_keep_their_order(env: &Env) {
    let order: Arc<Mutex<Vec<u32>>> = Arc::default();
    env.run(async {
        let (handle, written) = (Handle::current(), Arc::clone(&order));
        on_a_thread(move || {
            for n in 0..1000 {
                let written = Arc::clone(&written);
                handle.post(move || written.lock().unwrap().push(n)).unwrap();
            }
        });
        while order.lock().unwrap().len() < 1000 {
            yield_now().await;
        }
    });
    assert_eq!(*order.lock().unwrap(), (0..1000).collect::<Vec<_>>());
}

/// Each letter is answered before the next: a single one that is lost is a hang.
fn letters_to_a_loop_that_sleeps(env: &Env) {
    env.run(answered_letters(2000));
}

/// Waits for another thread, which posts so many letters to the loop that runs and has each answered.
pub(super) async fn answered_letters(count: u32) {
    let handle = Handle::current();
    let (ends, ended) = oneshot::channel();
    let thread = thread::spawn(move || {
        for round in 0..count {
            let (answer, answered) = mpsc::channel();
            handle.post(move || answer.send(round).unwrap()).unwrap();
            assert_eq!(answered.recv().unwrap(), round);
        }
        ends.send(()).unwrap();
    });
    ended.await.unwrap();
    thread.join().unwrap();
}

fn letters_to_a_loop_that_is_busy(env: &Env) {
    env.run(async {
        let (handle, count) = (Handle::current(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&count);
        let thread = thread::spawn(move || {
            for _ in 0..1000 {
                let counted = Arc::clone(&counted);
                handle.post(move || add(&counted)).unwrap();
            }
        });
        while count.load(Ordering::Relaxed) < 1000 {
            yield_now().await;
        }
        thread.join().unwrap();
    });
}

/// The loop has not slept yet, and so has nothing that others could wake it with.
fn letters_while_no_descriptor_is_left(env: &Env) {
    env.run(async {
        let shortage = Shortage::with_spare(0);
        answered_letters(20).await;
        drop(shortage);
        answered_letters(20).await;
    });
}

fn none_of_many_is_lost(env: &Env) {
    const THREADS: usize = 4;
    const EACH: usize = 25_000;
    env.run(async {
        let count = Arc::<AtomicUsize>::default();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (handle, count) = (Handle::current(), Arc::clone(&count));
                thread::spawn(move || {
                    for _ in 0..EACH {
                        let count = Arc::clone(&count);
                        handle.post(move || add(&count)).unwrap();
                    }
                })
            })
            .collect();
        until(&count, THREADS * EACH).await;
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(count.load(Ordering::Relaxed), THREADS * EACH);
        // Not one of them is left in the list of tasks.
        assert_eq!(task::tasks().tasks().len(), 1);
    });
}

fn before_the_first_block_on(env: &Env) {
    let runtime = env.runtime();
    let handle = runtime.handle();
    let trace: Arc<Mutex<Vec<&str>>> = Arc::default();
    let log = |what: &'static str| {
        let trace = Arc::clone(&trace);
        move || trace.lock().unwrap().push(what)
    };
    handle.post(log("a")).unwrap();
    let (other, b) = (handle.clone(), log("b"));
    on_a_thread(move || other.post(b).unwrap());
    let task = handle.spawn(async { 7 });
    assert!(trace.lock().unwrap().is_empty());
    assert_eq!(runtime.block_on(task).unwrap(), 7);
    assert_eq!(*trace.lock().unwrap(), ["a", "b"]);
}

fn from_the_loops_own_thread(env: &Env) {
    let trace: Arc<Mutex<Vec<&str>>> = Arc::default();
    env.run(async {
        let log = |what: &'static str| {
            let trace = Arc::clone(&trace);
            move || trace.lock().unwrap().push(what)
        };
        let handle = Handle::current();
        handle.post(log("posted1")).unwrap();
        defer(log("deferred"));
        handle.post(log("posted2")).unwrap();
        yield_now().await;
        log("root")();
    });
    // As CPython's call_soon_threadsafe and call_soon: one order.
    assert_eq!(*trace.lock().unwrap(), ["posted1", "deferred", "posted2", "root"]);
}

fn from_within_a_letter(env: &Env) {
    env.run(async {
        let (handle, count) = (Handle::current(), Arc::<AtomicUsize>::default());
        fn again(handle: Handle, count: Arc<AtomicUsize>, left: u32) {
            count.fetch_add(1, Ordering::Relaxed);
            if left > 0 {
                let next = handle.clone();
                handle.post(move || again(next, count, left - 1)).unwrap();
            }
        }
        again(handle, Arc::clone(&count), 500);
        until(&count, 501).await;
    });
}

fn from_a_task_of_another_runtime(env: &Env) {
    let (one, other) = (env.runtime(), env.runtime());
    let handle = one.handle();
    let thread = thread::current().id();
    let task = other.block_on(async move {
        // Of the one, though the other runs here.
        let task = handle.spawn(async move { thread::current().id() });
        handle.post(|| ()).unwrap();
        yield_now().await;
        Some(task)
    });
    assert_eq!(one.block_on(task.unwrap()).unwrap(), thread);
}

fn between_two_runtimes_that_run(env: &Env) {
    let (sender, receiver) = mpsc::channel();
    let env_there = *env;
    let thread = thread::spawn(move || {
        env_there.run(async move {
            let (ends, ended) = oneshot::channel::<()>();
            sender.send((Handle::current(), ends)).unwrap();
            ended.await.unwrap();
        });
    });
    let (there, end) = receiver.recv().unwrap();
    env.run(async {
        for _ in 0..100 {
            let here = Handle::current();
            // There, which asks back.
            let asked =
                there.spawn(async move { here.spawn(async { thread::current().id() }).await.unwrap() });
            assert_eq!(asked.await.unwrap(), thread::current().id());
        }
    });
    end.send(()).unwrap();
    thread.join().unwrap();
}

fn a_spawn(env: &Env) {
    env.run(async {
        let (handle, here) = (Handle::current(), thread::current().id());
        let (task, there) = on_a_thread(move || {
            let task = handle.spawn(async move {
                yield_now().await;
                (thread::current().id(), 7)
            });
            (task, thread::current().id())
        });
        assert_ne!(here, there);
        assert_eq!(task.await.unwrap(), (here, 7));
    });
}

fn a_spawn_of_what_is_not_send(env: &Env) {
    env.run(async {
        let handle = Handle::current();
        let task = on_a_thread(move || {
            handle.spawn_pinned(|| async {
                let shared = Rc::new(7);
                yield_now().await;
                *shared
            })
        });
        assert_eq!(task.await.unwrap(), 7);
    });
}

fn a_spawn_awaited_elsewhere(env: &Env) {
    let (sender, receiver) = mpsc::channel();
    env.run(async {
        let given = Handle::current();
        let thread = thread::spawn(move || {
            let output = executor::block_on(given.spawn(async { sleep(Duration::from_micros(9)).await }));
            sender.send(output.is_ok()).unwrap();
        });
        while !thread.is_finished() {
            sleep(Duration::from_micros(50)).await;
        }
        thread.join().unwrap();
        assert!(receiver.recv().unwrap());
    });
}

fn a_spawn_that_panics(env: &Env) {
    env.run(async {
        let handle = Handle::current();
        let task: RemoteJoinHandle<()> =
            on_a_thread(move || handle.spawn(async { panic_quietly("over there") }));
        let mut task = task;
        let error = (&mut task).await.unwrap_err();
        assert_eq!(text_of(&*error.into_panic().unwrap()), "over there");
        assert!(cancelled(task.await), "asked again");
    });
}

fn a_making_that_panics(env: &Env) {
    env.run(async {
        let handle = Handle::current();
        let make = || -> std::future::Ready<()> { panic_quietly("while it is made") };
        let error = handle.spawn_pinned(make).await.unwrap_err();
        assert_eq!(text_of(&*error.into_panic().unwrap()), "while it is made");
    });
}

fn a_panic_that_nobody_asks_for(env: &Env) {
    let reports: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&reports);
    let hook = move |incident: &carhop::incident::Incident<'_>| {
        told.lock().unwrap().push(incident.to_string());
    };
    let runtime = env.builder().on_incident(hook).build().unwrap();
    let mut line = 0;
    runtime.block_on(async {
        let handle = Handle::current();
        line = line!() + 1;
        let spawn = || handle.spawn(async { panic_quietly("over there") });
        let told = async |times| {
            while reports.lock().unwrap().len() < times {
                sleep(Duration::from_micros(10)).await;
            }
        };
        drop(spawn());
        told(1).await;
        // The panic is on its way already when the handle is dropped, here or elsewhere.
        for elsewhere in [false, true] {
            let spawned = spawn();
            let count = || task::tasks().tasks().len();
            while count() == 1 {
                sleep(Duration::ZERO).await;
            }
            while count() > 1 {
                yield_now().await;
            }
            if elsewhere {
                on_a_thread(move || drop(spawned))
            } else {
                drop(spawned)
            }
            told(2 + usize::from(elsewhere)).await;
        }
    });
    drop(runtime);
    let text = format!("task at {}:{line} panicked, and nobody has its handle: over there", file!());
    assert_eq!(*reports.lock().unwrap(), [&*text; 3]);
}

fn an_abort(env: &Env) {
    env.run(async {
        let (handle, drops) = (Handle::current(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&drops);
        let mut task = on_a_thread(move || {
            handle.spawn_pinned(move || async move {
                let _guard = OnDrop(|| add(&counted));
                pending::<()>().await
            })
        });
        // It runs, and then it is ended from afar.
        sleep(Duration::ZERO).await;
        sleep(Duration::ZERO).await;
        let task = on_a_thread(move || {
            task.abort();
            task.abort();
            task
        });
        assert!(cancelled(task.await));
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        // After the end.
        let mut done = Handle::current().spawn(async { 7 });
        for _ in 0..3 {
            sleep(Duration::ZERO).await;
        }
        done.abort();
        assert_eq!(done.await.unwrap(), 7);
    });
}

fn an_abort_before_the_loop_runs(env: &Env) {
    let runtime = env.runtime();
    let handle = runtime.handle();
    let polls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&polls);
    let mut task = handle.spawn(async move { counted.fetch_add(1, Ordering::Relaxed) });
    task.abort();
    assert!(cancelled(runtime.block_on(task)));
    assert_eq!(polls.load(Ordering::Relaxed), 0);
}

fn a_dropped_handle_detaches(env: &Env) {
    env.run(async {
        let (handle, ends) = (Handle::current(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&ends);
        on_a_thread(move || {
            drop(handle.spawn(async move {
                sleep(Duration::from_micros(50)).await;
                counted.fetch_add(1, Ordering::Relaxed);
            }))
        });
        until(&ends, 1).await;
        yield_now().await;
        assert_eq!(task::tasks().tasks().len(), 1, "{}", task::tasks());
    });
}

fn after_the_runtime(env: &Env) {
    let runtime = env.runtime();
    let handle = runtime.handle();
    assert!(!handle.is_closed());
    assert_eq!(format!("{handle:?}"), "Handle(open)");
    let kept = handle.spawn(pending::<()>());
    let never_started = handle.spawn(async { 7 });
    drop(runtime);
    assert!(handle.is_closed());
    assert_eq!(handle.post(|| unreachable!()), Err(RuntimeGone));
    assert_eq!(RuntimeGone.to_string(), "the runtime is gone");
    assert!(cancelled(executor::block_on(handle.spawn(async { 7 }))));
    assert!(cancelled(executor::block_on(kept)));
    assert!(cancelled(executor::block_on(never_started)));
    // A new one with the number of the old one is none of its business.
    let next = env.runtime();
    assert_eq!(on_a_thread(move || handle.post(|| unreachable!())), Err(RuntimeGone));
    next.block_on(yield_now());
}

/// Notes on which thread it is dropped.
struct Noted(Arc<Mutex<Vec<ThreadId>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

fn letters_that_come_too_late(env: &Env) {
    let threads: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
    let letter = || {
        let noted = Noted(Arc::clone(&threads));
        move || drop(noted)
    };
    let runtime = env.runtime();
    let handle = runtime.handle();
    // Taken, but not read by the end: the thread of the runtime drops it.
    let (other, late) = (handle.clone(), letter());
    on_a_thread(move || other.post(late).unwrap());
    // Its drop posts, which is refused.
    let again = handle.clone();
    let guard = OnDrop(move || assert_eq!(again.post(|| ()), Err(RuntimeGone)));
    handle.post(move || drop(guard)).unwrap();
    drop(runtime);
    assert_eq!(*threads.lock().unwrap(), [thread::current().id()]);
    // Refused: whoever posts it drops it.
    let late = letter();
    let there = on_a_thread(move || {
        assert_eq!(handle.post(late), Err(RuntimeGone));
        thread::current().id()
    });
    assert_eq!(threads.lock().unwrap()[1..], [there]);
}

fn a_runtime_that_ends_meanwhile(env: &Env) {
    for _ in 0..20 {
        let runtime = env.runtime();
        let handle = runtime.handle();
        let (called, dropped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&called), Arc::clone(&dropped));
        let thread = thread::spawn(move || {
            let mut posted = 0;
            loop {
                let (called, dropped) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
                let guard = OnDrop(move || add(&dropped));
                posted += 1;
                let call = move || {
                    let _guard = guard;
                    called.fetch_add(1, Ordering::Relaxed);
                };
                if handle.post(call).is_err() {
                    return posted;
                }
                drop(handle.spawn(sleep(Duration::from_secs(100))));
                thread::yield_now();
            }
        });
        // Not until a time: where that is virtual, it does not come while the thread keeps the loop busy.
        runtime.block_on(async {
            while called.load(Ordering::Relaxed) == 0 {
                yield_now().await;
            }
        });
        drop(runtime);
        let posted = thread.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), posted);
    }
}

fn in_a_forked_child(env: &Env) {
    let runtime = env.runtime();
    let handle = runtime.handle();
    let code = fork(|| {
        let refused = handle.post(|| ()) == Err(RuntimeGone) && handle.is_closed();
        let ended = cancelled(executor::block_on(handle.spawn(async {})));
        i32::from(refused && ended) * 7
    });
    assert_eq!(code, 7);
    assert!(!handle.is_closed());
    let task = handle.spawn(async { 7 });
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

fn none_outside_of_a_runtime(env: &Env) {
    assert!(Handle::try_current().is_none());
    let text = panic_of(Handle::current);
    assert!(text.starts_with("a handle needs a running carhop runtime"), "{text}");
    // While a runtime is being dropped there is one, and it is closed.
    let (runtime, trace) = (env.runtime(), Trace::default());
    let log = trace.clone();
    drop(runtime.spawn(async move {
        let _guard = OnDrop(move || {
            log.log(Handle::current().is_closed());
            assert_eq!(Handle::current().post(|| ()), Err(RuntimeGone));
        });
        pending::<()>().await
    }));
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(trace.text(), "true");
}
