//! Chains of a hundred thousand tasks: none of them is a chain of calls, or the stack would not hold it.

use std::cell::Cell;
use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;

use carhop::task::TaskGroup;
use carhop::{JoinHandle, spawn, yield_now};

use super::support::{Count, OnDrop};
use super::{Env, trials};

trials![
    outputs_that_own_the_next_handle,
    outputs_that_own_the_next_handle_at_the_end_of_the_runtime,
    futures_that_own_the_next_handle,
    tasks_that_wait_for_the_next,
    drops_that_abort_the_next,
    ends_that_spawn_the_next,
    groups_within_the_next,
    groups_that_are_over_around_the_next,
];

const LINKS: usize = 100_000;

/// A link in a chain of outputs.
struct Link {
    _next: Option<JoinHandle<Link>>,
    _guard: OnDrop<Box<dyn FnMut()>>,
}

fn link(drops: &Count, next: Option<JoinHandle<Link>>) -> Link {
    let drops = drops.clone();
    Link { _next: next, _guard: OnDrop(Box::new(move || drops.add())) }
}

/// Tasks each of which has the handle of the one before for an output. All have ended.
async fn chain_of_outputs(drops: &Count) -> JoinHandle<Link> {
    let mut last = link(drops, None);
    for _ in 1..LINKS {
        let handle = spawn(async { last });
        yield_now().await;
        last = link(drops, Some(handle));
    }
    let handle = spawn(async { last });
    yield_now().await;
    handle
}

fn outputs_that_own_the_next_handle(env: &Env) {
    let drops = Count::default();
    env.run(async {
        let chain = chain_of_outputs(&drops).await;
        assert_eq!(drops.get(), 0);
        drop(chain);
        assert_eq!(drops.get(), LINKS);
        // Taken before it is dropped.
        let chain = chain_of_outputs(&drops).await.await.unwrap();
        drop(chain);
        assert_eq!(drops.get(), 2 * LINKS);
    });
}

fn outputs_that_own_the_next_handle_at_the_end_of_the_runtime(env: &Env) {
    let drops = Count::default();
    let runtime = env.runtime();
    runtime.block_on(async {
        let chain = chain_of_outputs(&drops).await;
        drop(spawn(async move {
            let _chain = chain;
            pending::<()>().await
        }));
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(drops.get(), LINKS);
    // And by one that outlives it.
    let runtime = env.runtime();
    let chain = runtime.block_on(chain_of_outputs(&drops));
    drop(runtime);
    drop(chain);
    assert_eq!(drops.get(), 2 * LINKS);
}

fn futures_that_own_the_next_handle(env: &Env) {
    let drops = Count::default();
    let runtime = env.runtime();
    runtime.block_on(async {
        let mut last: Option<JoinHandle<()>> = None;
        for _ in 0..LINKS {
            let (next, drops) = (last.take(), drops.clone());
            last = Some(spawn(async move {
                let _guard = OnDrop(|| drops.add());
                let _next = next;
                pending::<()>().await
            }));
        }
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(drops.get(), LINKS);
}

fn tasks_that_wait_for_the_next(env: &Env) {
    env.run(async {
        let go = Rc::new(Cell::new(false));
        let first = Rc::clone(&go);
        let mut last = spawn(async move {
            while !first.get() {
                yield_now().await;
            }
            0
        });
        for _ in 0..LINKS {
            let next = last;
            last = spawn(async move { next.await.unwrap() + 1 });
        }
        yield_now().await;
        go.set(true);
        assert_eq!(last.await.unwrap(), LINKS);
    });
}

/// Aborts a task when it is dropped, as many libraries do.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn drops_that_abort_the_next(env: &Env) {
    for at_shutdown in [false, true] {
        let drops = Count::default();
        let runtime = env.runtime();
        runtime.block_on(async {
            let mut last: Option<AbortOnDrop> = None;
            for _ in 0..LINKS {
                let (next, drops) = (last.take(), drops.clone());
                last = Some(AbortOnDrop(spawn(async move {
                    let _guard = OnDrop(|| drops.add());
                    let _next = next;
                    pending::<()>().await
                })));
            }
            yield_now().await;
            if at_shutdown {
                return std::mem::forget(last);
            }
            drop(last);
            while drops.get() < LINKS {
                yield_now().await;
            }
        });
        drop(runtime);
        assert_eq!(drops.get(), LINKS);
    }
}

fn ends_that_spawn_the_next(env: &Env) {
    fn next(left: usize, ended: Count) {
        drop(spawn(async move {
            ended.add();
            if left > 1 {
                next(left - 1, ended);
            }
        }));
    }
    let ended = Count::default();
    env.run(async {
        next(LINKS, ended.clone());
        while ended.get() < LINKS {
            yield_now().await;
        }
    });
}

type Nested<T> = Pin<Box<dyn Future<Output = T>>>;

/// The outermost goes first, and is kept by those within until the innermost goes.
fn groups_within_the_next(env: &Env) {
    fn nest(left: usize, starts: Count, drops: Count) -> Nested<Result<(), ()>> {
        Box::pin(async move {
            starts.add();
            let _guard = OnDrop(|| drops.add());
            let scope = TaskGroup::scope(async |group| {
                if left > 1 {
                    group.spawn(nest(left - 1, starts.clone(), drops.clone()));
                }
                pending().await
            });
            scope.await.map_err(drop)
        })
    }
    for at_shutdown in [false, true] {
        let (starts, drops) = (Count::default(), Count::default());
        let runtime = env.runtime();
        runtime.block_on(async {
            let outermost = spawn(nest(LINKS, starts.clone(), drops.clone()));
            while starts.get() < LINKS {
                yield_now().await;
            }
            if at_shutdown {
                return;
            }
            outermost.abort();
            while drops.get() < LINKS {
                yield_now().await;
            }
        });
        drop(runtime);
        assert_eq!(drops.get(), LINKS);
    }
}

/// A task that a body spawns, and the group does not wait for, has that group around its own.
fn groups_that_are_over_around_the_next(env: &Env) {
    fn next(left: usize, ended: Count) -> Nested<()> {
        Box::pin(async move {
            let scope = TaskGroup::<()>::scope(async |_| {
                ended.add();
                if left > 1 {
                    drop(spawn(next(left - 1, ended.clone())));
                }
                Ok(())
            });
            scope.await.unwrap();
        })
    }
    let ended = Count::default();
    env.run(async {
        drop(spawn(next(LINKS, ended.clone())));
        while ended.get() < LINKS {
            yield_now().await;
        }
    });
    assert_eq!(ended.get(), LINKS);
}
