//! Channels where each receiver gets each value.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use carhop::sync::broadcast::{self, RecvError, SendError, TryRecvError};
use carhop::time::timeout;
use carhop::{spawn, yield_now};
use futures::poll;

use crate::pattern::Dice;

use super::rude_waker::{Manners, RudeWaker};
use super::support::{Count, OnDrop, Trace, panic_of, panic_quietly, try_quietly};
use super::{Env, trials};

trials![
    each_receiver_gets_each_value,
    receivers_wake_in_the_order_of_their_waits,
    a_slow_receiver_is_told_what_it_lost,
    a_receiver_gets_what_is_sent_from_then_on,
    the_last_sender_ends_the_broadcast,
    nobody_to_send_to,
    values_go_when_the_last_receiver_has_read_them,
    the_last_receiver_gets_the_value_itself,
    recvs_of_a_broadcast_dropped_at_every_stage,
    broadcasts_do_what_a_model_does,
    rude_wakers_of_broadcasts,
    values_that_use_the_broadcast_as_they_drop,
    values_that_use_the_broadcast_as_they_are_cloned,
    a_clone_that_panics_is_one_value_lost,
    a_broadcast_without_room_is_refused,
];

fn each_receiver_gets_each_value(env: &Env) {
    env.run(async {
        let (sender, receiver) = broadcast::channel(4);
        let receivers = [receiver, sender.subscribe(), sender.subscribe()];
        assert_eq!(sender.receiver_count(), 3);
        let tasks = receivers.map(|mut receiver| {
            spawn(async move {
                let mut all = Vec::new();
                while let Ok(value) = receiver.recv().await {
                    all.push(value);
                }
                all
            })
        });
        for value in ["a", "b", "c", "d", "e"] {
            assert_eq!(sender.send(value), Ok(3));
            yield_now().await;
        }
        drop(sender);
        for task in tasks {
            assert_eq!(task.await.unwrap(), ["a", "b", "c", "d", "e"]);
        }
    });
}

fn receivers_wake_in_the_order_of_their_waits(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let (sender, first) = broadcast::channel(4);
        let receivers = [("a", first), ("b", sender.subscribe()), ("c", sender.subscribe())];
        let tasks = receivers.map(|(name, mut receiver)| {
            let trace = trace.clone();
            spawn(async move {
                while let Ok(value) = receiver.recv().await {
                    trace.log(format_args!("{name}{value}"));
                }
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
    assert_eq!(trace.text(), "sent a1 a2 b1 b2 c1 c2 a3 b3 c3");
}

fn a_slow_receiver_is_told_what_it_lost(env: &Env) {
    env.run(async {
        let (sender, mut slow) = broadcast::channel(3);
        let mut fast = sender.subscribe();
        for value in 0..10 {
            sender.send(value).unwrap();
            assert_eq!(fast.recv().await, Ok(value));
        }
        assert_eq!(slow.len(), 3);
        assert_eq!(slow.recv().await, Err(RecvError::Lagged(7)));
        assert_eq!((slow.recv().await, slow.recv().await), (Ok(7), Ok(8)));
        (10..13).for_each(|value| assert_eq!(sender.send(value), Ok(2)));
        assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(1)));
        assert_eq!(slow.try_recv(), Ok(10));
        drop(sender);
        assert_eq!([slow.recv().await, slow.recv().await], [Ok(11), Ok(12)]);
        assert_eq!(slow.recv().await, Err(RecvError::Closed));
    });
}

fn a_receiver_gets_what_is_sent_from_then_on(env: &Env) {
    env.run(async {
        let (sender, mut early) = broadcast::channel(3);
        sender.send(1).unwrap();
        let mut late = sender.subscribe();
        assert_eq!((early.len(), late.is_empty()), (1, true));
        sender.send(2).unwrap();
        assert_eq!((late.recv().await, late.try_recv()), (Ok(2), Err(TryRecvError::Empty)));
        assert_eq!((early.recv().await, early.recv().await), (Ok(1), Ok(2)));
    });
}

fn the_last_sender_ends_the_broadcast(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = broadcast::channel(3);
        let other = sender.clone();
        drop(sender);
        let task = spawn(async move { [receiver.recv().await, receiver.recv().await] });
        yield_now().await;
        other.send(1).unwrap();
        yield_now().await;
        drop(other);
        assert_eq!(task.await.unwrap(), [Ok(1), Err(RecvError::Closed)]);
    });
}

fn nobody_to_send_to(env: &Env) {
    env.run(async {
        let (sender, receiver) = broadcast::channel(3);
        drop(receiver);
        assert_eq!(sender.send(1), Err(SendError(1)));
        let mut again = sender.subscribe();
        assert_eq!(sender.send(2), Ok(1));
        assert_eq!(again.recv().await, Ok(2));
    });
}

fn values_go_when_the_last_receiver_has_read_them(env: &Env) {
    env.run(async {
        let value = Rc::new(());
        let alive = || Rc::strong_count(&value) - 1;
        let (sender, mut first) = broadcast::channel(3);
        let mut second = sender.subscribe();
        (0..5).for_each(|_| drop(sender.send(Rc::clone(&value))));
        assert_eq!(alive(), 3);
        drop(first.try_recv());
        (0..2).for_each(|_| drop(first.try_recv().unwrap()));
        assert_eq!(alive(), 3);
        drop(second.try_recv());
        drop(second.try_recv().unwrap());
        assert_eq!(alive(), 2);
        let _third = sender.subscribe();
        drop(second);
        assert_eq!(alive(), 1);
        drop(first);
        assert_eq!(alive(), 0);
    });
}

fn the_last_receiver_gets_the_value_itself(env: &Env) {
    struct Counted(Count);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.add();
            Self(self.0.clone())
        }
    }
    env.run(async {
        let clones = Count::default();
        let (sender, mut first) = broadcast::channel(3);
        let mut second = sender.subscribe();
        for sent in 1..=10 {
            sender.send(Counted(clones.clone())).ok().unwrap();
            assert!(first.recv().await.is_ok() && second.recv().await.is_ok());
            assert_eq!(clones.get(), sent);
        }
    });
}

fn recvs_of_a_broadcast_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = broadcast::channel(3);
        drop(receiver.recv());
        for value in 0..100 {
            assert!(timeout(Duration::from_micros(1), receiver.recv()).await.is_err());
            let mut recv = Box::pin(receiver.recv());
            assert!(poll!(&mut recv).is_pending());
            sender.send(value).unwrap();
            // Woken.
            drop(recv);
            assert_eq!(receiver.recv().await, Ok(value));
        }
    });
}

fn broadcasts_do_what_a_model_does(env: &Env) {
    env.run(async {
        let mut dice = Dice::new();
        for _ in 0..200 {
            let capacity = dice.roll(4);
            let (sender, receiver) = broadcast::channel(capacity);
            // Each with what it should get, and how many it lost.
            let mut receivers = vec![(receiver, VecDeque::new(), 0)];
            for value in 0..100 {
                match dice.roll(8) {
                    1..=3 => {
                        assert_eq!(sender.send(value).is_ok(), !receivers.is_empty());
                        for (_, expected, lost) in &mut receivers {
                            expected.push_back(value);
                            if expected.len() > capacity {
                                expected.pop_front();
                                *lost += 1;
                            }
                        }
                    }
                    4 if receivers.len() < 4 => receivers.push((sender.subscribe(), VecDeque::new(), 0)),
                    5 if !receivers.is_empty() && dice.roll(4) == 1 => {
                        drop(receivers.swap_remove(dice.roll(receivers.len()) - 1));
                    }
                    _ if !receivers.is_empty() => {
                        let at = dice.roll(receivers.len()) - 1;
                        let (receiver, expected, lost) = &mut receivers[at];
                        assert_eq!(receiver.len(), expected.len());
                        let expected = match std::mem::take(lost) {
                            0 => expected.pop_front().ok_or(TryRecvError::Empty),
                            lost => Err(TryRecvError::Lagged(lost)),
                        };
                        assert_eq!(receiver.try_recv(), expected);
                    }
                    _ => {}
                }
            }
        }
    });
}

fn rude_wakers_of_broadcasts(env: &Env) {
    env.run(async {
        let rude =
            RudeWaker::new(Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() });
        let (sender, mut first) = broadcast::channel(3);
        let mut second = sender.subscribe();
        {
            let mut recvs = [&mut first, &mut second]
                .map(|receiver| Box::pin(receiver.recv()) as Pin<Box<dyn Future<Output = _>>>);
            recvs.iter_mut().for_each(|recv| assert!(rude.poll(recv).unwrap().is_pending()));
            recvs.iter_mut().for_each(|recv| assert!(rude.poll(recv).unwrap().is_pending()));
            sender.send(1).unwrap();
            recvs.iter_mut().for_each(|recv| assert_eq!(rude.poll(recv).unwrap(), Poll::Ready(Ok(1))));
        }
        assert_eq!((rude.wakes(), rude.alive()), (2, 0));
    });
}

fn values_that_use_the_broadcast_as_they_drop(env: &Env) {
    env.run(async {
        // Old values go because of new ones, because all have read them, and because nobody will.
        let (sender, receiver) = broadcast::channel(2);
        let receiver = Rc::new(RefCell::new(receiver));
        let drops = Count::default();
        let value = || {
            let (sender, receiver, drops) = (sender.clone(), Rc::downgrade(&receiver), drops.clone());
            let used: Box<dyn FnMut()> = Box::new(move || {
                drops.add();
                drop(sender.subscribe());
                if let Some(receiver) = receiver.upgrade() {
                    assert!(receiver.borrow().len() <= 2);
                }
            });
            Rc::new(OnDrop(used))
        };
        (0..5).for_each(|_| drop(sender.send(value())));
        assert_eq!(drops.get(), 3);
        drop(receiver.borrow_mut().try_recv());
        let read = receiver.borrow_mut().try_recv();
        drop(read.ok().unwrap());
        assert_eq!(drops.get(), 4);
        drop(receiver);
        assert_eq!(drops.get(), 5);
    });
}

/// Sends, or reads, while it is cloned.
struct Again(u32, OnClone);

type OnClone = Rc<Cell<Option<Box<dyn FnOnce()>>>>;

impl Clone for Again {
    fn clone(&self) -> Self {
        if let Some(f) = self.1.take() {
            f();
        }
        Self(self.0, Rc::clone(&self.1))
    }
}

fn read(receiver: &mut broadcast::Receiver<Again>) -> Result<u32, TryRecvError> {
    receiver.try_recv().map(|again| again.0)
}

fn values_that_use_the_broadcast_as_they_are_cloned(env: &Env) {
    env.run(async {
        let on_clone = OnClone::default();
        let again = |value| Again(value, Rc::clone(&on_clone));
        let (sender, mut first) = broadcast::channel(1);
        let second = Rc::new(RefCell::new(sender.subscribe()));
        let _third = sender.subscribe();
        // Another one reads it too.
        sender.send(again(1)).ok().unwrap();
        let other = Rc::clone(&second);
        on_clone.set(Some(Box::new(move || assert_eq!(read(&mut other.borrow_mut()), Ok(1)))));
        assert_eq!(read(&mut first), Ok(1));
        assert!(second.borrow().is_empty());
        // It has to make room for the next one.
        sender.send(again(2)).ok().unwrap();
        let (sending, next) = (sender.clone(), again(3));
        on_clone.set(Some(Box::new(move || assert_eq!(sending.send(next).ok(), Some(3)))));
        assert_eq!([read(&mut first), read(&mut first)], [Ok(2), Ok(3)]);
        let mut second = second.borrow_mut();
        assert_eq!([read(&mut second), read(&mut second)], [Err(TryRecvError::Lagged(1)), Ok(3)]);
    });
}

fn a_clone_that_panics_is_one_value_lost(env: &Env) {
    env.run(async {
        let on_clone = OnClone::default();
        let (sender, mut first) = broadcast::channel(2);
        let mut second = sender.subscribe();
        (1..=2).for_each(|value| assert!(sender.send(Again(value, Rc::clone(&on_clone))).is_ok()));
        on_clone.set(Some(Box::new(|| panic_quietly("no clone"))));
        assert!(try_quietly(|| read(&mut first)).is_err());
        assert_eq!([read(&mut first), read(&mut first)], [Ok(2), Err(TryRecvError::Empty)]);
        assert_eq!([read(&mut second), read(&mut second)], [Ok(1), Ok(2)]);
    });
}

fn a_broadcast_without_room_is_refused(_: &Env) {
    let text = panic_of(|| broadcast::channel::<u32>(0));
    assert_eq!(text, "a broadcast channel needs room for one value at least");
}
