//! Who is busy does not keep others waiting, and who is slow does not either.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use carhop::time::{Instant, sleep, sleep_until};
use carhop::{JoinHandle, spawn, yield_now};
use futures::FutureExt;
use futures::future::join;

use crate::pattern::Pattern;

use super::streams::{receive, send};
use super::support::{Count, connection, fill, listener, pair, read_to_end};
use super::{Env, trials};

trials![
    a_busy_task_delays_a_timer_by_one_step_at_most,
    a_slow_busy_task_delays_a_timer_by_few_polls,
    a_busy_task_delays_an_echo_by_few_steps,
    a_full_connection_makes_its_writer_wait,
    eight_mebibytes_to_a_slow_reader,
    a_writer_who_never_waits_gives_way,
    two_writers_to_two_readers,
    a_pool_of_one_byte,
    a_pool_smaller_than_its_readers,
    a_busy_task_leaves_the_pool_to_readers,
];

/// Wakes itself for ever, and calls `each_time` whenever it is polled.
fn busy(mut each_time: impl FnMut() + 'static) -> JoinHandle<()> {
    spawn(poll_fn(move |cx| {
        each_time();
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

fn a_busy_task_delays_a_timer_by_one_step_at_most(env: &Env) {
    for polls_per_step in [256, 8, 1] {
        let runtime = env.builder().polls_per_step(polls_per_step).build().unwrap();
        runtime.block_on(async {
            let deadline = Rc::new(Cell::new(Instant::now() + Duration::MAX));
            let late = Count::default();
            let _busy = busy({
                let (deadline, late) = (Rc::clone(&deadline), late.clone());
                move || {
                    if Instant::now() >= deadline.get() {
                        late.add();
                    }
                }
            });
            for _ in 0..20 {
                let before = late.get();
                deadline.set(Instant::now() + Duration::from_millis(1));
                sleep_until(deadline.get()).await;
                deadline.set(Instant::now() + Duration::MAX);
                // What was left of the step in which it came due, and one before the sleeper's own.
                let polls = late.get() - before;
                assert!(polls <= polls_per_step as usize + 1, "{polls} polls, {polls_per_step} a step");
            }
        });
    }
}

fn a_slow_busy_task_delays_a_timer_by_few_polls(env: &Env) {
    env.run(async {
        let deadline = Rc::new(Cell::new(Instant::now() + Duration::MAX));
        let late = Count::default();
        let _busy = busy({
            let (deadline, late) = (Rc::clone(&deadline), late.clone());
            move || {
                let until = Instant::now() + Duration::from_millis(1);
                while Instant::now() < until {}
                if Instant::now() >= deadline.get() {
                    late.add();
                }
            }
        });
        for _ in 0..5 {
            let before = late.get();
            deadline.set(Instant::now() + Duration::from_millis(1));
            sleep_until(deadline.get()).await;
            deadline.set(Instant::now() + Duration::MAX);
            // A step is bounded in time, too; it looks at the clock now and then.
            let polls = late.get() - before;
            assert!(polls <= 4, "{polls} polls of a millisecond each");
        }
    });
}

fn a_busy_task_delays_an_echo_by_few_steps(env: &Env) {
    let runtime = env.builder().polls_per_step(32).build().unwrap();
    runtime.block_on(async {
        let (mut client, mut server) = pair().await;
        let _echo = spawn(async move {
            let mut byte = [0];
            while server.read(&mut byte).await.unwrap() > 0 {
                server.write_all(&byte).await.unwrap();
            }
        });
        let polls = Count::default();
        let _busy = busy({
            let polls = polls.clone();
            move || polls.add()
        });
        let mut fewest = usize::MAX;
        for _ in 0..50 {
            let before = polls.get();
            client.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
            fewest = fewest.min(polls.get() - before);
        }
        // A step until the server reads, and one until the client does. On a busy machine the kernel may be
        // late with a packet, but not each time.
        assert!(fewest <= 4 * 32, "{fewest} polls");
    });
}

fn a_full_connection_makes_its_writer_wait(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let written = fill(&mut near).await;
        assert!(written > 0);
        let polls = Count::default();
        let polled = polls.clone();
        let writer = spawn(async move {
            poll_fn(|cx| {
                polled.add();
                near.poll_write(cx, b"x")
            })
            .await
        });
        // It waits, and is not asked again and again.
        for _ in 0..50 {
            yield_now().await;
        }
        assert!(!writer.is_finished());
        assert!(polls.get() <= 2, "{} polls", polls.get());
        far.read_exact(&mut vec![0; written]).await.unwrap();
        assert_eq!(writer.await.unwrap().unwrap(), 1);
        assert_eq!(read_to_end(&mut far).await, b"x");
    });
}

fn eight_mebibytes_to_a_slow_reader(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let mut pattern = Pattern::default();
        let bytes = pattern.take(8 << 20);
        let writer = spawn(async move { near.write_all(&bytes).await.unwrap() });
        let (mut pattern, mut received, mut buf) = (Pattern::default(), 0, vec![0; 100_000]);
        loop {
            match far.read(&mut buf).await.unwrap() {
                0 => break,
                n => {
                    pattern.expect(&buf[..n]);
                    received += n;
                }
            }
            // Long enough for the writer to run into a full buffer, over and over.
            if received % 16 == 0 {
                sleep(Duration::from_micros(500)).await;
            }
            yield_now().await;
        }
        assert_eq!(received, 8 << 20);
        writer.await.unwrap();
    });
}

fn a_writer_who_never_waits_gives_way(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let turns = Count::default();
        let counted = turns.clone();
        let other = spawn(async move {
            loop {
                counted.add();
                yield_now().await;
            }
        });
        // So little that the connection never fills.
        for _ in 0..6400 {
            near.write_all(b"x").await.unwrap();
        }
        other.abort();
        assert!(turns.get() >= 50, "the other task had {} turns", turns.get());
        far.read_exact(&mut [0; 6400]).await.unwrap();
        assert!(other.await.is_err_and(|error: carhop::JoinError| error.is_cancelled()));
    });
}

fn two_writers_to_two_readers(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let (first, second) = (connection(&listener).await, connection(&listener).await);
        let written = [Count::default(), Count::default()];
        let mut tasks = Vec::new();
        for ((mut near, mut far), count) in [first, second].into_iter().zip(&written) {
            let count = count.clone();
            tasks.push(spawn(async move {
                for _ in 0..200 {
                    near.write_all(&[0; 50_000]).await.unwrap();
                    count.add();
                }
            }));
            tasks.push(spawn(async move { assert_eq!(read_to_end(&mut far).await.len(), 200 * 50_000) }));
        }
        tasks.remove(0).await.unwrap();
        // They share the loop: when one has finished, the other has come far.
        let behind = written[1].get();
        assert!(behind >= 20, "the other writer has done {behind} of 200");
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn a_pool_of_one_byte(env: &Env) {
    let runtime = env.builder().receive_buffers(1, 1).build().unwrap();
    runtime.block_on(async {
        let listener = listener().await;
        let (first, second) = (connection(&listener).await, connection(&listener).await);
        first.0.set_nodelay(true).unwrap();
        join(
            join(send(first.0, 2000, 100), receive(first.1, 2000, 100)),
            join(send(second.0, 2000, 100), receive(second.1, 2000, 100)),
        )
        .await;
    });
}

fn a_pool_smaller_than_its_readers(env: &Env) {
    let runtime = env.builder().receive_buffers(3, 4096).build().unwrap();
    runtime.block_on(async {
        let listener = listener().await;
        let mut tasks = Vec::new();
        for _ in 0..40 {
            let (near, far) = connection(&listener).await;
            tasks.push(spawn(send(near, 50_000, 9000)));
            tasks.push(spawn(receive(far, 50_000, 9000)));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn a_busy_task_leaves_the_pool_to_readers(env: &Env) {
    for chunks in [1, 3, 8] {
        let runtime = env.builder().receive_buffers(chunks, 64).build().unwrap();
        runtime.block_on(async {
            let listener = listener().await;
            let mut unread = Vec::new();
            for _ in 0..chunks {
                let (mut near, mut far) = connection(&listener).await;
                // It has asked once, and never comes back.
                assert!(far.read(&mut [0]).now_or_never().is_none());
                near.write_all(&[0; 64]).await.unwrap();
                unread.push((near, far));
            }
            let busy = busy(|| ());
            let (mut near, mut far) = connection(&listener).await;
            near.write_all(b"x").await.unwrap();
            far.read_exact(&mut [0]).await.unwrap();
            busy.abort();
        });
    }
}
