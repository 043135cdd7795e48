//! Locks, permits, events and queues.

use std::cell::Cell;
use std::rc::Rc;

use carhop::sync::{Event, Mutex, Queue, Semaphore};
use carhop::{spawn, yield_now};

use super::{Probe, assert_nobody_waits, futures, yields};

futures!(
    mutex_lock: "mutex::Mutex::lock",
    semaphore_acquire: "semaphore::Semaphore::acquire",
    semaphore_acquire_many: "semaphore::Semaphore::acquire_many",
    semaphore_acquire_owned: "semaphore::Semaphore::acquire_owned",
    semaphore_acquire_many_owned: "semaphore::Semaphore::acquire_many_owned",
    semaphore_first_in_the_queue: "semaphore::Semaphore::acquire_many",
    semaphore_closed: "semaphore::Semaphore::acquire",
    event_wait: "event::Event::wait",
    queue_put: "queue::OrderedQueue::put",
    queue_get: "queue::OrderedQueue::get",
    queue_join: "queue::OrderedQueue::join",
);

/// Who has it, then the one under test, then one behind it.
async fn mutex_lock(probe: &Probe) {
    let mutex = Rc::new(Mutex::new(vec![]));
    let use_it = async |mutex: Rc<Mutex<Vec<_>>>, name| {
        let mut names = mutex.lock().await;
        names.push(name);
        yields(2).await;
    };
    let first = spawn(use_it(Rc::clone(&mutex), "first"));
    yield_now().await;
    let behind = spawn({
        let mutex = Rc::clone(&mutex);
        async move {
            yield_now().await;
            use_it(mutex, "behind").await;
        }
    });
    let locked = probe.drive(use_it(Rc::clone(&mutex), "tested")).await;
    first.await.unwrap();
    behind.await.unwrap();
    let mut names = mutex.try_lock().expect("nobody has it").clone();
    // It may have had it, and been dropped with it.
    assert!(locked.is_none() || names.contains(&"tested"), "{names:?}");
    names.retain(|&name| name != "tested");
    assert_eq!(names, ["first", "behind"]);
    assert_nobody_waits(&mutex);
}

async fn semaphore_acquire(probe: &Probe) {
    semaphore(probe, async |semaphore| drop(semaphore.acquire().await.unwrap())).await;
}

async fn semaphore_acquire_many(probe: &Probe) {
    semaphore(probe, async |semaphore| drop(semaphore.acquire_many(3).await.unwrap())).await;
}

async fn semaphore_acquire_owned(probe: &Probe) {
    semaphore(probe, async |semaphore| drop(semaphore.acquire_owned().await.unwrap())).await;
}

async fn semaphore_acquire_many_owned(probe: &Probe) {
    semaphore(probe, async |semaphore| drop(semaphore.acquire_many_owned(3).await.unwrap())).await;
}

/// Of three permits, two are taken and come back one by one. Behind the future under test somebody wants all three, and
/// then somebody one.
async fn semaphore(probe: &Probe, acquire: impl AsyncFn(Rc<Semaphore>) + 'static) {
    let semaphore = Rc::new(Semaphore::new(3));
    let taken = [(); 3].map(|()| Rc::clone(&semaphore).try_acquire_owned().unwrap());
    let others = [3, 1].map(|permits| {
        let semaphore = Rc::clone(&semaphore);
        spawn(async move {
            yields(4 - permits).await;
            drop(semaphore.acquire_many(permits).await.unwrap());
        })
    });
    let giver = spawn(async move {
        for permit in taken {
            yields(2).await;
            drop(permit);
        }
    });
    let tested = Rc::clone(&semaphore);
    probe.drive(async move { acquire(tested).await }).await;
    giver.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(semaphore.available_permits(), 3);
    drop(semaphore.try_acquire_many(3).expect("nobody has a place"));
    assert_nobody_waits(&semaphore);
}

/// The future under test wants more than there is, and leaves. Then there is enough for the one behind it, though no
/// permit has come back.
async fn semaphore_first_in_the_queue(probe: &Probe) {
    let semaphore = Rc::new(Semaphore::new(1));
    let (adding, tested, next) = (Rc::clone(&semaphore), Rc::clone(&semaphore), Rc::clone(&semaphore));
    let adder = spawn(async move {
        yields(12).await;
        adding.add_permits(1);
    });
    let behind = spawn(async move {
        yield_now().await;
        drop(next.acquire().await.unwrap());
    });
    probe.drive(async move { drop(tested.acquire_many(2).await.unwrap()) }).await;
    yields(4).await;
    assert!(behind.is_finished());
    adder.await.unwrap();
    assert_eq!(semaphore.available_permits(), 2);
    assert_nobody_waits(&semaphore);
}

async fn semaphore_closed(probe: &Probe) {
    let semaphore = Rc::new(Semaphore::new(0));
    let (closing, tested) = (Rc::clone(&semaphore), Rc::clone(&semaphore));
    let closer = spawn(async move {
        yields(3).await;
        closing.close();
    });
    let acquired = probe.drive(async move { tested.acquire().await.is_ok() }).await;
    assert_ne!(acquired, Some(true));
    closer.await.unwrap();
    assert_eq!(semaphore.available_permits(), 0);
    assert_nobody_waits(&semaphore);
}

async fn event_wait(probe: &Probe) {
    let event = Rc::new(Event::new());
    let wait = async |event: Rc<Event>| event.wait().await;
    let other = spawn(wait(Rc::clone(&event)));
    let setter = spawn({
        let event = Rc::clone(&event);
        async move {
            yields(3).await;
            event.set();
            // Whoever was woken goes on all the same.
            event.clear();
        }
    });
    probe.drive(wait(Rc::clone(&event))).await;
    setter.await.unwrap();
    // If it came too late, it waits for the next time.
    event.set();
    other.await.unwrap();
    assert_nobody_waits(&event);
}

/// Items come out once, in their order, but that of a put that was dropped before its end does not come at all.
async fn queue_put(probe: &Probe) {
    let queue = Rc::new(Queue::new(1));
    queue.try_put("first").unwrap();
    let put = async |queue: Rc<Queue<_>>, item| queue.put(item).await.unwrap();
    let behind = spawn({
        let queue = Rc::clone(&queue);
        async move {
            yield_now().await;
            put(queue, "behind").await;
        }
    });
    let getter = spawn({
        let queue = Rc::clone(&queue);
        async move {
            let mut items = vec![];
            while let Ok(item) = queue.get().await {
                items.push(item);
                queue.task_done();
                yields(3).await;
            }
            items
        }
    });
    let put = probe.drive(put(Rc::clone(&queue), "tested")).await;
    behind.await.unwrap();
    queue.join().await;
    queue.shutdown();
    let mut items = getter.await.unwrap();
    assert_eq!(items.contains(&"tested"), put.is_some());
    items.retain(|&item| item != "tested");
    assert_eq!(items, ["first", "behind"]);
}

async fn queue_get(probe: &Probe) {
    let queue = Rc::new(Queue::new(1));
    let got = Rc::new(Cell::new(None));
    let tested = {
        let (queue, got) = (Rc::clone(&queue), Rc::clone(&got));
        async move { got.set(queue.get().await.ok()) }
    };
    let behind = spawn({
        let queue = Rc::clone(&queue);
        async move {
            yield_now().await;
            queue.get().await.unwrap()
        }
    });
    let putter = spawn({
        let queue = Rc::clone(&queue);
        async move {
            for item in [1, 2] {
                yields(3).await;
                queue.put(item).await.unwrap();
            }
        }
    });
    probe.drive(tested).await;
    putter.await.unwrap();
    let mut items = vec![behind.await.unwrap()];
    items.extend(got.get().or(queue.try_get().ok()));
    items.sort();
    assert_eq!(items, [1, 2]);
    assert!(queue.is_empty());
}

async fn queue_join(probe: &Probe) {
    let queue = Rc::new(Queue::unbounded());
    for item in 0..3 {
        queue.try_put(item).unwrap();
    }
    let join = async |queue: Rc<Queue<_>>| queue.join().await;
    let other = spawn(join(Rc::clone(&queue)));
    let worker = spawn({
        let queue = Rc::clone(&queue);
        async move {
            for _ in 0..3 {
                yield_now().await;
                queue.get().await.unwrap();
                queue.task_done();
            }
        }
    });
    probe.drive(join(Rc::clone(&queue))).await;
    worker.await.unwrap();
    other.await.unwrap();
    assert!(queue.is_empty());
}
