//! Wakers that bring about what is waited for while they are cloned. What comes before the waker is in its place wakes
//! nobody, so it must be seen.

use std::cell::Cell;
use std::future::pending;
use std::pin::pin;
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use carhop::sync::{Barrier, Event, Mutex, Queue, Semaphore, broadcast, mpsc, oneshot, watch};
use carhop::task::{CancelToken, JoinSet};

use super::by_hand::ByHand;
use super::support::cancelled;
use super::{Env, trials};

trials![
    locks_and_permits_that_come_back,
    events_and_tokens_that_are_set,
    barriers_that_trip_or_break,
    items_and_places_in_a_queue,
    values_and_room_in_channels,
    runtimes_that_end,
];

thread_local! {
    static ON_CLONE: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |_| {
        if let Some(f) = ON_CLONE.take() {
            f();
        }
        RawWaker::new(ptr::null(), &VTABLE)
    },
    |_| {},
    |_| {},
    |_| {},
);

/// Polls `future` once, with a waker that calls `meddle` when it is cloned.
fn poll<T>(future: impl Future<Output = T>, meddle: impl FnOnce() + 'static) -> Poll<T> {
    ON_CLONE.set(Some(Box::new(meddle)));
    // SAFETY: the functions use no data.
    let waker = unsafe { Waker::new(ptr::null(), &VTABLE) };
    let poll = pin!(future).poll(&mut Context::from_waker(&waker));
    assert!(ON_CLONE.take().is_none(), "the waker was not cloned");
    poll
}

/// What `future` is ready with in that poll.
#[track_caller]
fn ready<T>(future: impl Future<Output = T>, meddle: impl FnOnce() + 'static) -> T {
    match poll(future, meddle) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what came while the waker was cloned was missed"),
    }
}

fn locks_and_permits_that_come_back(_: &Env) {
    let mutex: &'static Mutex<i32> = Box::leak(Box::new(Mutex::new(7)));
    let guard = mutex.try_lock().unwrap();
    assert_eq!(*ready(mutex.lock(), || drop(guard)), 7);
    drop(mutex.try_lock().expect("nobody has it"));

    let semaphore = Rc::new(Semaphore::new(2));
    let taken = Rc::clone(&semaphore).try_acquire_many_owned(2).unwrap();
    let permit = ready(semaphore.acquire(), || drop(taken)).unwrap();
    assert_eq!(semaphore.available_permits(), 1);
    drop(permit);
    let (taken, closing) = (semaphore.try_acquire_many(2).unwrap(), Rc::clone(&semaphore));
    assert!(ready(semaphore.acquire(), move || closing.close()).is_err());
    drop(taken);
    assert_eq!(semaphore.available_permits(), 2);
}

fn events_and_tokens_that_are_set(_: &Env) {
    let event = Rc::new(Event::new());
    let setting = Rc::clone(&event);
    ready(event.wait(), move || setting.set());
    let token = CancelToken::new();
    let cancelling = token.clone();
    ready(token.child_token().cancelled(), move || cancelling.cancel());
}

fn barriers_that_trip_or_break(_: &Env) {
    let barrier: &'static Barrier = Box::leak(Box::new(Barrier::new(3)));
    // The first one queued up, and the last one comes while the second one's waker is cloned.
    let mut first = ByHand::waiting(barrier.wait());
    let second =
        ready(barrier.wait(), || assert_eq!(ByHand::new(barrier.wait()).ready().unwrap().index(), 2));
    assert_eq!(second.unwrap().index(), 1);
    assert_eq!(first.ready().unwrap().index(), 0);
    assert!(ready(barrier.wait(), || barrier.abort()).is_err());
    barrier.reset();
    // It has tripped, and one is inside still: others wait outside until that has left.
    let mut inside = [(); 2].map(|()| ByHand::waiting(barrier.wait()));
    ByHand::new(barrier.wait()).ready().unwrap();
    let leave = move || inside.iter_mut().for_each(|party| assert!(party.ready().is_ok()));
    let mut outside = pin!(barrier.wait());
    assert!(poll(outside.as_mut(), leave).is_pending());
    assert_eq!(barrier.n_waiting(), 1, "it has come in");
}

fn items_and_places_in_a_queue(_: &Env) {
    let queue = Rc::new(Queue::new(1));
    let meddling = || Rc::clone(&queue);
    let putting = meddling();
    assert_eq!(ready(queue.get(), move || putting.try_put(1).unwrap()), Ok(1));
    queue.try_put(2).unwrap();
    let getting = meddling();
    assert!(ready(queue.put(3), move || assert_eq!(getting.try_get(), Ok(2))).is_ok());
    let finishing = meddling();
    ready(queue.join(), move || (0..3).for_each(|_| finishing.task_done()));
    let ending = meddling();
    assert!(ready(queue.put(4), move || ending.shutdown()).is_err());
    assert_eq!(ByHand::new(queue.get()).ready(), Ok(3));
    let empty = Rc::new(Queue::<()>::unbounded());
    let ending = Rc::clone(&empty);
    assert!(ready(empty.get(), move || ending.shutdown()).is_err());
}

fn values_and_room_in_channels(_: &Env) {
    let (sender, receiver) = oneshot::channel();
    assert_eq!(ready(receiver, move || sender.send(1).unwrap()), Ok(1));
    let (mut sender, receiver) = oneshot::channel::<()>();
    ready(sender.closed(), move || drop(receiver));

    let (sender, mut receiver) = mpsc::channel(1);
    let sending = sender.clone();
    assert_eq!(ready(receiver.recv(), move || sending.try_send(1).unwrap()), Some(1));
    sender.try_send(2).unwrap();
    let receiver = Rc::new(Cell::new(Some(receiver)));
    let receiving = Rc::clone(&receiver);
    let receive = move || {
        let mut receiver = receiving.take().unwrap();
        assert_eq!(receiver.try_recv(), Ok(2));
        receiving.set(Some(receiver));
    };
    ready(sender.send(3), receive).unwrap();
    // The room was taken, once.
    assert!(sender.try_send(4).is_err());
    assert!(ready(sender.reserve(), move || drop(receiver.take())).is_err());

    let (sender, mut receiver) = broadcast::channel(2);
    let sending = sender.clone();
    assert_eq!(ready(receiver.recv(), move || assert_eq!(sending.send(1).ok(), Some(1))), Ok(1));
    assert_eq!(ready(receiver.recv(), move || drop(sender)), Err(broadcast::RecvError::Closed));

    let (sender, mut receiver) = watch::channel(0);
    let sender = Rc::new(sender);
    let sending = Rc::clone(&sender);
    ready(receiver.changed(), move || sending.send(1).unwrap()).unwrap();
    ready(sender.closed(), move || drop(receiver));
    let mut receiver = sender.subscribe();
    assert!(ready(receiver.changed(), move || drop(sender)).is_err());
}

fn runtimes_that_end(env: &Env) {
    let runtime = env.runtime();
    let task = runtime.spawn(pending::<()>());
    assert!(cancelled(ready(task, move || drop(runtime))));
    let runtime = env.runtime();
    let mut set = runtime.block_on(async { JoinSet::from_iter([pending::<()>()]) });
    assert!(cancelled(ready(set.join_next(), move || drop(runtime)).unwrap()));
}
