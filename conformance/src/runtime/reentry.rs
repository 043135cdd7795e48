//! Wakers that make use of the runtime at a bad moment: while it hands out results, or while it ends.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use carhop::net::TcpStream;
use carhop::time::sleep;
use carhop::{Runtime, spawn, yield_now};
use futures::FutureExt;

use super::support::{OnDrop, fill, listener, pair, promptly};
use super::{Env, trials};

trials![
    a_waker_that_drops_a_neighbour: Strangers,
    a_waker_that_runs_the_runtime: Strangers,
    a_waker_that_drops_the_runtime: Strangers,
    a_waker_that_writes_while_its_runtime_ends,
    a_waker_that_spawns_while_its_runtime_ends,
    a_waker_that_spawns_when_it_is_dropped,
];

thread_local! {
    /// What the next waker does; the ones after it do nothing.
    static ACTION: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

fn act() {
    if let Some(action) = ACTION.take() {
        action();
    }
}

fn next_waker_does(action: impl FnOnce() + 'static) {
    ACTION.set(Some(Box::new(action)));
}

/// Acts when it is woken.
struct OnWake;

impl Wake for OnWake {
    fn wake(self: Arc<Self>) {
        act();
    }
}

/// Acts when it is dropped.
struct Dropped;

impl Wake for Dropped {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Dropped {
    fn drop(&mut self) {
        act();
    }
}

/// Three streams that wait for bytes, which have come since the runtime last ran, and their peers.
fn readable(runtime: &Runtime) -> ([TcpStream; 3], [std::net::TcpStream; 3]) {
    let (streams, mut peers) = runtime.block_on(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let peers = [(); 3].map(|()| std::net::TcpStream::connect(addr).unwrap());
        let mut streams = Vec::new();
        for _ in &peers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let waker = Waker::from(Arc::new(OnWake));
            assert!(stream.poll_read(&mut Context::from_waker(&waker), &mut [0]).is_pending());
            streams.push(stream);
        }
        yield_now().await;
        yield_now().await;
        (streams, peers)
    });
    for peer in &mut peers {
        peer.write_all(b"x").unwrap();
    }
    (streams.try_into().expect("three"), peers)
}

/// Has a waker act while the runtime, which does not run, hands out the results of several operations: the close of
/// a socket takes effect at once, and brings them with it.
fn act_between_results(trigger: TcpStream, action: impl FnOnce() + 'static) {
    let acted = Rc::new(Cell::new(false));
    let acts = Rc::clone(&acted);
    next_waker_does(move || {
        action();
        acts.set(true);
    });
    promptly(|| drop(trigger));
    assert!(acted.get());
}

fn a_waker_that_drops_a_neighbour(env: &Env) {
    let runtime = env.runtime();
    let ([mut kept, neighbour, trigger], _peers) = readable(&runtime);
    act_between_results(trigger, move || drop(neighbour));
    runtime.block_on(async { kept.read_exact(&mut [0]).await.unwrap() });
    promptly(|| drop(runtime));
}

fn a_waker_that_runs_the_runtime(env: &Env) {
    let runtime = Rc::new(env.runtime());
    let ([mut kept, neighbour, trigger], _peers) = readable(&runtime);
    let within = Rc::clone(&runtime);
    act_between_results(trigger, move || {
        within.block_on(async move {
            drop(neighbour);
            spawn(sleep(Duration::from_micros(1))).await.unwrap();
        });
    });
    runtime.block_on(async { kept.read_exact(&mut [0]).await.unwrap() });
    promptly(|| drop(runtime));
}

fn a_waker_that_drops_the_runtime(env: &Env) {
    let runtime = env.runtime();
    let ([_kept, _neighbour, trigger], _peers) = readable(&runtime);
    act_between_results(trigger, move || drop(runtime));
}

fn a_waker_that_writes_while_its_runtime_ends(env: &Env) {
    let write = |stream: &RefCell<TcpStream>| {
        let waker = Waker::from(Arc::new(OnWake));
        stream.borrow_mut().poll_write(&mut Context::from_waker(&waker), b"x")
    };
    let runtime = env.runtime();
    let (stream, _peer) = runtime.block_on(async {
        let (mut near, far) = pair().await;
        fill(&mut near).await;
        let stream = Rc::new(RefCell::new(near));
        assert!(write(&stream).is_pending());
        yield_now().await;
        yield_now().await;
        (stream, far)
    });
    let outcome = Rc::new(Cell::new(None));
    let (again, result) = (Rc::clone(&stream), Rc::clone(&outcome));
    next_waker_does(move || result.set(Some(write(&again))));
    // An operation that starts after all were cancelled would be waited for in vain.
    promptly(|| drop(runtime));
    let Some(Poll::Ready(Err(error))) = outcome.take() else { panic!("the write should have been refused") };
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
}

/// Drops a runtime during which a waker acts: it spawns a task that owns a socket. The harness counts descriptors.
fn end_with_a_late_spawn(runtime: Runtime) {
    let dropped = Rc::new(Cell::new(false));
    let drops = Rc::clone(&dropped);
    let listener = runtime.block_on(listener());
    next_waker_does(move || {
        let guard = OnDrop(move || drops.set(true));
        drop(spawn(async move { drop((guard, listener)) }));
    });
    promptly(|| drop(runtime));
    assert!(dropped.get());
}

fn a_waker_that_spawns_while_its_runtime_ends(env: &Env) {
    let runtime = env.runtime();
    let _waiting = runtime.block_on(async {
        let (mut near, far) = pair().await;
        let waker = Waker::from(Arc::new(OnWake));
        assert!(near.poll_read(&mut Context::from_waker(&waker), &mut [0]).is_pending());
        (near, far)
    });
    end_with_a_late_spawn(runtime);
}

fn a_waker_that_spawns_when_it_is_dropped(env: &Env) {
    let runtime = env.runtime();
    let mut sleep = sleep(Duration::from_secs(3600));
    runtime.block_on(async {
        let waker = Waker::from(Arc::new(Dropped));
        assert!(sleep.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    });
    end_with_a_late_spawn(runtime);
}
