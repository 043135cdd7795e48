//! What outlives its runtime: an error, not a hang.

use std::cell::RefCell;
use std::future::{pending, poll_fn, ready};
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::sync::oneshot::{self, TryRecvError};
use carhop::time::{Instant, Sleep, sleep};
use carhop::{Runtime, spawn, yield_now};
use futures::executor;
use futures::poll;

use super::support::{Count, OnDrop, connection, fill, listener, pair, promptly};
use super::{Env, trials};

trials![
    streams,
    listeners,
    handles,
    outputs_that_run_a_runtime,
    outputs_at_the_end_of_their_thread,
    sleeps,
    forgotten_reads,
];

/// It is an error, and says that the runtime is gone.
fn gone<T>(what: &str, result: io::Result<T>) {
    let error = result.err().unwrap_or_else(|| panic!("{what} succeeded without a runtime"));
    assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{what}: {error}");
    assert_eq!(error.to_string(), "the carhop runtime of this socket is gone", "{what}");
}

fn streams(env: &Env) {
    let runtime = env.runtime();
    let (mut idle, mut reading, mut unread, mut full, mut far) = runtime.block_on(async {
        let accepting = listener().await;
        let (idle, _) = connection(&accepting).await;
        let (mut reading, far) = connection(&accepting).await;
        assert!(poll!(Box::pin(reading.read(&mut [0; 9]))).is_pending());
        let (mut unread, mut writer) = connection(&accepting).await;
        writer.write_all(b"unread").await.unwrap();
        unread.read_exact(&mut [0; 2]).await.unwrap();
        let (mut full, reader) = connection(&accepting).await;
        fill(&mut full).await;
        std::mem::forget(spawn(async move {
            let _open = (writer, reader);
            pending::<()>().await
        }));
        (idle, reading, unread, full, far)
    });
    promptly(|| drop(runtime));

    let other = env.runtime();
    let mut buf = [0; 64];
    for (name, stream) in [("idle", &mut idle), ("reading", &mut reading), ("full", &mut full)] {
        // On no runtime, and on one that is not theirs.
        gone(name, executor::block_on(stream.read(&mut buf)));
        gone(name, other.block_on(stream.read(&mut buf)));
        gone(name, executor::block_on(stream.write(b"x")));
        gone(name, other.block_on(stream.write(b"x")));
        gone(name, stream.local_addr());
        gone(name, stream.nodelay());
        gone(name, stream.shutdown(Shutdown::Write));
    }
    // What had arrived is still there.
    assert_eq!(executor::block_on(unread.read(&mut buf)).unwrap(), 4);
    assert_eq!(&buf[..4], b"read");
    gone("unread", executor::block_on(unread.read(&mut buf)));

    let (_read, mut write) = reading.into_split();
    gone("half", executor::block_on(write.write(b"x")));
    gone("far", executor::block_on(far.read(&mut buf)));
}

fn listeners(env: &Env) {
    let runtime = env.runtime();
    let (idle, accepting): (TcpListener, TcpListener) = runtime.block_on(async {
        let (idle, accepting) = (listener().await, listener().await);
        assert!(poll!(Box::pin(accepting.accept())).is_pending());
        // Accepted, and taken by nobody.
        drop(TcpStream::connect(accepting.local_addr().unwrap()).await.unwrap());
        sleep(Duration::from_millis(1)).await;
        (idle, accepting)
    });
    promptly(|| drop(runtime));
    gone("idle", executor::block_on(idle.accept()));
    for _ in 0..3 {
        gone("accepting", executor::block_on(accepting.accept()));
    }
    gone("local_addr", idle.local_addr());
}

fn handles(env: &Env) {
    let runtime = env.runtime();
    let (finished, waiting, ready) = runtime.block_on(async {
        let handles = (spawn(async { "done" }), spawn(pending::<()>()), spawn(async { "never ran" }));
        yield_now().await;
        (handles.0, handles.1, handles.2)
    });
    let never_polled = runtime.spawn(async {});
    drop(runtime);
    assert_eq!(executor::block_on(finished).unwrap(), "done");
    assert_eq!(executor::block_on(ready).unwrap(), "never ran");
    for handle in [waiting, never_polled] {
        assert!(handle.is_finished());
        handle.abort();
        assert!(executor::block_on(handle).unwrap_err().is_cancelled());
    }
}

/// A chain of outputs is dropped one after the other, but what such a drop runs does not wait for the end of that.
fn outputs_that_run_a_runtime(env: &Env) {
    struct Runs(Env, Count);
    impl Drop for Runs {
        fn drop(&mut self) {
            self.0.run(async {
                let (detached, mut first) = oneshot::channel::<()>();
                drop(spawn(async { detached }));
                let (joined, mut second) = oneshot::channel::<()>();
                let task = spawn(async { joined });
                yield_now().await;
                assert_eq!(first.try_recv(), Err(TryRecvError::Closed));
                drop(task);
                assert_eq!(second.try_recv(), Err(TryRecvError::Closed));
                self.1.add();
            });
        }
    }
    let (runtime, drops) = (env.runtime(), Count::default());
    let runs = Runs(*env, drops.clone());
    let output = runtime.spawn(async { runs });
    runtime.block_on(yield_now());
    assert!(output.is_finished());
    drop(output);
    assert_eq!(drops.get(), 1);
}

/// The runtime is kept in a thread-local, which goes after those that the runtime itself uses.
fn outputs_at_the_end_of_their_thread(env: &Env) {
    thread_local! { static KEPT: RefCell<Option<Runtime>> = const { RefCell::new(None) }; }
    let (env, dropped) = (*env, Arc::<AtomicBool>::default());
    let (seen, (told, heard)) = (Arc::clone(&dropped), mpsc::channel());
    let thread = thread::spawn(move || {
        KEPT.set(Some(env.runtime()));
        KEPT.with_borrow(|runtime| {
            runtime.as_ref().unwrap().block_on(async move {
                // What the runtime uses for that is there from the first output on.
                drop(spawn(async { 1 }));
                yield_now().await;
                let output = OnDrop(move || {
                    drop(spawn(async {}));
                    dropped.store(true, Ordering::Relaxed);
                });
                let inner = spawn(async { output });
                let mut outer = Some(spawn(ready(inner)));
                let last = OnDrop(move || {
                    drop(outer.take());
                    told.send(seen.load(Ordering::Relaxed)).unwrap();
                    (0..8).for_each(|_| drop(spawn(pending::<()>())));
                });
                drop(spawn(async move {
                    let _last = last;
                    pending::<()>().await
                }));
                yield_now().await;
                yield_now().await;
            });
        });
    });
    thread.join().unwrap();
    assert!(heard.recv().unwrap(), "the output was not dropped with its handle");
}

fn sleeps(env: &Env) {
    let poll_once =
        |sleep: &mut Sleep| env.run(poll_fn(|cx| Poll::Ready(Pin::new(&mut *sleep).poll(cx).is_pending())));
    let (mut dropped, mut awaited) = (sleep(Duration::from_secs(3600)), sleep(Duration::from_millis(1)));
    assert!(poll_once(&mut dropped) && poll_once(&mut awaited));
    drop(dropped);
    let deadline = awaited.deadline();
    env.run(async {
        awaited.await;
        assert!(Instant::now() >= deadline);
    });
}

fn forgotten_reads(env: &Env) {
    let runtime = env.runtime();
    let (mut near, mut far) = runtime.block_on(async {
        let (mut near, mut far) = pair().await;
        let mut buf = vec![0; 64];
        let mut read = Box::pin(near.read(&mut buf));
        assert!(poll!(&mut read).is_pending());
        std::mem::forget(read);
        drop(buf);
        far.write_all(b"for the next read").await.unwrap();
        near.read_exact(&mut [0; 8]).await.unwrap();
        // And once more, to be forgotten for good.
        let mut buf = vec![0; 64];
        let mut read = Box::pin(far.read(&mut buf));
        assert!(poll!(&mut read).is_pending());
        std::mem::forget(read);
        (near, far)
    });
    promptly(|| drop(runtime));
    assert_eq!(executor::block_on(near.read(&mut [0; 64])).unwrap(), 9);
    gone("far", executor::block_on(far.read(&mut [0])));
}
