//! Queues in the hands of users' code that panics or comes back.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use carhop::sync::{PriorityQueue, Queue};
use carhop::{spawn, yield_now};
use futures::poll;

use crate::pattern::Dice;

use super::rude_waker::{Manners, RudeWaker};
use super::support::{panic_of, panic_quietly, try_quietly};
use super::{Env, trials};

trials![
    rude_wakers_lose_no_wake,
    items_that_use_the_queue_as_they_drop,
    an_ord_that_panics_loses_no_item,
    an_ord_that_panics_loses_no_wake,
    an_ord_that_uses_the_queue_is_refused,
];

fn rude_wakers_lose_no_wake(env: &Env) {
    env.run(async {
        let rude =
            RudeWaker::new(Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() });
        let queue = Queue::new(1);
        {
            let mut gets = [(); 2].map(|()| Box::pin(queue.get()) as Pin<Box<dyn Future<Output = _>>>);
            gets.iter_mut().for_each(|get| assert!(rude.poll(get).unwrap().is_pending()));
            queue.try_put(1).unwrap();
            assert_eq!(rude.wakes(), 1);
            let [woken, mut waiting] = gets;
            // Passes the item on.
            drop(woken);
            assert_eq!(rude.wakes(), 2);
            assert_eq!(rude.poll(&mut waiting).unwrap(), Poll::Ready(Ok(1)));
            queue.try_put(2).unwrap();
            let mut put: Pin<Box<dyn Future<Output = _>>> = Box::pin(queue.put(3));
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

/// An `Ord` that panics once, when so many more comparisons have been made.
fn fused() -> (Rc<Cell<u32>>, Rc<dyn Fn()>) {
    let fuse = Rc::new(Cell::new(u32::MAX));
    let burning = Rc::clone(&fuse);
    let ord = move || match burning.get() {
        0 => {
            burning.set(u32::MAX);
            panic_quietly("no order")
        }
        left => burning.set(left - 1),
    };
    (fuse, Rc::new(ord))
}

fn an_ord_that_panics_loses_no_item(env: &Env) {
    env.run(async {
        let mut dice = Dice::new();
        let mut panics = [0, 0];
        for _ in 0..200 {
            let (fuse, ord) = fused();
            let queue = PriorityQueue::unbounded();
            for item in 0..20 {
                fuse.set(if dice.roll(3) == 1 { 0 } else { u32::MAX });
                let item = Compared(dice.roll(9) as u32 + item, Rc::clone(&ord));
                panics[0] += usize::from(try_quietly(|| queue.try_put(item).is_ok()).is_err());
            }
            let mut got = 0;
            for _ in 0..5 {
                fuse.set(dice.roll(4) as u32 - 1);
                match try_quietly(|| queue.try_get().is_ok()) {
                    Ok(_) => got += 1,
                    Err(_) => panics[1] += 1,
                }
            }
            fuse.set(u32::MAX);
            while queue.try_get().is_ok() {
                got += 1;
            }
            assert_eq!(got, 20);
            let mut joined = Box::pin(queue.join());
            assert!(poll!(&mut joined).is_pending());
            (0..20).for_each(|_| queue.task_done());
            assert!(poll!(&mut joined).is_ready());
        }
        assert!(panics.iter().all(|&panics| panics > 100), "{panics:?}");
    });
}

fn an_ord_that_panics_loses_no_wake(env: &Env) {
    env.run(async {
        let (fuse, ord) = fused();
        let item = |item| Compared(item, Rc::clone(&ord));
        let queue = Rc::new(PriorityQueue::unbounded());
        let getter = || {
            let queue = Rc::clone(&queue);
            spawn(async move { queue.get().await.map(|item: Compared| item.0) })
        };
        // In a put.
        let getters = [getter(), getter()];
        yield_now().await;
        queue.try_put(item(1)).ok().unwrap();
        fuse.set(0);
        assert!(try_quietly(|| queue.try_put(item(2)).is_ok()).is_err());
        for (getter, item) in getters.into_iter().zip(1..) {
            assert_eq!(getter.await.unwrap(), Ok(item));
        }
        // In a get: there are three items for the other three.
        let [first, others @ ..] = [getter(), getter(), getter(), getter()];
        yield_now().await;
        (1..=3).for_each(|value| assert!(queue.try_put(item(value)).is_ok()));
        fuse.set(0);
        let mut got = Vec::new();
        for other in others {
            got.extend(other.await.unwrap());
        }
        assert!(first.await.is_err());
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3]);
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
