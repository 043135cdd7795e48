//! How long the parts of the runtime take.
//!
//! ```text
//! cargo bench -p bench                      # all of it
//! cargo bench -p bench -- timer             # what has `timer` in its name
//! ```
//!
//! What never reaches the kernel is measured on one backend, the rest on each.

use std::cell::RefCell;
use std::future::poll_fn;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bench::{backends, runtime};
use carhop::net::{TcpListener, TcpStream};
use carhop::time::{Sleep, sleep, sleep_until};
use carhop::{Runtime, spawn, yield_now};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::channel::mpsc;
use futures::future::try_join;
use futures::{SinkExt, StreamExt};

criterion_group!(benches, tasks, timers, threads, echo, start_and_stop);
criterion_main!(benches);

fn tasks(c: &mut Criterion) {
    let Some(runtime) = any_runtime() else { return };

    const BATCH: u64 = 1_000;
    let mut group = c.benchmark_group("spawn and join");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function(format!("{BATCH} at once"), |b| {
        b.iter_custom(|iters| {
            runtime.block_on(async {
                let mut handles = Vec::with_capacity(BATCH as usize);
                let start = Instant::now();
                for _ in 0..iters {
                    handles.extend((0..BATCH).map(|n| spawn(async move { black_box(n) })));
                    for handle in handles.drain(..) {
                        black_box(handle.await).unwrap();
                    }
                }
                start.elapsed()
            })
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("one by one", |b| {
        b.iter_custom(|iters| {
            runtime.block_on(async {
                let start = Instant::now();
                for n in 0..iters {
                    black_box(spawn(async move { black_box(n) }).await).unwrap();
                }
                start.elapsed()
            })
        });
    });
    group.finish();

    c.bench_function("yield", |b| {
        b.iter_custom(|iters| {
            runtime.block_on(async {
                let yielder = spawn(async move {
                    let start = Instant::now();
                    for _ in 0..iters {
                        yield_now().await;
                    }
                    start.elapsed()
                });
                yielder.await.unwrap()
            })
        });
    });

    // Two tasks that wake each other in turns: one wake and one poll each time.
    c.bench_function("wake", |b| {
        b.iter_custom(|iters| {
            runtime.block_on(async {
                let sleeper = Rc::new(RefCell::new(None));
                let turns = iters.div_ceil(2);
                let start = Instant::now();
                let other = spawn(take_turns(Rc::clone(&sleeper), turns));
                spawn(take_turns(sleeper, turns)).await.unwrap();
                other.await.unwrap();
                start.elapsed()
            })
        });
    });
}

/// Sleeps `turns` times. Each time it is polled it wakes the task that sleeps.
async fn take_turns(sleeper: Rc<RefCell<Option<Waker>>>, turns: u64) {
    let mut left = turns;
    poll_fn(|cx| {
        let other = sleeper.replace(Some(cx.waker().clone()));
        if let Some(other) = other {
            other.wake();
        }
        match left {
            0 => Poll::Ready(()),
            _ => {
                left -= 1;
                Poll::Pending
            }
        }
    })
    .await;
}

fn timers(c: &mut Criterion) {
    let Some(runtime) = any_runtime() else { return };
    for live in [0, 1_000_000] {
        let mut group = c.benchmark_group("timer, insert and cancel");
        let _live = runtime.block_on(spread_over_an_hour(live));
        group.bench_function(BenchmarkId::new("sleep", live), |b| {
            b.iter_custom(|iters| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for _ in 0..iters {
                        register(&mut sleep(black_box(Duration::from_secs(30)))).await;
                    }
                    start.elapsed()
                })
            });
        });
        // The same without a look at the clock.
        group.bench_function(BenchmarkId::new("sleep_until", live), |b| {
            b.iter_custom(|iters| {
                runtime.block_on(async {
                    let deadline = carhop::time::Instant::now() + Duration::from_secs(30);
                    let start = Instant::now();
                    for _ in 0..iters {
                        register(&mut sleep_until(black_box(deadline))).await;
                    }
                    start.elapsed()
                })
            });
        });
        group.finish();
    }
}

async fn spread_over_an_hour(count: u64) -> Vec<Sleep> {
    let mut timers = Vec::new();
    for n in 0..count {
        // A multiplicative hash (Knuth's) scatters them.
        let ms = n.wrapping_mul(2_654_435_761) % 3_600_000;
        let mut timer = sleep(Duration::from_secs(60) + Duration::from_millis(ms));
        register(&mut timer).await;
        timers.push(timer);
    }
    timers
}

/// Polls a timer once, which puts it into the wheel.
async fn register(timer: &mut Sleep) {
    poll_fn(|cx| {
        assert!(Pin::new(&mut *timer).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// A message to another runtime in another thread and back. Both sleep in the kernel meanwhile.
fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("cross-thread wake, round trip");
    for &backend in backends() {
        let (mut there, mut arrivals) = mpsc::channel::<()>(0);
        let (mut back, mut answers) = mpsc::channel::<()>(0);
        let other = thread::spawn(move || {
            runtime(backend).block_on(async {
                while arrivals.next().await.is_some() {
                    back.send(()).await.unwrap();
                }
            });
        });
        let runtime = runtime(backend);
        group.bench_function(backend.name(), |b| {
            b.iter_custom(|iters| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for _ in 0..iters {
                        there.send(()).await.unwrap();
                        answers.next().await.unwrap();
                    }
                    start.elapsed()
                })
            });
        });
        drop(there);
        other.join().unwrap();
    }
    group.finish();
}

/// Client and server in one loop: a round trip is the work of both.
fn echo(c: &mut Criterion) {
    let mut group = c.benchmark_group("echo, round trip");
    for &backend in backends() {
        let runtime = runtime(backend);
        let mut client = runtime.block_on(connect_to_echo());
        for (name, len) in [("64 B", 64), ("100 KB", 100_000)] {
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(BenchmarkId::new(backend.name(), name), |b| {
                let (request, mut answer) = (vec![7; len], vec![0; len]);
                b.iter_custom(|iters| {
                    runtime.block_on(async {
                        let (mut reader, mut writer) = client.split();
                        let start = Instant::now();
                        for _ in 0..iters {
                            let sent = pin!(writer.write_all(&request));
                            let received = pin!(reader.read_exact(&mut answer));
                            try_join(sent, received).await.unwrap();
                        }
                        start.elapsed()
                    })
                });
            });
        }
    }
    group.finish();
}

async fn connect_to_echo() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    spawn(async move {
        let mut buf = vec![0; 16 * 1024];
        loop {
            match server.read(&mut buf).await.unwrap() {
                0 => break,
                n => server.write_all(&buf[..n]).await.unwrap(),
            }
        }
    });
    client
}

fn start_and_stop(c: &mut Criterion) {
    let mut group = c.benchmark_group("start and stop");
    for &backend in backends() {
        group.bench_function(backend.name(), |b| b.iter(|| runtime(backend).block_on(async {})));
    }
    group.finish();
}

/// On the first backend there is.
fn any_runtime() -> Option<Runtime> {
    backends().first().map(|&backend| runtime(backend))
}
