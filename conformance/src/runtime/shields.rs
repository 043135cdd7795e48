//! Work that goes on when nobody waits for it any more.

use std::future::pending;
use std::time::Duration;

use carhop::task::{CancelToken, TaskGroup, cancelled, is_cancelled, shield};
use carhop::time::{sleep, timeout};
use carhop::{spawn, yield_now};

use super::support::{self, Count, Trace, panic_quietly, waiting};
use super::{Env, trials};

trials![
    the_inner_task_goes_on,
    the_output_comes_through,
    it_starts_at_once,
    a_timeout_leaves_the_task,
    the_token_around_it_is_not_its_own,
    a_group_neither_waits_nor_aborts,
    panics_and_the_end_of_the_runtime,
];

/// The trace is CPython's, of `asyncio.shield` within a task that is cancelled.
fn the_inner_task_goes_on(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let (inner, outer) = (trace.clone(), trace.clone());
        let task = spawn(async move {
            let guard = support::OnDrop(|| outer.log("outer-cancelled"));
            outer.log("outer");
            let work = async move {
                for _ in 0..3 {
                    yield_now().await;
                }
                inner.log("endinner");
            };
            shield(work).await.unwrap();
            drop(guard);
        });
        yield_now().await;
        trace.log("root");
        yield_now().await;
        task.abort();
        assert!(support::cancelled(task.await));
        trace.log("joined");
        for _ in 0..4 {
            yield_now().await;
        }
    });
    assert_eq!(trace.text(), "outer root outer-cancelled joined endinner");
}

fn the_output_comes_through(env: &Env) {
    env.run(async {
        let shielded = shield(async {
            yield_now().await;
            "inner"
        });
        assert_eq!(format!("{shielded:?}"), "Shield(running)");
        assert_eq!(shielded.await.unwrap(), "inner");
        // A task that is there already.
        let task = spawn(async { 7 });
        assert_eq!(shield(task).await.unwrap().unwrap(), 7);
    });
}

fn it_starts_at_once(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let inner = trace.clone();
        let shielded = shield(async move { inner.log("inner") });
        trace.log("root");
        yield_now().await;
        trace.log("awaits");
        shielded.await.unwrap();
    });
    assert_eq!(trace.text(), "root inner awaits");
}

/// The trace is CPython's, of `wait_for(shield(task), 0.001)` and then `await task`.
fn a_timeout_leaves_the_task(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let inner = trace.clone();
        let mut shielded = shield(async move {
            sleep(Duration::from_millis(20)).await;
            inner.log("slow");
            7
        });
        assert!(timeout(Duration::from_millis(1), &mut shielded).await.is_err());
        trace.log("timeout");
        trace.log(shielded.await.unwrap());
    });
    assert_eq!(trace.text(), "timeout slow 7");
}

fn the_token_around_it_is_not_its_own(env: &Env) {
    env.run(async {
        let token = CancelToken::new();
        let task = spawn(token.scope(async {
            let inherits = spawn(async { cancelled().await });
            let shielded = shield(async {
                // With a token, which nobody cancels, for what is spawned within.
                assert!(CancelToken::current().is_some());
                for _ in 0..5 {
                    yield_now().await;
                }
                is_cancelled()
            });
            cancelled().await;
            inherits.await.unwrap();
            (is_cancelled(), shielded.await.unwrap())
        }));
        yield_now().await;
        token.cancel();
        assert_eq!(task.await.unwrap(), (true, false));
        assert!(shield(async { CancelToken::current().is_none() }).await.unwrap());
    });
}

fn a_group_neither_waits_nor_aborts(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let inner = trace.clone();
        let outcome = TaskGroup::scope(async |group| {
            group.spawn(async move {
                shield(async move {
                    for _ in 0..20 {
                        yield_now().await;
                    }
                    inner.log("shielded");
                })
                .await
                .unwrap();
                Ok(())
            });
            yield_now().await;
            yield_now().await;
            Err::<(), _>("failed")
        });
        trace.log(outcome.await.unwrap_err());
        for _ in 0..30 {
            yield_now().await;
        }
    });
    assert_eq!(trace.text(), "1 task failed: failed shielded");
}

fn panics_and_the_end_of_the_runtime(env: &Env) {
    let (polls, drops) = (Count::default(), Count::default());
    let runtime = env.runtime();
    runtime.block_on(async {
        let error = shield(async { panic_quietly("within") }).await.unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: within");
        let shielded = shield(waiting(&polls, &drops));
        drop(shielded);
        drop(shield(pending::<()>()));
        yield_now().await;
    });
    assert_eq!((polls.get(), drops.get()), (1, 0));
    drop(runtime);
    assert_eq!(drops.get(), 1);
}
