//! Queues that are shut down, given up on, and used in bad ways.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use carhop::sync::queue::{GetError, PutError, TryGetError, TryPutError};
use carhop::sync::{LifoQueue, PriorityQueue, Queue};
use carhop::time::{sleep, timeout};
use carhop::{spawn, yield_now};
use futures::poll;

use crate::pattern::Dice;

use super::support::{Count, OnDrop, panic_of};
use super::{Env, trials};

trials![
    room_and_refusals,
    a_shut_down_queue_gives_out_what_is_left,
    a_queue_shut_down_at_once_is_empty,
    misuse_panics,
    puts_dropped_at_every_stage,
    gets_dropped_at_every_stage,
    timeouts_around_gets_and_puts_lose_nothing,
    queues_do_what_a_model_does,
    no_wake_is_lost_when_tasks_are_aborted,
];

fn room_and_refusals(env: &Env) {
    env.run(async {
        let queue = Queue::new(2);
        assert_eq!(
            (queue.capacity(), queue.len(), queue.is_empty(), queue.is_full()),
            (Some(2), 0, true, false)
        );
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        queue.put('a').await.unwrap();
        queue.try_put('b').unwrap();
        assert!(queue.is_full() && queue.len() == 2);
        assert_eq!(queue.try_put('c'), Err(TryPutError::Full('c')));
        assert_eq!((queue.get().await, queue.try_get()), (Ok('a'), Ok('b')));
        let unbounded = Queue::unbounded();
        (0..10_000).for_each(|item| unbounded.try_put(item).unwrap());
        assert!(!unbounded.is_full() && unbounded.capacity().is_none());
    });
}

fn a_shut_down_queue_gives_out_what_is_left(env: &Env) {
    env.run(async {
        let queue = Rc::new(Queue::new(1));
        queue.put(1).await.unwrap();
        let (blocked, joined) = (Rc::clone(&queue), Rc::clone(&queue));
        let putter = spawn(async move { blocked.put(2).await });
        let joiner = spawn(async move { joined.join().await });
        yield_now().await;
        queue.shutdown();
        assert!(queue.is_shut_down());
        assert_eq!(putter.await.unwrap(), Err(PutError(2)));
        assert_eq!(queue.put(3).await, Err(PutError(3)));
        assert_eq!(queue.try_put(3), Err(TryPutError::ShutDown(3)));
        assert_eq!(queue.get().await, Ok(1));
        assert_eq!((queue.get().await, queue.try_get()), (Err(GetError), Err(TryGetError::ShutDown)));
        assert!(!joiner.is_finished());
        queue.task_done();
        joiner.await.unwrap();
        let empty = Rc::new(Queue::<u32>::unbounded());
        let getters =
            [(); 2].map(|()| Rc::clone(&empty)).map(|queue| spawn(async move { queue.get().await }));
        yield_now().await;
        empty.shutdown();
        empty.shutdown();
        for getter in getters {
            assert_eq!(getter.await.unwrap(), Err(GetError));
        }
    });
}

fn a_queue_shut_down_at_once_is_empty(env: &Env) {
    env.run(async {
        let queue = Rc::new(PriorityQueue::unbounded());
        [3, 1, 2, 5].into_iter().for_each(|item| queue.try_put(item).unwrap());
        assert_eq!(queue.get().await, Ok(1));
        let joined = Rc::clone(&queue);
        let joiner = spawn(async move { joined.join().await });
        yield_now().await;
        assert_eq!(queue.shutdown_now(), [2, 3, 5]);
        assert_eq!(queue.get().await, Err(GetError));
        yield_now().await;
        // The one that was taken out before is not done yet.
        assert!(!joiner.is_finished());
        queue.task_done();
        joiner.await.unwrap();
    });
}

fn misuse_panics(_: &Env) {
    let text = panic_of(|| Queue::<u32>::new(0));
    assert_eq!(text, "a queue needs room for one item at least; without bound: `unbounded()`");
    let queue = LifoQueue::unbounded();
    queue.try_put(1).unwrap();
    queue.task_done();
    let text = panic_of(|| queue.task_done());
    assert_eq!(text, "task_done() was called more often than items were put into the queue");
}

fn puts_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let drops = Count::default();
        let item = || {
            let drops = drops.clone();
            OnDrop(move || drops.add())
        };
        let queue = Queue::new(1);
        // Never polled.
        drop(queue.put(item()));
        assert_eq!((drops.get(), queue.len()), (1, 0));
        queue.try_put(item()).ok().unwrap();
        // Waiting.
        let (mut first, mut second) = (Box::pin(queue.put(item())), Box::pin(queue.put(item())));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(drops.get(), 2);
        // Woken, with one behind it.
        let mut third = Box::pin(queue.put(item()));
        assert!(poll!(&mut third).is_pending());
        drop(queue.try_get().ok().unwrap());
        drop(second);
        assert_eq!(drops.get(), 4);
        assert!(poll!(&mut third).is_ready());
        // Done.
        drop(third);
        assert_eq!((drops.get(), queue.len()), (4, 1));
    });
}

fn gets_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let queue = Queue::unbounded();
        drop(queue.get());
        let mut gets = [(); 3].map(|()| Box::pin(queue.get()));
        for get in &mut gets {
            assert!(poll!(get).is_pending());
        }
        let [waiting, woken, mut last] = gets;
        drop(waiting);
        queue.try_put(1).unwrap();
        drop(woken);
        assert_eq!(poll!(&mut last), Poll::Ready(Ok(1)));
        // Nobody is left who would keep an item or a wake.
        queue.try_put(2).unwrap();
        assert_eq!((queue.len(), queue.try_get()), (1, Ok(2)));
    });
}

fn timeouts_around_gets_and_puts_lose_nothing(env: &Env) {
    const ITEMS: u32 = 2000;
    const TINY: Duration = Duration::from_micros(5);
    env.run(async {
        let queue = Rc::new(Queue::new(2));
        let putting = Rc::clone(&queue);
        let producer = spawn(async move {
            let (mut dice, mut next) = (Dice::new(), 0);
            while next < ITEMS {
                if timeout(TINY, putting.put(next)).await.is_ok() {
                    next += 1;
                }
                if dice.roll(4) == 1 {
                    sleep(Duration::from_micros(dice.roll(30) as u64)).await;
                }
            }
        });
        let (mut dice, mut next) = (Dice::new(), 0);
        while next < ITEMS {
            if let Ok(item) = timeout(TINY, queue.get()).await {
                assert_eq!(item, Ok(next));
                next += 1;
            }
            if dice.roll(4) == 1 {
                sleep(Duration::from_micros(dice.roll(30) as u64)).await;
            }
        }
        producer.await.unwrap();
    });
}

/// Puts and gets begin, go on and are given up at random: items come in their order.
fn queues_do_what_a_model_does(env: &Env) {
    env.run(async {
        let mut dice = Dice::new();
        for round in 0..200 {
            let capacity = dice.roll(3);
            let queue = Queue::new(capacity);
            let mut model = VecDeque::new();
            let (mut puts, mut gets) = (Vec::new(), Vec::new());
            for item in 0..100 {
                match dice.roll(6) {
                    1 | 2 => puts.push((item, Box::pin(queue.put(item)))),
                    3 => gets.push(Box::pin(queue.get())),
                    4 if !puts.is_empty() => drop(puts.swap_remove(dice.roll(puts.len()) - 1)),
                    5 if !gets.is_empty() => drop(gets.swap_remove(dice.roll(gets.len()) - 1)),
                    _ => {}
                }
                if let Some(last) = puts.len().checked_sub(1) {
                    let at = dice.roll(last + 1) - 1;
                    if poll!(&mut puts[at].1).is_ready() {
                        model.push_back(puts.swap_remove(at).0);
                    }
                }
                if let Some(last) = gets.len().checked_sub(1) {
                    let at = dice.roll(last + 1) - 1;
                    if let Poll::Ready(got) = poll!(&mut gets[at]) {
                        drop(gets.swap_remove(at));
                        assert_eq!(Some(got.unwrap()), model.pop_front(), "in round {round}");
                    }
                }
                assert_eq!(queue.len(), model.len());
                assert!(model.len() <= capacity);
            }
        }
    });
}

/// Tasks put and get, and are aborted at random. Once all have run that can, nobody waits for what is there.
fn no_wake_is_lost_when_tasks_are_aborted(env: &Env) {
    env.run(async {
        let mut dice = Dice::new();
        for _ in 0..100 {
            let capacity = dice.roll(3);
            let queue = Rc::new(Queue::new(capacity));
            let (mut putters, mut getters) = (Vec::new(), Vec::new());
            for item in 0..200 {
                let shared = Rc::clone(&queue);
                match dice.roll(6) {
                    1 | 2 => putters.push(spawn(async move { shared.put(item).await })),
                    3 | 4 => getters.push(spawn(async move { shared.get().await.map(drop) })),
                    5 if !putters.is_empty() => putters[dice.roll(putters.len()) - 1].abort(),
                    6 if !getters.is_empty() => getters[dice.roll(getters.len()) - 1].abort(),
                    _ => {}
                }
                if dice.roll(3) == 1 {
                    yield_now().await;
                }
            }
            for _ in 0..20 {
                yield_now().await;
            }
            putters.retain(|task| !task.is_finished());
            getters.retain(|task| !task.is_finished());
            assert!(queue.is_empty() || getters.is_empty(), "{queue:?} beside {} getters", getters.len());
            assert!(queue.is_full() || putters.is_empty(), "{queue:?} beside {} putters", putters.len());
        }
    });
}
