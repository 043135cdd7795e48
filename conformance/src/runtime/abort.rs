//! Aborting.

use std::cell::RefCell;
use std::future::{pending, ready};
use std::rc::Rc;
use std::time::Duration;

use carhop::time::sleep;
use carhop::{JoinHandle, spawn, yield_now};

use super::support::{Count, OnDrop, cancelled, pair, waiting};
use super::{Env, trials};

trials![
    before_the_first_poll,
    while_it_waits,
    while_it_is_ready,
    after_the_end,
    by_itself,
    within_the_poll_that_ends_it,
    twice_and_the_handle_dropped,
    a_tree_from_drops,
];

fn before_the_first_poll(env: &Env) {
    let (polls, drops) = (Count::default(), Count::default());
    env.run(async {
        let captured = OnDrop({
            let drops = drops.clone();
            move || drops.add()
        });
        let polled = polls.clone();
        let task = spawn(async move {
            polled.add();
            drop(captured);
        });
        task.abort();
        let error = task.await.unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic());
        assert_eq!((error.to_string().as_str(), polls.get(), drops.get()), ("the task was cancelled", 0, 1));
        assert_eq!(format!("{error:?}"), "JoinError(the task was cancelled)");
        assert!(error.into_panic().is_none());
    });
}

fn while_it_waits(env: &Env) {
    let (polls, drops) = (Count::default(), Count::default());
    env.run(async {
        let task = spawn(waiting(&polls, &drops));
        yield_now().await;
        task.abort();
        assert_eq!(drops.get(), 0);
        assert!(cancelled(task.await));
        assert_eq!((polls.get(), drops.get()), (1, 1));

        let (mut near, mut far) = pair().await;
        let on_socket = spawn(async move { far.read(&mut [0]).await });
        let on_sleep = spawn(sleep(Duration::from_secs(3600)));
        let on_task = spawn(spawn(pending::<()>()));
        yield_now().await;
        on_socket.abort();
        on_sleep.abort();
        on_task.abort();
        assert!(cancelled(on_socket.await) && cancelled(on_sleep.await) && cancelled(on_task.await));
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0, "the socket went with its task");
    });
}

fn while_it_is_ready(env: &Env) {
    let polls = Count::default();
    env.run(async {
        let polled = polls.clone();
        let task = spawn(async move {
            loop {
                polled.add();
                yield_now().await;
            }
        });
        yield_now().await;
        let before = polls.get();
        task.abort();
        assert!(cancelled::<()>(task.await));
        assert_eq!(polls.get(), before);
    });
}

fn after_the_end(env: &Env) {
    env.run(async {
        let task = spawn(ready("done"));
        yield_now().await;
        task.abort();
        yield_now().await;
        assert_eq!(task.await.unwrap(), "done");
    });
}

type SharedHandle<T> = Rc<RefCell<Option<JoinHandle<T>>>>;

fn by_itself(env: &Env) {
    let went_on = Count::default();
    env.run(async {
        let own: SharedHandle<()> = Rc::default();
        let (handle, goes_on) = (Rc::clone(&own), went_on.clone());
        let task = spawn(async move {
            handle.borrow().as_ref().unwrap().abort();
            goes_on.add();
            yield_now().await;
            goes_on.add();
        });
        own.replace(Some(task));
        yield_now().await;
        yield_now().await;
        let task = own.take().unwrap();
        assert!(cancelled(task.await));
    });
    assert_eq!(went_on.get(), 1, "up to its next wait, no further");
}

fn within_the_poll_that_ends_it(env: &Env) {
    env.run(async {
        let own: SharedHandle<&str> = Rc::default();
        let handle = Rc::clone(&own);
        own.replace(Some(spawn(async move {
            handle.borrow().as_ref().unwrap().abort();
            "finished"
        })));
        yield_now().await;
        let task = own.take().unwrap();
        assert_eq!(task.await.unwrap(), "finished");
    });
}

fn twice_and_the_handle_dropped(env: &Env) {
    let (polls, drops) = (Count::default(), Count::default());
    env.run(async {
        let task = spawn(waiting(&polls, &drops));
        yield_now().await;
        task.abort();
        task.abort();
        drop(task);
        assert_eq!(drops.get(), 0);
        yield_now().await;
        assert_eq!((polls.get(), drops.get()), (1, 1));
    });
}

/// Each node owns its children and aborts them when it is dropped.
fn a_tree_from_drops(env: &Env) {
    fn node(depth: u32, ends: Count) -> JoinHandle<()> {
        let children: Vec<_> = (0..3).filter(|_| depth > 0).map(|_| node(depth - 1, ends.clone())).collect();
        spawn(async move {
            let _guard = OnDrop(move || {
                children.iter().for_each(JoinHandle::abort);
                ends.add();
            });
            pending::<()>().await
        })
    }
    let ends = Count::default();
    env.run(async {
        let root = node(4, ends.clone());
        for _ in 0..8 {
            yield_now().await;
        }
        root.abort();
        assert!(cancelled(root.await));
        for _ in 0..8 {
            yield_now().await;
        }
        assert_eq!(ends.get(), 1 + 3 + 9 + 27 + 81);
    });
}
