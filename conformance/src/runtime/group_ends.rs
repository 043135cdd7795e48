//! The ends of task groups: before their time, by force, and in panics.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carhop::task::{Blocker, Builder, CancelToken, Failure, GroupOptions, State, TaskGroup};
use carhop::{spawn, yield_now};
use futures::executor::block_on;
use futures::poll;

use super::groups::{FOR_EVER, draining, failing, polite, successful};
use super::support::{Count, OnDrop, Trace, cancelled, panic_of, panic_quietly, waiting};
use super::{Env, trials};

trials![
    groups_deep_within_one_another,
    an_aborted_scope_ends_its_children,
    a_scope_dropped_after_any_number_of_polls,
    failures_say_whose_they_are,
    panics_are_failures,
    a_body_that_panics,
    spawning_too_late,
    blockers_are_named,
    a_group_that_is_asked_to_end,
    a_runtime_that_ends_first,
    the_last_word_of_a_closed_group,
    errors_that_own_their_group,
    scopes_without_a_runtime,
];

fn failures_say_whose_they_are(env: &Env) {
    env.run(async {
        let outcome = TaskGroup::<&str>::scope(async |group| {
            drop(group.spawn_with(Builder::new().name("oven"), async { Err::<(), _>("cold") }));
            yield_now().await;
            Err::<(), _>("closed")
        });
        let error = outcome.await.unwrap_err();
        assert_eq!(error.to_string(), "1 task failed: `oven`: cold");
        let [Failure::Error { error, task: Some(task) }] = error.failures() else { panic!("{error:?}") };
        assert_eq!((*error, task.name.as_deref()), ("cold", Some("oven")));

        let outcome = TaskGroup::scope(async |_| Err::<(), _>("closed"));
        let error = outcome.await.unwrap_err();
        assert!(matches!(error.failures(), [Failure::Error { error: "closed", task: None }]), "{error:?}");
    });
}

/// A scope within an aborted child cannot wait; the scope around it does.
fn groups_deep_within_one_another(env: &Env) {
    async fn nest(depth: u32, drops: Count) -> Result<(), &'static str> {
        let _guard = OnDrop(|| drops.add());
        if depth > 0 {
            let outcome = TaskGroup::scope(async |group| {
                // The children of the last are aborted when the scopes around it are gone.
                for _ in 0..2 {
                    group.spawn(Box::pin(nest(depth - 1, drops.clone())) as Pin<Box<dyn Future<Output = _>>>);
                }
                pending::<Result<(), &str>>().await
            });
            outcome.await.map_err(|_| "inner")?;
        }
        pending().await
    }
    env.run(async {
        for yields in 0..8 {
            let drops = Count::default();
            let outcome = TaskGroup::scope(async |group| {
                group.spawn(nest(5, drops.clone()));
                for _ in 0..yields {
                    yield_now().await;
                }
                Err::<(), _>("enough")
            });
            assert_eq!(outcome.await.unwrap_err().to_string(), "1 task failed: enough");
            let before = drops.get();
            // As many as had been polled, and not one later.
            for _ in 0..10 {
                yield_now().await;
            }
            assert_eq!(drops.get(), before, "after {yields} yields");
            assert!(yields < 7 || before == 63, "{before}");
        }
    });
}

fn an_aborted_scope_ends_its_children(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let inner = trace.clone();
        let task = spawn(async move {
            let outcome = TaskGroup::scope(async |group| {
                group.spawn(successful(&inner, "A", FOR_EVER));
                group.spawn(successful(&inner, "B", FOR_EVER));
                let _guard = OnDrop(|| inner.log("cancelledbody"));
                pending::<Result<(), &str>>().await
            });
            outcome.await.map_err(drop)
        });
        yield_now().await;
        yield_now().await;
        trace.log("root");
        task.abort();
        assert!(cancelled(task.await));
        yield_now().await;
    });
    assert_eq!(trace.text(), "root cancelledbody cancelledA cancelledB");
}

fn a_scope_dropped_after_any_number_of_polls(env: &Env) {
    env.run(async {
        for options in [GroupOptions::new(), draining()] {
            for polls in 0..12 {
                let (held, trace) = (Rc::new(()), Trace::default());
                {
                    let mut scope = Box::pin(options.clone().scope(async |group| {
                        for _ in 0..3 {
                            let held = Rc::clone(&held);
                            let polite = polite(&trace, "P", 2);
                            group.spawn(async move {
                                let _held = held;
                                polite.await
                            });
                        }
                        group.spawn(failing(&trace, "F", 3));
                        yield_now().await;
                        Ok(())
                    }));
                    for _ in 0..polls {
                        if poll!(&mut scope).is_ready() {
                            break;
                        }
                        yield_now().await;
                    }
                }
                yield_now().await;
                assert_eq!(Rc::strong_count(&held), 1, "{options:?}, {polls} polls");
            }
        }
    });
}

fn panics_are_failures(env: &Env) {
    env.run(async {
        let outcome = TaskGroup::scope(async |group| {
            group.spawn(async {
                // Dropped when the other panics.
                let _guard = OnDrop(|| panic_quietly("in a drop"));
                pending::<Result<(), &str>>().await
            });
            group.spawn(async {
                yield_now().await;
                if true {
                    panic_quietly("in a poll");
                }
                Ok(())
            });
            Ok(())
        });
        let error = outcome.await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 tasks failed: the task panicked: in a poll, the task panicked: in a drop"
        );
        let payloads = error.into_failures().into_iter().map(|failure| match failure {
            Failure::Panic(error) => error.into_panic().unwrap().downcast::<&str>().unwrap(),
            other => panic!("nobody returned an error: {other:?}"),
        });
        assert!(payloads.eq([Box::new("in a poll"), Box::new("in a drop")]));
    });
}

fn a_body_that_panics(env: &Env) {
    for options in [GroupOptions::new(), draining()] {
        let drops = Count::default();
        let text = panic_of(|| {
            env.run(options.scope(async |group: &TaskGroup<&str>| {
                let drops = drops.clone();
                group.spawn(async move {
                    let _guard = OnDrop(|| drops.add());
                    carhop::task::cancelled().await;
                    yield_now().await;
                    Ok(())
                });
                yield_now().await;
                if true {
                    panic_quietly("the body");
                }
                Ok(())
            }))
        });
        assert_eq!((text.as_str(), drops.get()), ("the body", 1));
    }
}

/// CPython refuses, too: a group that is shutting down, and one that is finished.
fn spawning_too_late(env: &Env) {
    let refused = Count::default();
    env.run(async {
        let outcome = draining().scope(async |group| {
            let (siblings, refused) = (group.clone(), refused.clone());
            group.spawn(async move {
                siblings.token().cancelled().await;
                let error = siblings.try_spawn_with(Builder::new(), async { Ok(()) }).unwrap_err();
                assert!(error.to_string().contains("takes no more children"));
                let text = panic_of(|| siblings.spawn(async { Ok(()) }));
                assert_eq!(text, format!("TaskGroup::spawn: {error}"));
                refused.add();
                Ok(())
            });
            Err::<(), _>("late")
        });
        assert_eq!(outcome.await.unwrap_err().to_string(), "1 task failed: late");

        let outside = TaskGroup::<&str>::scope(async |group| Ok(group.clone())).await.unwrap();
        assert!(outside.try_spawn_with(Builder::new(), async { Ok(()) }).is_err());
        assert_eq!(format!("{outside:?}"), "TaskGroup(Closed, 0 children)");
    });
    assert_eq!(refused.get(), 1);
}

fn blockers_are_named(env: &Env) {
    const SHORT: Duration = Duration::from_millis(2);
    env.run(async {
        let drops = Count::default();
        let never = CancelToken::new();
        let outcome = GroupOptions::new().drain_deadline(SHORT).scope(async |group| {
            let (counted, token) = (drops.clone(), never.clone());
            let stubborn = async move {
                let _guard = OnDrop(|| counted.add());
                token.cancelled().await;
                Ok(())
            };
            group.spawn_with(Builder::new().name("stubborn"), stubborn);
            group.spawn(async move { spawn(pending::<Result<(), _>>()).await.unwrap() });
            group.spawn(async { Err::<(), _>("first") });
            pending::<Result<(), _>>().await
        });
        let error = outcome.await.unwrap_err();
        assert_eq!(drops.get(), 1);
        let [Blocker::Body, Blocker::Task(named), Blocker::Task(unnamed)] = error.blockers() else {
            panic!("{:?}", error.blockers());
        };
        assert_eq!(named.title(), "`stubborn`");
        assert!(matches!(named.state, State::Waiting { .. }));
        assert!(named.to_string().contains("waits for CancelToken::cancelled"), "{named}");
        assert!(unnamed.location.file().ends_with("group_ends.rs"));
        let text = error.to_string();
        let start = "1 task failed: first; 3 tasks had not ended at the deadline: the body of the group, #";
        assert!(text.starts_with(start) && text.contains("`stubborn`"), "{text}");
    });
}

/// By its own token, or by the one around it: no failure, unless it does not end in time.
fn a_group_that_is_asked_to_end(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let outer = CancelToken::new();
        let group = outer.scope(draining().scope(async |group: &TaskGroup<&str>| {
            group.spawn(polite(&trace, "A", 1));
            carhop::task::cancelled().await;
            assert!(carhop::task::is_cancelled() && group.token().is_cancelled());
            Ok("body")
        }));
        let (outcome, ()) = futures::join!(group, async {
            yield_now().await;
            outer.cancel();
        });
        trace.log(outcome.unwrap());
        assert!(!carhop::task::is_cancelled() && CancelToken::current().is_none());

        let late =
            GroupOptions::new().drain_deadline(Duration::ZERO).scope(async |group: &TaskGroup<&str>| {
                group.spawn(pending::<Result<(), _>>());
                group.token().cancel();
                Ok(())
            });
        let error = late.await.unwrap_err();
        assert!(error.failures().is_empty() && error.blockers().len() == 1);
        assert!(error.to_string().starts_with("1 task had not ended at the deadline: #"), "{error}");
    });
    assert_eq!(trace.text(), "A0 Adone body");
}

fn a_runtime_that_ends_first(env: &Env) {
    let (polls, drops) = (Count::default(), Count::default());
    let runtime = env.runtime();
    runtime.block_on(async {
        let (polls, drops) = (polls.clone(), drops.clone());
        drop(spawn(async move {
            let outcome = draining().scope(async |group: &TaskGroup<&str>| {
                for _ in 0..3 {
                    let waiting = waiting(&polls, &drops);
                    group.spawn(async move {
                        waiting.await;
                        Ok(())
                    });
                }
                Ok(())
            });
            outcome.await.map_err(drop)
        }));
        yield_now().await;
        yield_now().await;
    });
    drop(runtime);
    assert_eq!((polls.get(), drops.get()), (3, 3));
}

/// The panic of a child whose scope is gone is told as that of any task that nobody waits for: not even who has its
/// handle hears of it otherwise.
fn the_last_word_of_a_closed_group(env: &Env) {
    for awaited in [false, true] {
        last_word_of_a_closed_group(env, awaited);
    }
}

fn last_word_of_a_closed_group(env: &Env, awaited: bool) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let builder = env.builder().on_incident(move |incident| hear.lock().unwrap().push(incident.to_string()));
    builder.build().unwrap().block_on(async {
        let handle = RefCell::new(None);
        let mut scope = Box::pin(TaskGroup::scope(async |group: &TaskGroup<&str>| {
            let last_word = async {
                let _guard = OnDrop(|| panic_quietly("goodbye"));
                pending::<Result<(), _>>().await
            };
            let task = group.try_spawn_with(Builder::new().name("diva"), last_word).unwrap();
            *handle.borrow_mut() = Some(task).filter(|_| awaited);
            pending::<Result<(), _>>().await
        }));
        assert!(poll!(&mut scope).is_pending());
        yield_now().await;
        drop(scope);
        yield_now().await;
        if let Some(task) = handle.take() {
            assert!(task.await.is_err());
        }
    });
    assert_eq!(*told.lock().unwrap(), ["task `diva` panicked, and nobody has its handle: goodbye"]);
}

/// An error that nobody takes out of the group does not keep it alive.
fn errors_that_own_their_group(env: &Env) {
    struct Owns {
        _group: TaskGroup<Owns>,
        _guard: OnDrop<Box<dyn FnMut()>>,
    }
    let drops = Count::default();
    env.run(async {
        let mut scope = Box::pin(draining().scope(async |group: &TaskGroup<Owns>| {
            let (owned, drops) = (group.clone(), drops.clone());
            let owns = Owns { _group: owned, _guard: OnDrop(Box::new(move || drops.add())) };
            group.spawn(async { Err::<(), _>(owns) });
            pending::<Result<(), _>>().await
        }));
        assert!(poll!(&mut scope).is_pending());
        yield_now().await;
        assert_eq!(drops.get(), 0);
        drop(scope);
    });
    assert_eq!(drops.get(), 1);
}

fn scopes_without_a_runtime(_: &Env) {
    let group = || block_on(TaskGroup::scope(async |_: &TaskGroup<&str>| Ok(())));
    assert!(panic_of(group).starts_with("TaskGroup::scope needs a running carhop runtime on this thread"));
    let token = || block_on(CancelToken::new().scope(async {}));
    assert!(panic_of(token).starts_with("CancelToken::scope needs a running carhop runtime on this thread"));
    // Asking is no mistake.
    assert!(CancelToken::current().is_none() && !carhop::task::is_cancelled());
}
