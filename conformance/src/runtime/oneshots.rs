//! One value, promised and awaited.

use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use carhop::sync::oneshot::{self, RecvError, TryRecvError};
use carhop::time::timeout;
use carhop::{spawn, yield_now};
use futures::poll;

use super::rude_waker::{Manners, RudeWaker};
use super::support::{Count, OnDrop, Trace};
use super::{Env, trials};

trials![
    a_value_sent_before_and_after_the_wait,
    a_promise_that_is_broken,
    a_value_that_nobody_wants,
    a_sender_learns_that_it_is_in_vain,
    a_closed_receiver_still_has_what_was_sent,
    ends_dropped_at_every_stage,
    a_timeout_leaves_the_receiver_in_place,
    futures_wake_in_the_order_of_their_results,
    rude_wakers_of_promises,
];

fn a_value_sent_before_and_after_the_wait(env: &Env) {
    env.run(async {
        let (sender, receiver) = oneshot::channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.await, Ok(1));
        let (sender, mut receiver) = oneshot::channel();
        assert!(poll!(&mut receiver).is_pending());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        spawn(async move { sender.send(2) });
        assert_eq!((&mut receiver).await, Ok(2));
        // There is no second one.
        assert_eq!((receiver.try_recv(), receiver.await), (Err(TryRecvError::Closed), Err(RecvError)));
    });
}

fn a_promise_that_is_broken(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = oneshot::channel::<u32>();
        assert!(poll!(&mut receiver).is_pending());
        let task = spawn(receiver);
        yield_now().await;
        drop(sender);
        assert_eq!(task.await.unwrap(), Err(RecvError));
    });
}

fn a_value_that_nobody_wants(env: &Env) {
    env.run(async {
        let (sender, receiver) = oneshot::channel();
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sender.is_closed());
        assert_eq!(sender.send(1), Err(1));
        // Sent and never taken: dropped once, with the receiver, while that may be used.
        let drops = Count::default();
        let (sender, receiver) = oneshot::channel();
        sender.send(OnDrop(|| drops.add())).ok().unwrap();
        assert_eq!(drops.get(), 0);
        drop(receiver);
        assert_eq!(drops.get(), 1);
    });
}

fn a_sender_learns_that_it_is_in_vain(env: &Env) {
    env.run(async {
        for close in [true, false] {
            let (mut sender, mut receiver) = oneshot::channel::<u32>();
            let task = spawn(async move {
                sender.closed().await;
                sender.closed().await;
                sender.send(1)
            });
            yield_now().await;
            assert!(!task.is_finished());
            if close {
                receiver.close();
                assert_eq!(poll!(receiver), Poll::Ready(Err(RecvError)));
            } else {
                drop(receiver);
            }
            assert_eq!(task.await.unwrap(), Err(1));
        }
    });
}

fn a_closed_receiver_still_has_what_was_sent(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = oneshot::channel();
        sender.send(1).unwrap();
        receiver.close();
        assert_eq!(receiver.await, Ok(1));
    });
}

fn ends_dropped_at_every_stage(env: &Env) {
    env.run(async {
        for polled in [false, true] {
            for sent in [false, true] {
                let value = Rc::new(());
                let (sender, mut receiver) = oneshot::channel();
                if polled {
                    assert!(poll!(&mut receiver).is_pending());
                }
                let sender = if sent {
                    sender.send(Rc::clone(&value)).err().map(|_| None)
                } else {
                    Some(Some(sender))
                };
                drop(receiver);
                assert_eq!(Rc::strong_count(&value), 1);
                if let Some(Some(mut sender)) = sender {
                    let mut closed = Box::pin(sender.closed());
                    assert!(poll!(&mut closed).is_ready());
                }
            }
        }
        let (mut sender, receiver) = oneshot::channel::<u32>();
        drop(sender.closed());
        let mut closed = Box::pin(sender.closed());
        assert!(poll!(&mut closed).is_pending());
        drop(closed);
        drop(receiver);
        sender.closed().await;
    });
}

fn a_timeout_leaves_the_receiver_in_place(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = oneshot::channel();
        for _ in 0..10 {
            assert!(timeout(Duration::from_micros(1), &mut receiver).await.is_err());
        }
        sender.send(1).unwrap();
        assert_eq!(timeout(Duration::ZERO, receiver).await, Ok(Ok(1)));
    });
}

/// As with futures of asyncio: `set_result` lets those who await run next, in the order of the calls.
fn futures_wake_in_the_order_of_their_results(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let mut senders = Vec::new();
        let tasks = [0, 1, 2].map(|name| {
            let ((sender, receiver), trace) = (oneshot::channel::<&str>(), trace.clone());
            senders.push(sender);
            spawn(async move { trace.log(format_args!("{name}{}", receiver.await.unwrap_or("!"))) })
        });
        yield_now().await;
        let [zero, one, two] = senders.try_into().unwrap();
        two.send("c").unwrap();
        drop(zero);
        one.send("b").unwrap();
        trace.log("sent");
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(trace.text(), "sent 2c 0! 1b");
}

fn rude_wakers_of_promises(env: &Env) {
    env.run(async {
        let rude =
            RudeWaker::new(Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() });
        let (sender, receiver) = oneshot::channel();
        let mut receiver: Pin<Box<dyn Future<Output = _>>> = Box::pin(receiver);
        assert!(rude.poll(&mut receiver).unwrap().is_pending());
        assert!(rude.poll(&mut receiver).unwrap().is_pending());
        sender.send(1).unwrap();
        assert_eq!(rude.poll(&mut receiver).unwrap(), Poll::Ready(Ok(1)));
        let (mut sender, receiver) = oneshot::channel::<u32>();
        {
            let mut waiting: Pin<Box<dyn Future<Output = _>>> = Box::pin(receiver);
            assert!(rude.poll(&mut waiting).unwrap().is_pending());
            let mut closed: Pin<Box<dyn Future<Output = _>>> = Box::pin(sender.closed());
            assert!(rude.poll(&mut closed).unwrap().is_pending());
            drop(waiting);
            assert_eq!(rude.poll(&mut closed).unwrap(), Poll::Ready(()));
        }
        assert_eq!((rude.wakes(), rude.alive()), (2, 0));
    });
}
