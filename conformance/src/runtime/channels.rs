//! Channels from many tasks to one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use carhop::sync::mpsc::{self, SendError, TryRecvError, TrySendError};
use carhop::time::{sleep, timeout};
use carhop::{spawn, yield_now};
use futures::{StreamExt, poll};

use crate::pattern::Dice;

use super::rude_waker::{Manners, RudeWaker};
use super::support::{Count, OnDrop, Trace, panic_of};
use super::{Env, trials};

trials![
    senders_get_room_in_their_order,
    nobody_overtakes_a_sender_who_waits,
    the_last_sender_ends_the_channel,
    a_receiver_that_goes_refuses_all,
    a_closed_receiver_gets_what_has_arrived,
    permits_keep_room,
    a_channel_as_a_stream,
    sends_dropped_at_every_stage,
    recvs_dropped_at_every_stage,
    timeouts_around_recvs_and_sends_lose_nothing,
    channels_do_what_a_model_does,
    no_room_is_lost_when_senders_are_aborted,
    rude_wakers_of_channels,
    values_that_use_the_channel_as_they_drop,
    a_channel_without_room_is_refused,
];

fn senders_get_room_in_their_order(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let (sender, mut receiver) = mpsc::channel(2);
        for name in ["A", "B", "C"] {
            let (sender, trace) = (sender.clone(), trace.clone());
            spawn(async move {
                for i in 1..=3 {
                    sender.send(format!("{name}{i}")).await.unwrap();
                    trace.log(format_args!("+{name}{i}"));
                }
            });
        }
        drop(sender);
        while let Some(value) = receiver.recv().await {
            trace.log(value);
        }
    });
    // Two get in at once; then one for each place that becomes free, in turn.
    assert_eq!(trace.text(), "+A1 +A2 A1 A2 +A3 +B1 A3 B1 +C1 +B2 C1 B2 +C2 +B3 C2 B3 +C3 C3");
}

fn nobody_overtakes_a_sender_who_waits(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        let mut waiting = Box::pin(sender.send(2));
        assert!(poll!(&mut waiting).is_pending());
        assert_eq!(receiver.recv().await, Some(1));
        // The room is the other one's, though it has not run.
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert!(poll!(Box::pin(sender.send(3))).is_pending());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(poll!(&mut waiting), Poll::Ready(Ok(())));
        assert_eq!(receiver.recv().await, Some(2));
    });
}

fn the_last_sender_ends_the_channel(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        assert_eq!((sender.capacity(), receiver.is_closed()), (None, false));
        (0..1000).for_each(|value| sender.try_send(value).unwrap());
        let other = sender.clone();
        drop(sender);
        other.send(1000).await.unwrap();
        assert_eq!((other.len(), receiver.len()), (1001, 1001));
        drop(other);
        assert!(receiver.is_closed());
        for value in 0..=1000 {
            assert_eq!(receiver.recv().await, Some(value));
        }
        assert_eq!((receiver.recv().await, receiver.try_recv()), (None, Err(TryRecvError::Closed)));
        // Dropped while the receiver waits.
        let (sender, mut receiver) = mpsc::channel::<u32>(1);
        let task = spawn(async move { receiver.recv().await });
        yield_now().await;
        drop(sender);
        assert_eq!(task.await.unwrap(), None);
    });
}

fn a_receiver_that_goes_refuses_all(env: &Env) {
    env.run(async {
        let (sender, receiver) = mpsc::channel(1);
        sender.send(0).await.unwrap();
        let tasks = [1, 2].map(|value| {
            let sender = sender.clone();
            spawn(async move { sender.send(value).await })
        });
        yield_now().await;
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sender.is_closed());
        for (task, value) in tasks.into_iter().zip(1..) {
            assert_eq!(task.await.unwrap(), Err(SendError(value)));
        }
        assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
        assert_eq!(sender.reserve().await.map(drop), Err(SendError(())));
        assert!(sender.is_empty());
    });
}

fn a_closed_receiver_gets_what_has_arrived(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = mpsc::channel(3);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        let permit = sender.reserve().await.unwrap();
        let mut waiting = Box::pin(sender.send(4));
        assert!(poll!(&mut waiting).is_pending());
        receiver.close();
        assert_eq!(permit.send(3), Err(SendError(3)));
        assert_eq!(poll!(&mut waiting), Poll::Ready(Err(SendError(4))));
        assert_eq!(receiver.recv().await, Some(1));
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(receiver.recv().await, None);
    });
}

fn permits_keep_room(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let first = sender.reserve().await.unwrap();
        let second = sender.reserve().await.unwrap();
        let mut third = Box::pin(sender.reserve());
        assert!(poll!(&mut third).is_pending());
        second.send(2).unwrap();
        assert_eq!(receiver.try_recv(), Ok(2));
        let Poll::Ready(Ok(third)) = poll!(&mut third) else { panic!("there is room") };
        let mut fourth = Box::pin(sender.send(4));
        assert!(poll!(&mut fourth).is_pending());
        // Nothing was sent with it: the room goes to the next.
        drop(first);
        assert!(poll!(&mut fourth).is_ready());
        third.send(3).unwrap();
        assert_eq!((receiver.recv().await, receiver.recv().await), (Some(4), Some(3)));
    });
}

fn a_channel_as_a_stream(env: &Env) {
    env.run(async {
        let (sender, receiver) = mpsc::channel(1);
        spawn(async move {
            for value in 1..=4 {
                sender.send(value).await.unwrap();
            }
        });
        assert_eq!(receiver.map(|value| value * 10).collect::<Vec<_>>().await, [10, 20, 30, 40]);
    });
}

fn sends_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let drops = Count::default();
        let value = || {
            let drops = drops.clone();
            OnDrop(move || drops.add())
        };
        let (sender, mut receiver) = mpsc::channel(1);
        // Never polled.
        drop(sender.send(value()));
        assert_eq!((drops.get(), sender.len()), (1, 0));
        sender.try_send(value()).ok().unwrap();
        let mut sends = [(); 3].map(|()| Box::pin(sender.send(value())));
        for send in &mut sends {
            assert!(poll!(send).is_pending());
        }
        let [waiting, granted, mut last] = sends;
        drop(waiting);
        drop(receiver.try_recv().ok().unwrap());
        assert_eq!(drops.get(), 3);
        drop(granted);
        assert_eq!(drops.get(), 4);
        assert!(poll!(&mut last).is_ready());
        drop(last);
        assert_eq!((drops.get(), receiver.len()), (4, 1));
        drop(receiver);
        assert_eq!(drops.get(), 5);
    });
}

fn recvs_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = mpsc::channel(1);
        drop(receiver.recv());
        let mut recv = Box::pin(receiver.recv());
        assert!(poll!(&mut recv).is_pending());
        drop(recv);
        let mut recv = Box::pin(receiver.recv());
        assert!(poll!(&mut recv).is_pending());
        sender.send(1).await.unwrap();
        // Woken.
        drop(recv);
        assert_eq!(receiver.recv().await, Some(1));
    });
}

fn timeouts_around_recvs_and_sends_lose_nothing(env: &Env) {
    const VALUES: u32 = 2000;
    const TINY: Duration = Duration::from_micros(5);
    env.run(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let sending = spawn(async move {
            let (mut dice, mut next) = (Dice::new(), 0);
            while next < VALUES {
                if timeout(TINY, sender.send(next)).await.is_ok() {
                    next += 1;
                }
                if dice.roll(4) == 1 {
                    sleep(Duration::from_micros(dice.roll(30) as u64)).await;
                }
            }
        });
        let (mut dice, mut next) = (Dice::new(), 0);
        while let Some(value) = timeout(TINY, receiver.recv()).await.unwrap_or(Some(u32::MAX)) {
            // Or the time was over.
            if value < u32::MAX {
                assert_eq!(value, next);
                next += 1;
            }
            if dice.roll(4) == 1 {
                sleep(Duration::from_micros(dice.roll(30) as u64)).await;
            }
        }
        assert_eq!(next, VALUES);
        sending.await.unwrap();
    });
}

/// Sends begin, go on and are given up at random: those that wait get room in their order, and as soon as there is some.
fn channels_do_what_a_model_does(env: &Env) {
    env.run(async {
        let mut dice = Dice::new();
        for _ in 0..200 {
            let capacity = dice.roll(3);
            let (sender, mut receiver) = mpsc::channel(capacity);
            // In the order of their first polls.
            let mut sends: VecDeque<(usize, Pin<Box<_>>)> = VecDeque::new();
            let mut model = VecDeque::new();
            for value in 0..100 {
                match dice.roll(5) {
                    1 | 2 => {
                        let mut send = Box::pin(sender.send(value));
                        match poll!(&mut send) {
                            Poll::Ready(sent) => {
                                sent.unwrap();
                                model.push_back(value);
                            }
                            Poll::Pending => sends.push_back((value, send)),
                        }
                    }
                    3 if !sends.is_empty() => drop(sends.remove(dice.roll(sends.len()) - 1)),
                    4 | 5 => {
                        assert_eq!(receiver.try_recv().ok(), model.pop_front());
                        // Whoever waited longest has room now, and nobody else.
                        for (_, send) in sends.iter_mut().skip(1) {
                            assert!(poll!(send).is_pending());
                        }
                        if let Some((value, mut send)) = sends.pop_front() {
                            assert!(poll!(&mut send).is_ready());
                            model.push_back(value);
                        }
                    }
                    _ => {}
                }
                assert_eq!(sender.len(), model.len());
                assert!(sends.is_empty() || model.len() == capacity);
            }
        }
    });
}

/// Once all have run that can, nobody waits for room that is there.
fn no_room_is_lost_when_senders_are_aborted(env: &Env) {
    env.run(async {
        let mut dice = Dice::new();
        for _ in 0..100 {
            let capacity = dice.roll(3);
            let (sender, mut receiver) = mpsc::channel(capacity);
            let mut tasks = Vec::new();
            for value in 0..200 {
                let sender = sender.clone();
                match dice.roll(5) {
                    1 | 2 => tasks.push(spawn(async move { sender.send(value).await })),
                    3 if !tasks.is_empty() => tasks[dice.roll(tasks.len()) - 1].abort(),
                    4 => drop(receiver.try_recv()),
                    _ => yield_now().await,
                }
            }
            for _ in 0..10 {
                yield_now().await;
            }
            tasks.retain(|task| !task.is_finished());
            assert!(receiver.len() == capacity || tasks.is_empty(), "{receiver:?}, {} wait", tasks.len());
        }
    });
}

fn rude_wakers_of_channels(env: &Env) {
    env.run(async {
        let rude =
            RudeWaker::new(Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() });
        let (sender, mut receiver) = mpsc::channel(1);
        {
            let mut recv: Pin<Box<dyn Future<Output = _>>> = Box::pin(receiver.recv());
            assert!(rude.poll(&mut recv).unwrap().is_pending());
            assert!(rude.poll(&mut recv).unwrap().is_pending());
            sender.try_send(1).unwrap();
            assert_eq!(rude.wakes(), 1);
            assert_eq!(rude.poll(&mut recv).unwrap(), Poll::Ready(Some(1)));
        }
        {
            let mut recv: Pin<Box<dyn Future<Output = _>>> = Box::pin(receiver.recv());
            assert!(rude.poll(&mut recv).unwrap().is_pending());
        }
        assert_eq!(rude.alive(), 0);
        sender.try_send(2).unwrap();
        let mut sends = [3, 4].map(|value| Box::pin(sender.send(value)) as Pin<Box<dyn Future<Output = _>>>);
        sends.iter_mut().for_each(|send| assert!(rude.poll(send).unwrap().is_pending()));
        drop(receiver);
        assert_eq!((rude.wakes(), rude.alive()), (3, 0));
        for (send, value) in sends.iter_mut().zip(3..) {
            assert_eq!(rude.poll(send).unwrap(), Poll::Ready(Err(SendError(value))));
        }
    });
}

fn values_that_use_the_channel_as_they_drop(env: &Env) {
    struct Again(mpsc::Sender<Again>, Rc<RefCell<Vec<bool>>>);
    impl Drop for Again {
        fn drop(&mut self) {
            assert!(self.0.is_empty());
            self.1.borrow_mut().push(self.0.is_closed());
            if !self.0.is_closed() {
                let again = Again(self.0.clone(), Rc::clone(&self.1));
                self.0.try_send(again).ok().unwrap();
            }
        }
    }
    env.run(async {
        let closed = Rc::default();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        sender.try_send(Again(sender.clone(), Rc::clone(&closed))).ok().unwrap();
        drop(receiver.try_recv());
        drop(receiver.recv().await);
        drop(receiver);
        assert_eq!(*closed.borrow(), [false, false, true]);
    });
}

fn a_channel_without_room_is_refused(_: &Env) {
    assert_eq!(panic_of(|| mpsc::channel::<u32>(0)), "a channel needs room for one value at least");
}
