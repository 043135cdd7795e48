//! Task groups: who is waited for, in which order they end, and what comes of it.

use std::cell::Cell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::time::Duration;

use carhop::task::{Builder, CancelToken, GroupError, GroupOptions, TaskGroup};
use carhop::{spawn, yield_now};

use super::support::{OnDrop, Trace};
use super::{Env, trials};

trials![
    the_scope_waits_for_its_children,
    a_failure_ends_siblings_and_body,
    a_body_that_fails_ends_the_children,
    children_spawn_siblings,
    siblings_that_are_asked_clean_up,
    failures_while_others_clean_up,
    a_group_within_a_group,
    outputs_aborts_and_failures_of_children,
    eager_children,
    children_of_strangers_observe_the_group,
    borrowed_data_and_no_send,
];

/// Yields and says so, also when it is dropped before.
fn worker(trace: &Trace, name: &'static str, yields: u32) -> impl Future<Output = &'static str> + use<> {
    let trace = trace.clone();
    async move {
        let done = Cell::new(false);
        let _guard = OnDrop(|| {
            if !done.get() {
                trace.log(format_args!("cancelled{name}"));
            }
        });
        for _ in 0..yields {
            yield_now().await;
        }
        trace.log(format_args!("end{name}"));
        done.set(true);
        name
    }
}

/// A worker that fails in the end.
pub(super) fn failing(
    trace: &Trace,
    name: &'static str,
    yields: u32,
) -> impl Future<Output = Result<(), &'static str>> + use<> {
    let worker = worker(trace, name, yields);
    async move { Err(worker.await) }
}

pub(super) fn successful(
    trace: &Trace,
    name: &'static str,
    yields: u32,
) -> impl Future<Output = Result<&'static str, &'static str>> + use<> {
    let worker = worker(trace, name, yields);
    async move { Ok(worker.await) }
}

fn log_errors<R>(trace: &Trace, outcome: Result<R, GroupError<&'static str>>) {
    let error = outcome.err().expect("something failed");
    let failures = error.failures().iter().map(ToString::to_string).collect::<Vec<_>>();
    trace.log(format_args!("errors:{}", failures.join(",")));
}

pub(super) const FOR_EVER: u32 = 1_000_000;

/// The trace is CPython's, of `asyncio.TaskGroup` with workers that yield by `sleep(0)`.
fn the_scope_waits_for_its_children(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let tasks = TaskGroup::scope(async |group| {
            let tasks = [("A", 2), ("B", 0), ("C", 1)]
                .map(|(name, yields)| group.spawn(successful(&trace, name, yields)));
            assert_eq!(format!("{group:?} {:?}", tasks[0]), "TaskGroup(Open, 3 children) GroupTask(running)");
            trace.log("body1");
            yield_now().await;
            trace.log("body2");
            Ok(tasks)
        });
        let mut names = String::from("after");
        for task in tasks.await.unwrap() {
            assert!(task.is_finished());
            names += task.await.unwrap();
        }
        trace.log(names);
    });
    assert_eq!(trace.text(), "body1 endB body2 endC endA afterABC");
}

/// The first trace is CPython's. With more than one sibling, CPython cancels them in the order of a set, which is
/// none; here it is that of their spawning.
fn a_failure_ends_siblings_and_body(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let outcome = TaskGroup::scope(async |group| {
            group.spawn(successful(&trace, "A", FOR_EVER));
            group.spawn(failing(&trace, "B", 1));
            trace.log("body");
            let _guard = OnDrop(|| trace.log("cancelledbody"));
            pending().await
        });
        log_errors::<()>(&trace, outcome.await);
    });
    assert_eq!(trace.text(), "body endB cancelledA cancelledbody errors:B");

    let trace = Trace::default();
    env.run(async {
        let outcome = TaskGroup::scope(async |group| {
            // Places that are used again, so that they do not tell the order.
            for _ in 0..3 {
                group.spawn(async { Ok(()) });
            }
            yield_now().await;
            for name in ["A", "B", "C"] {
                let trace = trace.clone();
                group.spawn(async move {
                    let _guard = OnDrop(|| trace.log(format_args!("cancelled{name}")));
                    pending::<Result<(), _>>().await
                });
            }
            group.spawn(failing(&trace, "F", 3));
            Ok(())
        });
        log_errors(&trace, outcome.await);
    });
    assert_eq!(trace.text(), "endF cancelledA cancelledB cancelledC errors:F");
}

/// The trace is CPython's.
fn a_body_that_fails_ends_the_children(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let outcome = TaskGroup::scope(async |group| {
            group.spawn(successful(&trace, "A", FOR_EVER));
            group.spawn(successful(&trace, "B", 0));
            yield_now().await;
            trace.log("body");
            Err::<(), _>("body")
        });
        log_errors(&trace, outcome.await);
    });
    assert_eq!(trace.text(), "endB body cancelledA errors:body");
}

/// The trace is CPython's.
fn children_spawn_siblings(env: &Env) {
    fn child(trace: Trace, group: &TaskGroup<&'static str>, depth: u32) {
        let siblings = group.clone();
        group.spawn(async move {
            trace.log(format_args!("child{depth}"));
            if depth < 3 {
                child(trace.clone(), &siblings, depth + 1);
                siblings.spawn(successful(&trace, ["w1", "w2"][depth as usize - 1], 1));
            }
            Ok(())
        });
    }
    let trace = Trace::default();
    env.run(async {
        let outcome = TaskGroup::scope(async |group| {
            child(trace.clone(), group, 1);
            trace.log("body");
            Ok(())
        });
        outcome.await.unwrap();
        trace.log("after");
    });
    assert_eq!(trace.text(), "body child1 child2 child3 endw1 endw2 after");
}

/// Waits to be asked, and takes its time then.
pub(super) fn polite(
    trace: &Trace,
    name: &'static str,
    yields: u32,
) -> impl Future<Output = Result<(), &'static str>> + use<> {
    let trace = trace.clone();
    async move {
        carhop::task::cancelled().await;
        for step in 0..yields {
            trace.log(format_args!("{name}{step}"));
            yield_now().await;
        }
        trace.log(format_args!("{name}done"));
        Ok(())
    }
}

pub(super) fn draining() -> GroupOptions {
    GroupOptions::new().drain_deadline(Duration::MAX)
}

/// The trace is CPython's, where children clean up in `except CancelledError`, with awaits.
fn siblings_that_are_asked_clean_up(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let outcome = draining().scope(async |group| {
            group.spawn(polite(&trace, "A", 2));
            group.spawn(polite(&trace, "B", 1));
            group.spawn(async {
                yield_now().await;
                Err::<(), _>("F")
            });
            Ok(())
        });
        log_errors(&trace, outcome.await);
    });
    assert_eq!(trace.text(), "A0 B0 A1 Bdone Adone errors:F");
}

/// The trace is CPython's. There, a body's own error would come last; here it comes when it happens.
fn failures_while_others_clean_up(env: &Env) {
    let trace = Trace::default();
    let late = |name, yields| {
        let cleaning = polite(&trace, name, yields);
        async move {
            cleaning.await?;
            Err::<(), _>(name)
        }
    };
    env.run(async {
        let outcome = draining().scope(async |group| {
            group.spawn(late("A", 4));
            group.spawn(late("B", 1));
            group.spawn(async { Err::<(), _>("F") });
            Ok(())
        });
        log_errors(&trace, outcome.await);
        let outcome = draining().scope(async |group| {
            group.spawn(late("A", 0));
            Err::<(), _>("body")
        });
        let error = outcome.await.unwrap_err();
        assert_eq!(error.to_string(), "2 tasks failed: body, A");
        assert_eq!(error.into_failures().len(), 2);
    });
    assert_eq!(trace.text(), "A0 B0 A1 Bdone A2 A3 Adone errors:F,B,A Adone");
}

/// The trace is CPython's.
fn a_group_within_a_group(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let outcome = TaskGroup::scope(async |group| {
            let inner = trace.clone();
            group.spawn(async move {
                let outcome = TaskGroup::scope(async |group| {
                    group.spawn(successful(&inner, "X", FOR_EVER));
                    group.spawn(successful(&inner, "Y", FOR_EVER));
                    Ok(())
                });
                outcome.await.map_err(|_: GroupError<&str>| "unreached")
            });
            group.spawn(failing(&trace, "F", 2));
            Ok(())
        });
        log_errors(&trace, outcome.await);
    });
    assert_eq!(trace.text(), "endF cancelledX cancelledY errors:F");
}

fn outputs_aborts_and_failures_of_children(env: &Env) {
    env.run(async {
        let kept = TaskGroup::scope(async |group| {
            let not_send = Rc::new(7);
            let (a, b) = (Rc::clone(&not_send), group.spawn(pending::<Result<(), &str>>()));
            let a = group.spawn(async move { Ok(a) });
            assert!(Rc::ptr_eq(&a.await.unwrap(), &not_send));
            // No failure, and its siblings go on.
            b.abort();
            let error = b.await.unwrap_err();
            assert_eq!(error.to_string(), "the task failed or was aborted; its group says why");
            assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::Other);
            let c = group.spawn(async { Ok("c") });
            c.abort_handle().abort();
            Ok((c, group.spawn(async { Ok("d") })))
        });
        let (c, d) = kept.await.unwrap();
        assert!(c.await.is_err());
        assert_eq!(d.await, Ok("d"));

        // A task of another group learns that there is nothing to wait for.
        let outside = Rc::new(Cell::new(None));
        let slot = Rc::clone(&outside);
        let failed = TaskGroup::scope(async |group| {
            slot.set(Some(group.spawn(async { Err::<(), _>("failed") })));
            Ok(())
        });
        assert!(failed.await.is_err());
        assert!(outside.take().unwrap().await.is_err());
    });
}

fn eager_children(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let eager = || Builder::new().eager(true);
        TaskGroup::scope(async |group| {
            let at_once = group.try_spawn_with(eager(), successful(&trace, "A", 0)).unwrap();
            trace.log("spawned");
            assert_eq!(at_once.await, Ok("A"));
            assert!(group.is_empty());
            let siblings = group.clone();
            let nested = async move {
                siblings.try_spawn_with(Builder::new().eager(true), async { Ok(()) }).unwrap();
                yield_now().await;
                Ok(())
            };
            group.try_spawn_with(eager(), nested).unwrap();
            assert_eq!(group.len(), 1);
            Ok(())
        })
        .await
        .unwrap();

        // One that fails within the spawning of one that waits.
        let outcome = TaskGroup::scope(async |group| {
            let (siblings, inner) = (group.clone(), trace.clone());
            let waits = async move {
                siblings.try_spawn_with(Builder::new().eager(true), failing(&inner, "F", 0)).unwrap();
                successful(&inner, "W", FOR_EVER).await
            };
            group.try_spawn_with(eager(), waits).unwrap();
            trace.log("body");
            pending::<Result<(), _>>().await
        });
        log_errors(&trace, outcome.await);
    });
    assert_eq!(trace.text(), "endA spawned endF body cancelledW errors:F");
}

/// A child is its group's, whoever spawns it.
fn children_of_strangers_observe_the_group(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let other = CancelToken::new();
        let outcome = draining().scope(async |group| {
            let (siblings, work) = (group.clone(), polite(&trace, "A", 0));
            let stranger = spawn(other.scope(async move {
                siblings.spawn(work);
            }));
            stranger.await.unwrap();
            other.cancel();
            for _ in 0..5 {
                yield_now().await;
            }
            trace.log("fails");
            Err::<(), _>("F")
        });
        log_errors(&trace, outcome.await);
    });
    assert_eq!(trace.text(), "fails Adone errors:F");
}

fn borrowed_data_and_no_send(env: &Env) {
    env.run(async {
        let mut text = String::from("lent");
        let outcome: Result<usize, GroupError<Rc<str>>> = TaskGroup::scope(async |group| {
            let len = text.len();
            text.push_str(" and returned");
            let doubled = group.spawn(async move { Ok(2 * len) });
            Ok(doubled.await.unwrap())
        })
        .await;
        assert_eq!((outcome.unwrap(), text.as_str()), (8, "lent and returned"));
    });
}
