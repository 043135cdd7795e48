//! Panics of users' code: in polls, in drops of futures, outputs and payloads. Each ends its own task and
//! nothing else.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use carhop::{JoinError, JoinHandle, spawn, yield_now};

use super::support::{Count, OnDrop, panic_of, panic_quietly, text_of};
use super::{Env, trials};

trials![
    a_panic_reaches_its_handle_and_nobody_else,
    a_panic_says_what_it_said,
    a_panic_of_the_root_leaves_the_runtime_usable,
    a_panic_in_the_drop_of_an_aborted_future,
    a_panic_in_the_drop_of_a_finished_future,
    a_panic_in_the_drop_of_a_panicking_future,
    a_panic_in_the_drop_of_a_detached_future,
    a_panic_in_the_drop_of_an_output,
    a_panic_in_the_drop_of_a_payload,
    payloads_that_bring_forth_payloads,
    panics_do_not_disturb_an_echo,
];

/// Counts its drop, then panics.
fn bomb(drops: &Count) -> OnDrop<impl FnMut() + use<>> {
    let drops = drops.clone();
    OnDrop(move || {
        drops.add();
        panic_quietly("boom in a drop")
    })
}

/// Runs `trial` beside a task that must not notice.
fn beside_a_bystander<F: Future>(env: &Env, trial: impl FnOnce() -> F) {
    env.run(async {
        let polls = Count::default();
        let polled = polls.clone();
        let bystander = spawn(async move {
            loop {
                polled.add();
                yield_now().await;
            }
        });
        trial().await;
        let before = polls.get();
        yield_now().await;
        yield_now().await;
        assert!(polls.get() > before, "the other task goes on");
        bystander.abort();
        assert!(JoinError::is_cancelled(&bystander.await.unwrap_err() as &JoinError));
    });
}

fn text(error: JoinError) -> String {
    assert!(error.is_panic() && !error.is_cancelled());
    text_of(&*error.into_panic().unwrap())
}

fn a_panic_reaches_its_handle_and_nobody_else(env: &Env) {
    beside_a_bystander(env, || async {
        let drops = Count::default();
        let dropped = drops.clone();
        let task: JoinHandle<()> = spawn(async move {
            let _guard = OnDrop(move || dropped.add());
            yield_now().await;
            panic_quietly("boom")
        });
        assert_eq!(text(task.await.unwrap_err()), "boom");
        assert_eq!(drops.get(), 1);
        // And if nobody asks.
        drop(spawn(async { panic_quietly("boom") }));
        yield_now().await;
    });
}

fn a_panic_says_what_it_said(env: &Env) {
    env.run(async {
        let error = spawn(async { panic_quietly("boom") }).await.unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: boom");
        assert_eq!(format!("{error:?}"), "JoinError(the task panicked: boom)");
        let owned = async { std::panic::resume_unwind(Box::new(format!("boom {}", 7))) };
        assert_eq!(spawn(owned).await.unwrap_err().to_string(), "the task panicked: boom 7");
        let number = async { std::panic::resume_unwind(Box::new(7)) };
        assert_eq!(spawn(number).await.unwrap_err().to_string(), "the task panicked: (no text)");
    });
}

fn a_panic_of_the_root_leaves_the_runtime_usable(env: &Env) {
    let runtime = env.runtime();
    let polls = Count::default();
    let polled = polls.clone();
    let task = runtime.spawn(async move {
        for _ in 0..3 {
            polled.add();
            yield_now().await;
        }
        "done"
    });
    let text = panic_of(|| {
        runtime.block_on(async {
            yield_now().await;
            panic_quietly("boom in the root")
        })
    });
    assert_eq!((text.as_str(), polls.get()), ("boom in the root", 2));
    assert_eq!(runtime.block_on(task).unwrap(), "done");
}

fn a_panic_in_the_drop_of_an_aborted_future(env: &Env) {
    beside_a_bystander(env, || async {
        let drops = Count::default();
        for yields in [0, 1] {
            let guard = bomb(&drops);
            let task = spawn(async move {
                let _guard = guard;
                pending::<()>().await
            });
            for _ in 0..yields {
                yield_now().await;
            }
            task.abort();
            assert_eq!(text(task.await.unwrap_err()), "boom in a drop");
            assert_eq!(drops.get(), yields + 1);
        }
    });
}

fn a_panic_in_the_drop_of_a_finished_future(env: &Env) {
    beside_a_bystander(env, || async {
        let (futures, outputs) = (Count::default(), Count::default());
        let (guard, output) = (bomb(&futures), outputs.clone());
        // Dropped after its output was made: the output goes too, for the task has panicked.
        let task = spawn(poll_fn(move |_| {
            let _ = &guard;
            let output = output.clone();
            Poll::Ready(OnDrop(move || output.add()))
        }));
        let error = task.await.err().expect("the panic counts");
        assert_eq!(text(error), "boom in a drop");
        assert_eq!((futures.get(), outputs.get()), (1, 1));
    });
}

fn a_panic_in_the_drop_of_a_panicking_future(env: &Env) {
    beside_a_bystander(env, || async {
        let drops = Count::default();
        let guard = bomb(&drops);
        let task: JoinHandle<()> = spawn(poll_fn(move |_| {
            let _ = &guard;
            panic_quietly("boom in a poll")
        }));
        assert!(text(task.await.unwrap_err()).starts_with("boom in a "));
        assert_eq!(drops.get(), 1);
    });
}

fn a_panic_in_the_drop_of_a_detached_future(env: &Env) {
    beside_a_bystander(env, || async {
        let drops = Count::default();
        let guard = bomb(&drops);
        drop(spawn(poll_fn(move |_| {
            let _ = &guard;
            Poll::Ready(())
        })));
        yield_now().await;
        assert_eq!(drops.get(), 1);
    });
}

fn a_panic_in_the_drop_of_an_output(env: &Env) {
    beside_a_bystander(env, || async {
        let drops = Count::default();
        // Detached before the end.
        let output = bomb(&drops);
        drop(spawn(async move { output }));
        yield_now().await;
        assert_eq!(drops.get(), 1);
        // Detached after it.
        let output = bomb(&drops);
        let task = spawn(async move { output });
        yield_now().await;
        assert_eq!(drops.get(), 1);
        drop(task);
        assert_eq!(drops.get(), 2);
        // Taken: then it is the taker's.
        let output = bomb(&drops);
        let output = spawn(async move { output }).await;
        assert_eq!(drops.get(), 2);
        assert_eq!(panic_of(|| drop(output)), "boom in a drop");
        assert_eq!(drops.get(), 3);
    });
}

fn a_panic_in_the_drop_of_a_payload(env: &Env) {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic_quietly("boom in a payload")
        }
    }
    fn explode() -> ! {
        std::panic::resume_unwind(Box::new(Payload))
    }
    beside_a_bystander(env, || async {
        drop(spawn(async { explode() }));
        yield_now().await;
        let task = spawn(async { explode() });
        yield_now().await;
        drop(task);
        // From a drop, where nobody can be told.
        let task = spawn(async {
            let _guard = OnDrop(|| explode());
            pending::<()>().await
        });
        yield_now().await;
        task.abort();
        drop(task);
        yield_now().await;
    });
}

fn payloads_that_bring_forth_payloads(env: &Env) {
    /// Panics with its like when it is dropped, up to a hundred times.
    struct Payload(Arc<AtomicUsize>);
    impl Drop for Payload {
        fn drop(&mut self) {
            if self.0.fetch_add(1, Ordering::Relaxed) < 100 {
                explode(&self.0)
            }
        }
    }
    fn explode(drops: &Arc<AtomicUsize>) -> ! {
        std::panic::resume_unwind(Box::new(Payload(Arc::clone(drops))))
    }
    beside_a_bystander(env, || async {
        let drops = Arc::new(AtomicUsize::new(0));
        let (in_poll, in_drop) = (Arc::clone(&drops), Arc::clone(&drops));
        let guard = OnDrop(move || explode(&in_drop));
        let task = spawn(poll_fn(move |_| -> Poll<()> {
            let _of_this_future = &guard;
            explode(&in_poll)
        }));
        let error = task.await.unwrap_err();
        // That of the poll is the error. That of the drop is dropped, and what comes of that is forgotten.
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        std::mem::forget(error);
    });
}

fn panics_do_not_disturb_an_echo(env: &Env) {
    env.run(async {
        let (mut client, mut server) = super::support::pair().await;
        let echo = spawn(async move {
            let mut buf = [0; 16];
            loop {
                match server.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => server.write_all(&buf[..n]).await.unwrap(),
                }
            }
        });
        for round in 0..100u8 {
            drop(spawn(async { panic_quietly("boom") }));
            client.write_all(&[round]).await.unwrap();
            let mut byte = [0];
            client.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, [round]);
        }
        drop(client);
        echo.await.unwrap();
    });
}
