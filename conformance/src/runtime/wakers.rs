//! Wakers that are not carhop's own: of other executors, and such that panic.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use carhop::net::TcpStream;
use carhop::time::sleep;
use carhop::{spawn, yield_now};
use futures::FutureExt;
use futures::executor::LocalPool;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::rude_waker::{Manners, RudeWaker};
use super::support::{connection, fill, listener, pair, read_to_end};
use super::{Env, trials};

trials![
    every_wait_serves_any_waker,
    the_waker_of_the_last_poll_counts,
    wakers_are_dropped_with_what_held_them,
    a_waker_that_panics_when_it_is_cloned,
    a_waker_that_panics_when_it_wakes,
    a_waker_that_panics_when_it_is_dropped,
    panicking_wakers_outlive_the_runtime,
    panicking_wakers_in_both_directions_of_a_stream,
    wakers_may_use_the_runtime,
    many_waits_in_one_task,
    an_executor_within_a_task,
];

/// Something to wait for, and what brings it about.
struct Wait {
    name: &'static str,
    future: LocalBoxFuture<'static, ()>,
    trigger: LocalBoxFuture<'static, ()>,
}

impl Wait {
    fn new(name: &'static str, future: impl Future<Output = ()> + 'static) -> Self {
        Self { name, future: future.boxed_local(), trigger: pending().boxed_local() }
    }

    fn when(self, trigger: impl Future<Output = ()> + 'static) -> Self {
        Self { trigger: trigger.boxed_local(), ..self }
    }

    /// Whether it can be polled again when a poll has panicked. An `async fn` cannot.
    fn survives_a_panic(&self) -> bool {
        self.name != "connect"
    }
}

/// One of each kind.
async fn waits() -> [Wait; 6] {
    let a_while = Duration::from_millis(1);
    let wait_to_sleep = Wait::new("sleep", sleep(a_while)).when(sleep(a_while));

    let (mut near, mut far) = pair().await;
    let read = poll_fn(move |cx| far.poll_read(cx, &mut [0; 9]).map(|count| assert_eq!(count.unwrap(), 1)));
    let wait_to_read = Wait::new("read", read).when(async move { near.write_all(b"x").await.unwrap() });

    let (mut near, mut far) = pair().await;
    let full = fill(&mut near).await;
    let write = poll_fn(move |cx| near.poll_write(cx, b"x").map(|count| assert_eq!(count.unwrap(), 1)));
    let drain = async move { far.read_exact(&mut vec![0; full]).await.unwrap() };
    let wait_to_write = Wait::new("write", write).when(drain);

    let accepting = listener().await;
    let addr = accepting.local_addr().unwrap();
    let accept = poll_fn(move |cx| accepting.poll_accept(cx).map(|accepted| drop(accepted.unwrap())));
    let connect = async move { drop(TcpStream::connect(addr).await.unwrap()) };
    let wait_to_accept = Wait::new("accept", accept).when(connect);

    let accepting = listener().await;
    let addr = accepting.local_addr().unwrap();
    let connect = async move { drop(TcpStream::connect(addr).await.unwrap()) };
    let accept = async move { drop(accepting.accept().await.unwrap()) };
    let wait_to_connect = Wait::new("connect", connect).when(accept);

    let (end, ended) = futures::channel::oneshot::channel();
    let mut task = spawn(ended);
    let join = poll_fn(move |cx| task.poll_unpin(cx).map(|output| output.unwrap().unwrap()));
    let wait_to_join = Wait::new("join", join).when(async move { end.send(()).unwrap() });

    [wait_to_sleep, wait_to_read, wait_to_write, wait_to_accept, wait_to_connect, wait_to_join]
}

/// The loop does its work as always.
async fn assert_usable() {
    let (mut near, mut far) = pair().await;
    let task = spawn(async move {
        let mut byte = [0];
        far.read_exact(&mut byte).await.unwrap();
        byte
    });
    sleep(Duration::from_micros(100)).await;
    near.write_all(b"x").await.unwrap();
    assert_eq!(task.await.unwrap(), *b"x");
}

/// Waits until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_micros(100)).await;
    }
}

fn every_wait_serves_any_waker(env: &Env) {
    env.run(async {
        for Wait { name, mut future, trigger } in waits().await {
            let waker = RudeWaker::new(Manners::default());
            assert!(waker.poll(&mut future).expect(name).is_pending(), "{name}");
            trigger.await;
            until(|| waker.wakes() > 0).await;
            assert!(waker.poll(&mut future).expect(name).is_ready(), "{name}");
            drop(future);
            assert_eq!((waker.wakes(), waker.alive()), (1, 0), "{name}");
        }
    });
}

fn the_waker_of_the_last_poll_counts(env: &Env) {
    env.run(async {
        for Wait { name, mut future, trigger } in waits().await {
            let wakers = [(); 3].map(|()| RudeWaker::new(Manners::default()));
            for waker in &wakers {
                assert!(waker.poll(&mut future).expect(name).is_pending(), "{name}");
            }
            assert_eq!(wakers.each_ref().map(RudeWaker::alive), [0, 0, 1], "{name}");
            trigger.await;
            until(|| wakers[2].wakes() > 0).await;
            assert_eq!(wakers.each_ref().map(RudeWaker::wakes), [0, 0, 1], "{name}");
        }
    });
}

fn wakers_are_dropped_with_what_held_them(env: &Env) {
    let mut kept = Vec::new();
    let runtime = env.runtime();
    runtime.block_on(async {
        for Wait { name, mut future, trigger } in waits().await {
            let waker = RudeWaker::new(Manners::default());
            assert!(waker.poll(&mut future).expect(name).is_pending(), "{name}");
            drop(future);
            drop(trigger);
            for _ in 0..3 {
                yield_now().await;
            }
            assert_eq!((waker.wakes(), waker.alive()), (0, 0), "{name}");
        }
        for Wait { name, mut future, trigger } in waits().await {
            let waker = RudeWaker::new(Manners::default());
            assert!(waker.poll(&mut future).expect(name).is_pending(), "{name}");
            kept.push((name, waker, future, trigger));
        }
    });
    drop(runtime);
    for (name, waker, future, trigger) in kept {
        drop((future, trigger));
        assert_eq!(waker.alive(), 0, "{name} kept its waker beyond the runtime");
    }
}

fn a_waker_that_panics_when_it_is_cloned(env: &Env) {
    env.run(async {
        for Wait { name, mut future, trigger } in waits().await.into_iter().filter(Wait::survives_a_panic) {
            let waker = RudeWaker::new(Manners { panics_on_clone: true, ..Manners::default() });
            assert!(waker.poll(&mut future).is_err(), "{name}");
            trigger.await;
            future.await;
            assert_eq!((waker.wakes(), waker.alive()), (0, 0), "{name}");
        }
        assert_usable().await;
    });
}

fn a_waker_that_panics_when_it_wakes(env: &Env) {
    env.run(async {
        for Wait { name, mut future, trigger } in waits().await {
            let waker = RudeWaker::new(Manners { panics_on_wake: true, ..Manners::default() });
            assert!(waker.poll(&mut future).expect(name).is_pending(), "{name}");
            trigger.await;
            until(|| waker.wakes() > 0).await;
            future.await;
            assert_eq!((waker.wakes(), waker.alive()), (1, 0), "{name}");
        }
        assert_usable().await;
    });
}

fn a_waker_that_panics_when_it_is_dropped(env: &Env) {
    env.run(async {
        for Wait { name, mut future, trigger } in waits().await.into_iter().filter(Wait::survives_a_panic) {
            let waker = RudeWaker::new(Manners { panics_on_drop: true, ..Manners::default() });
            let kind = RudeWaker::new(Manners::default());
            assert!(waker.poll(&mut future).expect(name).is_pending(), "{name}");
            // The next poll drops it, and may panic for it. The one after that does not.
            let _ = kind.poll(&mut future);
            assert!(kind.poll(&mut future).expect(name).is_pending(), "{name}");
            assert_eq!(waker.alive(), 0, "{name}");
            trigger.await;
            future.await;
        }
        for Wait { name, mut future, trigger } in waits().await {
            let waker = RudeWaker::new(Manners { panics_on_drop: true, ..Manners::default() });
            assert!(waker.poll(&mut future).expect(name).is_pending(), "{name}");
            let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
            drop(trigger);
            for _ in 0..3 {
                yield_now().await;
            }
            assert_eq!(waker.alive(), 0, "{name}");
        }
        assert_usable().await;
    });
}

fn panicking_wakers_outlive_the_runtime(env: &Env) {
    let runtime = env.runtime();
    let mut kept = Vec::new();
    runtime.block_on(async {
        // Several of each kind: a second panic while the first unwinds would end the process.
        for _ in 0..3 {
            for Wait { name, mut future, trigger } in waits().await {
                let manners = Manners { panics_on_wake: true, panics_on_drop: true, panics_on_clone: false };
                let waker = RudeWaker::new(manners);
                assert!(waker.poll(&mut future).expect(name).is_pending(), "{name}");
                kept.push((name, waker, future));
                drop(trigger);
            }
        }
    });
    drop(runtime);
    for (name, waker, future) in kept {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
        assert_eq!(waker.alive(), 0, "{name}");
    }
}

fn panicking_wakers_in_both_directions_of_a_stream(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        fill(&mut near).await;
        let rude = RudeWaker::new(Manners { panics_on_drop: true, ..Manners::default() });
        let waker = ManuallyDrop::new(rude.waker());
        let mut cx = Context::from_waker(&waker);
        assert!(near.poll_read(&mut cx, &mut [0]).is_pending());
        assert!(near.poll_write(&mut cx, b"x").is_pending());
        let _ = catch_unwind(AssertUnwindSafe(|| drop(near)));
        assert_eq!(rude.alive(), 1, "but for the one of this trial");
        let mut sink = vec![0; 1 << 16];
        while far.read(&mut sink).await.unwrap() > 0 {}
        assert_usable().await;
    });
}

fn wakers_may_use_the_runtime(env: &Env) {
    /// Spawns from its wake and from its drop.
    struct Spawns(Arc<AtomicUsize>);
    impl Wake for Spawns {
        fn wake(self: Arc<Self>) {
            self.spawn();
        }
    }
    impl Spawns {
        fn spawn(&self) {
            let ran = Arc::clone(&self.0);
            drop(spawn(async move {
                // Sets a timer and opens a socket, too.
                sleep(Duration::from_micros(1)).await;
                drop(listener().await);
                ran.fetch_add(1, Ordering::Relaxed);
            }));
        }
    }
    impl Drop for Spawns {
        fn drop(&mut self) {
            self.spawn();
        }
    }
    env.run(async {
        for Wait { name, mut future, trigger } in waits().await {
            let ran = Arc::new(AtomicUsize::new(0));
            let waker = Waker::from(Arc::new(Spawns(Arc::clone(&ran))));
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{name}");
            drop(waker);
            trigger.await;
            until(|| ran.load(Ordering::Relaxed) == 2).await;
            future.await;
        }
    });
}

fn many_waits_in_one_task(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let (reads, mut writers) = (FuturesUnordered::new(), Vec::new());
        for id in 0..100u8 {
            let (near, mut far) = connection(&listener).await;
            writers.push(near);
            reads.push(async move {
                let mut byte = [0];
                far.read_exact(&mut byte).await.unwrap();
                assert_eq!(byte[0], id);
                id
            });
        }
        let mut seen = [false; 100];
        let mut reads = pin!(reads);
        for id in (0..100u8).rev() {
            writers[id as usize].write_all(&[id]).await.unwrap();
            seen[reads.next().await.unwrap() as usize] = true;
        }
        assert_eq!(seen, [true; 100]);
    });
}

fn an_executor_within_a_task(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let received = Rc::new(RefCell::new(Vec::new()));
        let reader = spawn({
            let received = Rc::clone(&received);
            async move { received.replace(read_to_end(&mut far).await) }
        });
        // The reader waits, so that nobody else is ready and each write is attempted at once.
        yield_now().await;
        // Polls until it makes no more progress, as often as it is woken meanwhile.
        let mut pool = LocalPool::new();
        let writes = async move {
            for number in 0..1000u32 {
                near.write_all(&number.to_le_bytes()).await.unwrap();
            }
        };
        futures::task::LocalSpawnExt::spawn_local(&pool.spawner(), writes).unwrap();
        poll_fn(|_| {
            pool.run_until_stalled();
            Poll::Ready(())
        })
        .await;
        reader.await.unwrap();
        let expected: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
        assert!(*received.borrow() == expected);
    });
}
