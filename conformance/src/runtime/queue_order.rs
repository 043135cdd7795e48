//! Queues in the order of CPython. Each trial is the twin of the function of the same name in `queue_order.py`, and its
//! trace is what CPython 3.11 printed for that.

use std::cmp::Ordering;
use std::rc::Rc;

use carhop::sync::{LifoQueue, PriorityQueue, Queue};
use carhop::{JoinHandle, spawn, yield_now};

use super::support::{OnDrop, Trace, cancelled};
use super::{Env, trials};

trials![
    producers_and_consumers,
    who_runs_takes_what_another_was_woken_for,
    cancelled_getters,
    cancelled_putters,
    joiners,
    the_smallest_first,
    the_last_first,
];

/// Runs `program` to its end, and returns what it logged.
fn traced(env: &Env, program: impl AsyncFnOnce(Trace)) -> String {
    let trace = Trace::default();
    env.run(program(trace.clone()));
    trace.text()
}

/// A task with what it needs: the queue, the trace, and its name.
fn task<Q: 'static, F: Future<Output = ()> + 'static>(
    queue: &Rc<Q>,
    trace: &Trace,
    name: &'static str,
    run: impl FnOnce(Rc<Q>, Trace, &'static str) -> F,
) -> JoinHandle<()> {
    spawn(run(Rc::clone(queue), trace.clone(), name))
}

async fn join_all(tasks: impl IntoIterator<Item = JoinHandle<()>>) {
    for task in tasks {
        task.await.unwrap();
    }
}

fn producers_and_consumers(env: &Env) {
    let trace = traced(env, async |trace| {
        let queue = Rc::new(Queue::new(2));
        let producers = ["A", "B", "C"].map(|name| {
            task(&queue, &trace, name, async |queue, trace, name| {
                for i in 1..=4 {
                    queue.put(format!("{name}{i}")).await.unwrap();
                    trace.log(format_args!("+{name}{i}"));
                }
            })
        });
        let consumers = ["x", "y"].map(|name| {
            task(&queue, &trace, name, async |queue, trace, name| {
                loop {
                    let item = queue.get().await.unwrap();
                    trace.log(format_args!("{name}:{item}"));
                    if item == "B2" || item == "A3" {
                        yield_now().await;
                    }
                    queue.task_done();
                }
            })
        });
        join_all(producers).await;
        trace.log("put");
        queue.join().await;
        trace.log("done");
        consumers.iter().for_each(JoinHandle::abort);
    });
    let expected = "+A1 +A2 x:A1 x:A2 +A3 +A4 x:A3 y:A4 +C1 +C2 x:C1 x:C2 +B1 +B2 y:B1 y:B2 +C3 +C4 x:C3 x:C4 \
                    +B3 +B4 y:B3 y:B4 put done";
    assert_eq!(trace, expected);
}

fn who_runs_takes_what_another_was_woken_for(env: &Env) {
    let trace = traced(env, async |trace| {
        let queue = Rc::new(Queue::unbounded());
        let getters = ["a", "b", "c"].map(|name| {
            task(&queue, &trace, name, async |queue, trace, name| {
                trace.log(format_args!("{name}:{}", queue.get().await.unwrap()));
            })
        });
        yield_now().await;
        queue.try_put(1).unwrap();
        trace.log(format_args!("len{}", queue.len()));
        trace.log(format_args!("main:{}", queue.get().await.unwrap()));
        yield_now().await;
        (2..=4).for_each(|item| queue.try_put(item).unwrap());
        join_all(getters).await;
    });
    assert_eq!(trace, "len1 main:1 b:2 c:3 a:4");
}

fn cancelled_getters(env: &Env) {
    let trace = traced(env, async |trace| {
        let queue = Rc::new(Queue::unbounded());
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| {
            task(&queue, &trace, name, async |queue, trace, name| {
                let cancelled = OnDrop(|| trace.log(format_args!("{name}!")));
                let item = queue.get().await.unwrap();
                std::mem::forget(cancelled);
                trace.log(format_args!("{name}:{item}"));
            })
        });
        yield_now().await;
        b.abort();
        yield_now().await;
        queue.try_put(1).unwrap();
        // Woken, and aborted before it runs.
        a.abort();
        trace.log("put1");
        yield_now().await;
        queue.try_put(2).unwrap();
        trace.log("put2");
        join_all([c, d]).await;
        assert!(cancelled(a.await) && cancelled(b.await));
    });
    assert_eq!(trace, "b! put1 a! put2 c:1 d:2");
}

fn cancelled_putters(env: &Env) {
    let trace = traced(env, async |trace| {
        let queue = Rc::new(Queue::new(1));
        queue.put("0").await.unwrap();
        let tasks = ["a", "b", "c", "d"].map(|name| {
            task(&queue, &trace, name, async |queue, trace, name| {
                let cancelled = OnDrop(|| trace.log(format_args!("{name}!")));
                queue.put(name).await.unwrap();
                std::mem::forget(cancelled);
                trace.log(format_args!("+{name}"));
            })
        });
        yield_now().await;
        tasks[1].abort();
        yield_now().await;
        trace.log(queue.try_get().unwrap());
        // Woken, and aborted before it runs.
        tasks[0].abort();
        for _ in 0..2 {
            trace.log(queue.get().await.unwrap());
        }
        trace.log(format_args!("len{}", queue.len()));
    });
    assert_eq!(trace, "b! 0 a! +c c +d d len0");
}

fn joiners(env: &Env) {
    let trace = traced(env, async |trace| {
        let queue = Rc::new(Queue::unbounded());
        let joiner = async |queue: Rc<Queue<i32>>, trace: Trace, name| {
            queue.join().await;
            trace.log(name);
        };
        joiner(Rc::clone(&queue), trace.clone(), "0").await;
        (0..=2).for_each(|item| queue.try_put(item).unwrap());
        let joiners = ["a", "b"].map(|name| {
            task(&queue, &trace, name, async |queue, trace, name| {
                queue.join().await;
                trace.log(name);
            })
        });
        let workers = ["x", "y"].map(|name| {
            task(&queue, &trace, name, async |queue, trace, name| {
                loop {
                    let item = queue.get().await.unwrap();
                    trace.log(format_args!("{name}{item}"));
                    yield_now().await;
                    queue.task_done();
                    trace.log(format_args!("{name}{item}."));
                }
            })
        });
        join_all(joiners).await;
        trace.log("end");
        workers.iter().for_each(JoinHandle::abort);
    });
    assert_eq!(trace, "0 x0 y1 x0. x2 y1. x2. a b end");
}

/// What is compared is the number alone.
#[derive(Debug)]
struct Ranked(u32, char);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// Equal items come in the order of Python's `heapq`.
fn the_smallest_first(env: &Env) {
    let trace = traced(env, async |trace| {
        let queue = Rc::new(PriorityQueue::new(12));
        let consumer = task(&queue, &trace, "", async |queue: Rc<PriorityQueue<Ranked>>, trace, _| {
            loop {
                let Ranked(rank, name) = queue.get().await.unwrap();
                trace.log(format_args!("{rank}{name}"));
                match rank {
                    0 => return,
                    _ if rank % 3 == 0 => yield_now().await,
                    _ => {}
                }
            }
        });
        yield_now().await;
        let mut dice = 12345u64;
        for name in 'a'..='z' {
            dice = (dice * 1_103_515_245 + 12345) % (1 << 31);
            queue.put(Ranked(1 + (dice >> 16) as u32 % 5, name)).await.unwrap();
        }
        queue.put(Ranked(9, '!')).await.unwrap();
        queue.put(Ranked(0, '.')).await.unwrap();
        consumer.await.unwrap();
        while let Ok(Ranked(rank, name)) = queue.try_get() {
            trace.log(format_args!("{rank}{name}"));
        }
    });
    let expected = "1f 1i 2g 2j 3c 1o 3h 2s 3k 2t 2u 3e 1v 2x 2w 3r 0. 2y 2z 3n 4a 4d 4q 4m 4b 4p 5l 9!";
    assert_eq!(trace, expected);
}

fn the_last_first(env: &Env) {
    let trace = traced(env, async |trace| {
        let queue = Rc::new(LifoQueue::new(3));
        let producer = task(&queue, &trace, "", async |queue: Rc<LifoQueue<u32>>, trace, _| {
            for item in 1..9 {
                queue.put(item).await.unwrap();
                trace.log(format_args!("+{item}"));
            }
        });
        for _ in 0..8 {
            trace.log(queue.get().await.unwrap());
            yield_now().await;
        }
        producer.await.unwrap();
    });
    assert_eq!(trace, "+1 +2 +3 3 +4 4 +5 5 +6 6 +7 7 +8 8 2 1");
}
