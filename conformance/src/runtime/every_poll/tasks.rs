//! Tasks, what belongs to them, and work beside them.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::mpsc;

use carhop::sync::Mutex;
use carhop::task::{CancelToken, JoinSet, cancelled, shield, spawn_blocking};
use carhop::{Handle, spawn, yield_now};

use super::{Probe, futures, yields};

futures!(
    join_handle: "join::JoinHandle",
    remote_join_handle: "handle::RemoteJoinHandle",
    yielding: "task::yield_now",
    blocking_handle: "blocking::BlockingHandle",
    shielded: "shield::Shield",
    join_next: "join_set::JoinSet::join_next",
    poll_join_next: "join_set::JoinSet::poll_join_next",
    join_all: "join_set::JoinSet::join_all",
    join_set_shutdown: "join_set::JoinSet::shutdown",
    task_local_scope: "local::TaskLocal::scope",
    token_cancelled: "cancel::CancelToken::cancelled",
    run_until_cancelled: "cancel::CancelToken::run_until_cancelled",
    token_scope: "context::CancelToken::scope" "context::cancelled",
);

/// Counts itself when it has ended.
async fn work(ended: Rc<Cell<usize>>) -> &'static str {
    yields(3).await;
    ended.set(ended.get() + 1);
    "done"
}

async fn until(ended: &Cell<usize>, count: usize) {
    while ended.get() < count {
        yield_now().await;
    }
    assert_eq!(ended.get(), count);
}

/// The task goes on without its handle.
async fn join_handle(probe: &Probe) {
    let ended = Rc::default();
    let output = probe.drive(spawn(work(Rc::clone(&ended)))).await;
    assert!(output.is_none_or(|output| output.unwrap() == "done"));
    until(&ended, 1).await;
}

async fn remote_join_handle(probe: &Probe) {
    let (end, ended) = mpsc::channel();
    let task = Handle::current().spawn(async move {
        yields(3).await;
        end.send(()).unwrap();
        "done"
    });
    let output = probe.drive_a_loan(task).await;
    assert!(output.is_none_or(|output| output.unwrap() == "done"));
    while ended.try_recv().is_err() {
        yield_now().await;
    }
}

async fn yielding(probe: &Probe) {
    let other = spawn(yields(2));
    probe.drive_a_loan(yield_now()).await;
    other.await.unwrap();
}

/// The closure goes on without its handle.
async fn blocking_handle(probe: &Probe) {
    let (go, wait) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let goer = spawn(async move {
        yields(3).await;
        go.send("done").unwrap();
    });
    let handle = spawn_blocking(move || {
        let word = wait.recv().unwrap();
        end.send(()).unwrap();
        word
    });
    let output = probe.drive_a_loan(handle).await;
    assert!(output.is_none_or(|output| output.unwrap() == "done"));
    goer.await.unwrap();
    while ended.try_recv().is_err() {
        yield_now().await;
    }
}

/// The task goes on without the shield.
async fn shielded(probe: &Probe) {
    let ended = Rc::default();
    let output = probe.drive(shield(work(Rc::clone(&ended)))).await;
    assert!(output.is_none_or(|output| output.unwrap() == "done"));
    until(&ended, 1).await;
}

async fn join_next(probe: &Probe) {
    joining(probe, async |set| set.join_next().await.unwrap().unwrap()).await;
}

async fn poll_join_next(probe: &Probe) {
    joining(probe, async |set| poll_fn(|cx| set.poll_join_next(cx)).await.unwrap().unwrap()).await;
}

/// Each task is joined once, by the future under test or after it.
async fn joining(probe: &Probe, next: impl AsyncFn(&mut JoinSet<usize>) -> usize + 'static) {
    let numbered = async |number| {
        yields(1 + number).await;
        number
    };
    let set: JoinSet<_> = (0..3).map(numbered).collect();
    let world = Rc::new(Mutex::new((set, vec![])));
    let tested = Rc::clone(&world);
    let join_two = async move {
        let (set, joined) = &mut *tested.try_lock().unwrap();
        while joined.len() < 2 {
            joined.push(next(set).await);
        }
    };
    probe.drive_a_loan(join_two).await;
    let (set, joined) = &mut *world.try_lock().unwrap();
    assert_eq!(set.len(), 3 - joined.len());
    while let Some(output) = set.join_next().await {
        joined.push(output.unwrap());
    }
    assert_eq!(joined, &[0, 1, 2]);
}

/// Those that are left are aborted.
async fn join_all(probe: &Probe) {
    let ended = Rc::default();
    let set: JoinSet<_> = (0..3).map(|_| work(Rc::clone(&ended))).collect();
    let outputs = probe.drive(set.join_all()).await;
    if let Some(outputs) = outputs {
        assert_eq!(outputs.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["done"; 3]);
        assert_eq!(ended.get(), 3);
    }
    yields(2).await;
    assert_eq!(Rc::strong_count(&ended), 1);
}

async fn join_set_shutdown(probe: &Probe) {
    let ended: Rc<Cell<usize>> = Rc::default();
    let set = Rc::new(Mutex::new((0..3).map(|_| work(Rc::clone(&ended))).collect::<JoinSet<_>>()));
    let tested = Rc::clone(&set);
    let shut_down = probe.drive_a_loan(async move { tested.try_lock().unwrap().shutdown().await }).await;
    let mut set = set.try_lock().unwrap();
    assert!(shut_down.is_none() || set.is_empty());
    let expected = if probe.never_polls() { 3 } else { 0 };
    while let Some(output) = set.join_next().await {
        assert_eq!(output.is_ok(), expected == 3);
    }
    assert_eq!((ended.get(), Rc::strong_count(&ended)), (expected, 1));
}

/// The value outside is as it was, and the one inside is dropped.
async fn task_local_scope(probe: &Probe) {
    carhop::task_local! {
        static VALUE: Rc<u32>;
    }
    let (outside, inside) = (Rc::new(0), Rc::new(1));
    VALUE.set(Rc::clone(&outside));
    let expected = Rc::clone(&inside);
    let body = async move {
        for _ in 0..3 {
            assert_eq!(VALUE.get(), expected);
            yield_now().await;
        }
    };
    probe.drive_a_loan(VALUE.scope(Rc::clone(&inside), body)).await;
    assert_eq!(VALUE.get(), outside);
    assert_eq!(Rc::strong_count(&inside), 1);
}

async fn token_cancelled(probe: &Probe) {
    let token = CancelToken::new();
    let wait = async |token: CancelToken| token.cancelled().await;
    let other = spawn(wait(token.child_token()));
    let canceller = spawn({
        let token = token.clone();
        async move {
            yields(3).await;
            token.cancel();
        }
    });
    probe.drive(wait(token.child_token())).await;
    canceller.await.unwrap();
    other.await.unwrap();
}

/// The future inside is dropped with the one around it.
async fn run_until_cancelled(probe: &Probe) {
    let token = CancelToken::new();
    let inside: Rc<Cell<usize>> = Rc::default();
    let canceller = spawn({
        let token = token.clone();
        async move {
            yields(3).await;
            token.cancel();
        }
    });
    let kept = Rc::clone(&inside);
    let run = async move {
        let never = async move {
            std::future::pending::<()>().await;
            drop(kept);
        };
        token.run_until_cancelled(never).await.is_err()
    };
    let cancelled = probe.drive(run).await;
    assert_eq!(Rc::strong_count(&inside), 1);
    assert_ne!(cancelled, Some(false));
    canceller.await.unwrap();
}

/// The current token inside is that of the scope, and waited for; outside there is none.
async fn token_scope(probe: &Probe) {
    let token = CancelToken::new();
    let canceller = spawn({
        let token = token.clone();
        async move {
            yields(3).await;
            token.cancel();
        }
    });
    probe.drive(token.scope(async { cancelled().await })).await;
    assert!(CancelToken::current().is_none());
    canceller.await.unwrap();
}
