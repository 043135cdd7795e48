//! Queues that are shut down, given up on, and used in bad ways.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
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

use super::rude_waker::{Manners, RudeWaker};
use super::support::{Count, OnDrop, panic_of, panic_quietly, try_quietly};
use super::{Env, trials};

trials!(
    room_and_refusals,
    a_shut_down_queue_gives_out_what_is_left,
    a_queue_shut_down_at_once_is_empty,
    misuse_panics,
    puts_dropped_at_every_stage,
    gets_dropped_at_every_stage,
    timeouts_around_gets_and_puts_lose_nothing,
    queues_do_what_a_model_does,
    rude_wakers_lose_no_wake,
    items_that_use_the_queue_as_they_drop,
    an_ord_that_panics_loses_no_item,
    an_ord_that_uses_the_queue_is_refused,
);

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
        [3, 1, 2, 5].map(|item| queue.try_put(item).unwrap());
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

/// Puts and gets begin, go on and are given up at random: items come in order, and never wait beside a woken getter.
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

fn rude_wakers_lose_no_wake(env: &Env) {
    env.run(async {
        let rude =
            RudeWaker::new(Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() });
        let queue = Queue::new(1);
        {
            let mut gets =
                [(); 2].map(|()| Box::pin(queue.get()) as std::pin::Pin<Box<dyn Future<Output = _>>>);
            gets.iter_mut().for_each(|get| assert!(rude.poll(get).unwrap().is_pending()));
            queue.try_put(1).unwrap();
            assert_eq!(rude.wakes(), 1);
            let [woken, mut waiting] = gets;
            // Passes the item on.
            drop(woken);
            assert_eq!(rude.wakes(), 2);
            assert_eq!(rude.poll(&mut waiting).unwrap(), Poll::Ready(Ok(1)));
            queue.try_put(2).unwrap();
            let mut put: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(queue.put(3));
            assert!(rude.poll(&mut put).unwrap().is_pending());
            assert!(rude.poll(&mut put).unwrap().is_pending());
            queue.shutdown();
            assert_eq!(rude.wakes(), 3);
        }
        assert_eq!(rude.alive(), 0);
    });
}

fn items_that_use_the_queue_as_they_drop(env: &Env) {
    struct Again(Rc<Queue<Option<Again>>>);
    impl Drop for Again {
        fn drop(&mut self) {
            // It may be shut down.
            let _ = self.0.try_put(None);
            let _ = self.0.try_get();
        }
    }
    env.run(async {
        let queue = Rc::new(Queue::new(2));
        let item = || Some(Again(Rc::clone(&queue)));
        queue.try_put(item()).ok().unwrap();
        drop(queue.try_get());
        assert!(queue.is_empty());
        queue.try_put(item()).ok().unwrap();
        queue.try_put(item()).ok().unwrap();
        // Refused, so it is dropped, and takes out others.
        drop(queue.try_put(item()));
        while queue.try_put(None).is_ok() {}
        let mut put = Box::pin(queue.put(item()));
        assert!(poll!(&mut put).is_pending());
        drop(put);
        assert_eq!(queue.len(), 1);
        queue.try_put(item()).ok().unwrap();
        drop(queue.shutdown_now());
        assert!(queue.is_empty());
    });
}

/// Calls a function when it is compared.
struct Compared(u32, Rc<dyn Fn()>);

impl Ord for Compared {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.1)();
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Compared {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Compared {}

fn an_ord_that_panics_loses_no_item(env: &Env) {
    env.run(async {
        let mut dice = Dice::new();
        for _ in 0..200 {
            let fuse = Rc::new(Cell::new(u32::MAX));
            let burning = Rc::clone(&fuse);
            let ord: Rc<dyn Fn()> = Rc::new(move || match burning.get() {
                0 => panic_quietly("no order"),
                left => burning.set(left - 1),
            });
            let queue = PriorityQueue::unbounded();
            let mut panics = 0;
            for item in 0..20 {
                fuse.set(if dice.roll(3) == 1 { 0 } else { u32::MAX });
                let item = Compared(dice.roll(9) as u32 + item, Rc::clone(&ord));
                panics += u32::from(try_quietly(|| drop(queue.try_put(item))).is_err());
            }
            fuse.set(dice.roll(4) as u32 - 1);
            panics += u32::from(try_quietly(|| queue.try_get().map(drop)).is_err());
            assert!(panics > 0);
            fuse.set(u32::MAX);
            let mut joined = Box::pin(queue.join());
            let mut got = 0;
            assert!(poll!(&mut joined).is_pending());
            while queue.try_get().is_ok() {
                got += 1;
                queue.task_done();
            }
            if got == 19 {
                queue.task_done();
                got += 1;
            }
            assert_eq!(got, 20);
            assert!(poll!(&mut joined).is_ready());
        }
    });
}

fn an_ord_that_uses_the_queue_is_refused(env: &Env) {
    env.run(async {
        let queue: Rc<PriorityQueue<Compared>> = Rc::new(PriorityQueue::unbounded());
        let text = Rc::new(RefCell::new(String::new()));
        let (used, said) = (Rc::downgrade(&queue), Rc::clone(&text));
        let ord: Rc<dyn Fn()> = Rc::new(move || {
            if let Some(queue) = used.upgrade() {
                said.replace(panic_of(|| queue.try_get().map(drop)));
            }
        });
        for item in [2, 1] {
            queue.try_put(Compared(item, Rc::clone(&ord))).ok().unwrap();
        }
        assert_eq!(text.take(), "the `Ord` of an item must not use the queue that it is in");
        assert_eq!(queue.get().await.map(|item| item.0), Ok(1));
        assert_eq!(queue.get().await.map(|item| item.0), Ok(2));
    });
}
