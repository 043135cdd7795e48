//! What `carhop::sync` recommends between loops on different threads.

use std::thread;

use async_channel::{Receiver, Sender, TrySendError};
use carhop::{Backend, Builder, Runtime, spawn};

use super::{Env, trials};

trials![
    two_loops_exchange_messages_in_order,
    an_end_that_goes_is_seen_by_the_other_loop,
    a_loop_that_ends_refuses_what_comes_late,
];

const MESSAGES: u32 = 5000;

/// Runs `there` in a runtime on a thread of its own, of each backend in turn that works here, and `here` beside it.
fn beside(
    env: &Env,
    capacity: usize,
    here: impl AsyncFn(Sender<u32>, Receiver<u32>),
    there: impl AsyncFn(Sender<u32>, Receiver<u32>) + Copy + Send + 'static,
) {
    for &backend in Backend::LINKED {
        // It may be forbidden here.
        if Builder::new().backend(backend).build().is_err() {
            continue;
        }
        let (sender, to_there) = async_channel::bounded(capacity);
        let (from_there, receiver) = async_channel::bounded(capacity);
        let thread = thread::spawn(move || {
            let runtime: Runtime = Builder::new().backend(backend).build().unwrap();
            runtime.block_on(there(from_there, to_there));
        });
        env.run(here(sender, receiver));
        thread.join().unwrap();
    }
}

fn two_loops_exchange_messages_in_order(env: &Env) {
    async fn exchange(sender: Sender<u32>, receiver: Receiver<u32>) {
        // The end of the one direction is the end of the task, and so of the sender.
        let sending = spawn(async move {
            for message in 0..MESSAGES {
                sender.send(message).await.unwrap();
            }
        });
        for message in 0..MESSAGES {
            assert_eq!(receiver.recv().await, Ok(message));
        }
        sending.await.unwrap();
        assert!(receiver.recv().await.is_err());
    }
    for capacity in [1, 16] {
        beside(env, capacity, exchange, exchange);
    }
    // One at a time: each message waits for the answer to the one before, so one wake that is lost is a hang.
    let ask = async |sender: Sender<u32>, receiver: Receiver<u32>| {
        for message in 0..MESSAGES {
            sender.send(message).await.unwrap();
            assert_eq!(receiver.recv().await, Ok(message));
        }
    };
    beside(env, 1, ask, async |sender, receiver| {
        while let Ok(message) = receiver.recv().await {
            sender.send(message).await.unwrap();
        }
    });
}

fn an_end_that_goes_is_seen_by_the_other_loop(env: &Env) {
    // The receiver goes while the sender waits for room.
    beside(
        env,
        1,
        async |sender, receiver| {
            let mut sent = 0;
            while sender.send(sent).await.is_ok() {
                sent += 1;
            }
            assert!((3..=4).contains(&sent), "{sent} messages were taken");
            assert!(receiver.recv().await.is_err());
        },
        async |_, receiver| {
            for message in 0..3 {
                assert_eq!(receiver.recv().await, Ok(message));
            }
        },
    );
    // The sender goes while the receiver waits, with messages on their way.
    beside(
        env,
        4,
        async |_, receiver| {
            assert_eq!([receiver.recv().await, receiver.recv().await], [Ok(1), Ok(2)]);
            assert!(receiver.recv().await.is_err());
        },
        async |sender, _| {
            sender.send(1).await.unwrap();
            sender.send(2).await.unwrap();
        },
    );
}

fn a_loop_that_ends_refuses_what_comes_late(env: &Env) {
    // Its task is dropped with the runtime, and the receiver with the task.
    beside(
        env,
        1,
        async |sender, receiver| {
            sender.send(0).await.unwrap();
            // Nothing comes any more: the other loop is gone.
            assert!(receiver.recv().await.is_err());
            while sender.send(1).await.is_ok() {}
            assert!(matches!(sender.try_send(2), Err(TrySendError::Closed(2))));
        },
        async |sender, receiver| {
            assert_eq!(receiver.recv().await, Ok(0));
            spawn(async move {
                let _sender = sender;
                loop {
                    if receiver.recv().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            });
            carhop::yield_now().await;
        },
    );
}
