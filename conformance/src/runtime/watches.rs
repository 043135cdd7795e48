//! The latest value, and those who watch it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use carhop::sync::watch::{self, RecvError, SendError};
use carhop::{spawn, yield_now};
use futures::poll;

use super::rude_waker::{Manners, RudeWaker};
use super::support::{Trace, panic_of, panic_quietly, try_quietly};
use super::{Env, trials};

trials![
    only_the_latest_value_is_seen,
    all_watchers_wake_in_their_order,
    a_value_seen_by_borrowing,
    the_sender_goes,
    the_receivers_go,
    changes_in_place,
    changed_dropped_at_every_stage,
    rude_wakers_of_watchers,
    values_that_use_the_watch_as_they_drop,
    a_value_sent_while_it_is_borrowed,
];

fn only_the_latest_value_is_seen(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = watch::channel(0);
        assert_eq!(receiver.has_changed(), Ok(false));
        (1..=3).for_each(|value| sender.send(value).unwrap());
        assert_eq!(receiver.has_changed(), Ok(true));
        receiver.changed().await.unwrap();
        assert_eq!((*receiver.borrow(), *sender.borrow()), (3, 3));
        assert!(poll!(Box::pin(receiver.changed())).is_pending());
        // One that is equal is a change nevertheless.
        sender.send(3).unwrap();
        receiver.changed().await.unwrap();
    });
}

fn all_watchers_wake_in_their_order(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let (sender, receiver) = watch::channel(0);
        let tasks = ["a", "b", "c"].map(|name| {
            let (mut receiver, trace) = (receiver.clone(), trace.clone());
            spawn(async move {
                while receiver.changed().await.is_ok() {
                    trace.log(format_args!("{name}{}", *receiver.borrow()));
                }
                trace.log(format_args!("{name}."));
            })
        });
        yield_now().await;
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        trace.log("sent");
        yield_now().await;
        sender.send(3).unwrap();
        drop(sender);
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(trace.text(), "sent a2 b2 c2 a3 a. b3 b. c3 c.");
}

fn a_value_seen_by_borrowing(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = watch::channel(0);
        sender.send(1).unwrap();
        assert_eq!((*receiver.borrow(), receiver.has_changed()), (1, Ok(true)));
        let mut clone = receiver.clone();
        assert_eq!(*receiver.borrow_and_update(), 1);
        assert_eq!((receiver.has_changed(), clone.has_changed()), (Ok(false), Ok(true)));
        clone.changed().await.unwrap();
        assert_eq!(sender.subscribe().has_changed(), Ok(false));
    });
}

fn the_sender_goes(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = watch::channel(0);
        sender.send(1).unwrap();
        let mut waiting = receiver.clone();
        waiting.borrow_and_update();
        let task = spawn(async move { waiting.changed().await });
        yield_now().await;
        drop(sender);
        // The last value is still news to the one.
        assert_eq!((receiver.changed().await, receiver.changed().await), (Ok(()), Err(RecvError)));
        assert_eq!((task.await.unwrap(), *receiver.borrow()), (Err(RecvError), 1));
    });
}

fn the_receivers_go(env: &Env) {
    env.run(async {
        let (sender, receiver) = watch::channel(0);
        let sender = Rc::new(sender);
        let other = receiver.clone();
        assert_eq!(sender.receiver_count(), 2);
        let tasks =
            [(); 2].map(|()| Rc::clone(&sender)).map(|sender| spawn(async move { sender.closed().await }));
        yield_now().await;
        drop(receiver);
        yield_now().await;
        assert!(!sender.is_closed() && !tasks[0].is_finished());
        drop(other);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((sender.send(1), *sender.borrow()), (Err(SendError(1)), 0));
        assert_eq!((sender.send_replace(2), *sender.borrow()), (0, 2));
        assert_eq!(*sender.subscribe().borrow(), 2);
    });
}

fn changes_in_place(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = watch::channel(vec![1]);
        sender.send_modify(|value| value.push(2));
        receiver.changed().await.unwrap();
        assert_eq!(*receiver.borrow(), [1, 2]);
        // One that fails is not reported, and nothing stays borrowed.
        assert!(try_quietly(|| sender.send_modify(|_| panic_quietly("no change"))).is_err());
        assert_eq!(receiver.has_changed(), Ok(false));
        sender.send(vec![]).unwrap();
        assert!(receiver.borrow().is_empty());
    });
}

fn changed_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = watch::channel(0);
        drop(receiver.changed());
        let mut changed = Box::pin(receiver.changed());
        assert!(poll!(&mut changed).is_pending());
        drop(changed);
        let mut changed = Box::pin(receiver.changed());
        assert!(poll!(&mut changed).is_pending());
        sender.send(1).unwrap();
        drop(changed);
        assert_eq!(receiver.changed().await, Ok(()));
        let mut closed = Box::pin(sender.closed());
        assert!(poll!(&mut closed).is_pending());
        drop(closed);
        drop(receiver);
        sender.closed().await;
    });
}

fn rude_wakers_of_watchers(env: &Env) {
    env.run(async {
        let rude =
            RudeWaker::new(Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() });
        let (sender, mut first) = watch::channel(0);
        let mut second = first.clone();
        {
            let mut waits = [&mut first, &mut second]
                .map(|receiver| Box::pin(receiver.changed()) as Pin<Box<dyn Future<Output = _>>>);
            waits.iter_mut().for_each(|wait| assert!(rude.poll(wait).unwrap().is_pending()));
            waits.iter_mut().for_each(|wait| assert!(rude.poll(wait).unwrap().is_pending()));
            drop(sender);
            waits
                .iter_mut()
                .for_each(|wait| assert_eq!(rude.poll(wait).unwrap(), Poll::Ready(Err(RecvError))));
        }
        assert_eq!((rude.wakes(), rude.alive()), (2, 0));
    });
}

fn values_that_use_the_watch_as_they_drop(env: &Env) {
    struct Again(Option<watch::Receiver<Option<Again>>>);
    impl Drop for Again {
        fn drop(&mut self) {
            let mut receiver = self.0.take().unwrap();
            assert!(receiver.borrow_and_update().is_none());
        }
    }
    env.run(async {
        let (sender, receiver) = watch::channel(None);
        for _ in 0..2 {
            sender.send(Some(Again(Some(receiver.clone())))).ok().unwrap();
            sender.send(None).ok().unwrap();
        }
        // Refused for want of a receiver, and replaced.
        let again = Again(Some(receiver));
        assert!(sender.send(Some(again)).is_ok());
        assert!(sender.send_replace(None).is_some());
        assert_eq!(sender.receiver_count(), 0);
        assert!(sender.send(None).is_err());
    });
}

fn a_value_sent_while_it_is_borrowed(env: &Env) {
    env.run(async {
        let (sender, receiver) = watch::channel(0);
        let borrowed = receiver.borrow();
        let text = panic_of(|| sender.send(1).is_ok());
        assert_eq!(text, "the value of a watch channel was sent while it was borrowed");
        drop(borrowed);
        let text = panic_of(|| sender.send_modify(|_| drop(receiver.borrow())));
        assert_eq!(text, "the value of a watch channel was used while it was being modified");
        sender.send(1).unwrap();
        assert_eq!(*receiver.borrow(), 1);
    });
}
