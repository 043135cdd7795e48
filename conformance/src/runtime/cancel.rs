//! Waits that are given up. Nothing that arrives is lost by that, and nothing is left behind.

use std::task::Poll;
use std::time::Duration;

use carhop::net::TcpStream;
use carhop::time::{sleep, timeout};
use carhop::{spawn, yield_now};
use futures::poll;

use crate::machine;
use crate::pattern::{Dice, Pattern};

use super::support::{connection, fill, listener, pair, read_to_end};
use super::{Env, trials};

trials![
    timeouts_around_reads_lose_no_byte,
    timeouts_around_accepts_lose_no_connection,
    connects_given_up_leave_nothing_behind,
    timeouts_around_writes_neither_lose_nor_repeat,
    ten_thousand_reads_dropped_as_the_bytes_arrive,
    a_task_aborted_in_a_read_leaves_the_bytes,
    a_task_aborted_in_a_connect_closes_its_socket,
    a_connect_given_up_on_at_every_stage,
];

const TINY: Duration = Duration::from_micros(20);

fn timeouts_around_reads_lose_no_byte(env: &Env) {
    const PIECES: usize = 100;
    env.run(async {
        let mut given_up = 0;
        while given_up < 300 {
            let (mut near, mut far) = pair().await;
            let sender = spawn(async move {
                let (mut pattern, mut dice) = (Pattern::default(), Dice::new());
                for _ in 0..PIECES {
                    near.write_all(&pattern.take(dice.roll(5000))).await.unwrap();
                    sleep(Duration::from_micros(dice.roll(300) as u64)).await;
                }
                pattern
            });
            let (mut pattern, mut dice, mut buf) = (Pattern::default(), Dice::new(), vec![0; 3000]);
            loop {
                let len = dice.roll(buf.len());
                match timeout(TINY, far.read(&mut buf[..len])).await {
                    Err(_) => given_up += 1,
                    Ok(Ok(0)) => break,
                    Ok(count) => pattern.expect(&buf[..count.unwrap()]),
                }
            }
            // As far as the sender came.
            assert_eq!(pattern.take(32), sender.await.unwrap().take(32));
        }
    });
}

fn timeouts_around_accepts_lose_no_connection(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let clients = spawn(async move {
            let mut open = Vec::new();
            for id in 0..300u32 {
                let mut client = TcpStream::connect(addr).await.unwrap();
                client.write_all(&id.to_le_bytes()).await.unwrap();
                open.push(client);
                if id % 3 == 0 {
                    sleep(Duration::from_micros(100)).await;
                }
            }
            open
        });
        let (mut seen, mut given_up) = (vec![false; 300], 0);
        while seen.contains(&false) || given_up < 200 {
            match timeout(TINY, listener.accept()).await {
                Err(_) => given_up += 1,
                Ok(accepted) => {
                    let mut id = [0; 4];
                    accepted.unwrap().0.read_exact(&mut id).await.unwrap();
                    let seen = &mut seen[u32::from_le_bytes(id) as usize];
                    assert!(!*seen);
                    *seen = true;
                }
            }
        }
        clients.await.unwrap();
    });
}

fn connects_given_up_leave_nothing_behind(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let (mut connected, mut given_up) = (0, 0);
        let before = machine::sockets();
        for round in 0..600u64 {
            // Of no length, so that some are given up before they begin, some on their way, some just too late.
            let mut connect = Box::pin(TcpStream::connect(addr));
            let stream = match round % 3 {
                // On its way when it is given up; just too late for the one who waited.
                0 => poll!(&mut connect).map(Some),
                1 => {
                    assert!(poll!(&mut connect).is_pending());
                    sleep(Duration::from_micros(1)).await;
                    Poll::Pending
                }
                _ => Poll::Ready(timeout(Duration::from_secs(5), connect).await.ok()),
            };
            match stream {
                Poll::Pending => given_up += 1,
                Poll::Ready(stream) => {
                    connected += 1;
                    stream.expect("in time").unwrap().write_all(b"x").await.unwrap();
                }
            }
        }
        assert!(given_up >= 200, "{given_up} given up, {connected} connected");
        // The server sees each connection end, and a word on those that were wanted.
        let mut words = 0;
        while let Ok(accepted) = timeout(Duration::from_millis(20), listener.accept()).await {
            let (mut stream, _) = accepted.unwrap();
            match stream.read(&mut [0; 2]).await {
                Ok(count) => words += count,
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
            }
        }
        assert_eq!(words, connected);
        assert_eq!(machine::sockets(), before);
    });
}

fn timeouts_around_writes_neither_lose_nor_repeat(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let full = fill(&mut near).await;
        let reader = spawn(async move {
            far.read_exact(&mut vec![0; full]).await.unwrap();
            let (mut pattern, mut buf) = (Pattern::default(), vec![0; 20_000]);
            loop {
                match far.read(&mut buf).await.unwrap() {
                    0 => return pattern,
                    n => pattern.expect(&buf[..n]),
                }
                sleep(Duration::from_micros(50)).await;
            }
        });
        let (mut pattern, mut dice, mut given_up) = (Pattern::default(), Dice::new(), 0);
        while given_up < 300 {
            // Those that are made at once, and those that are made in the next turn, with others'.
            let bytes = pattern.take(dice.roll(8_000));
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                match timeout(TINY, near.write(rest)).await {
                    Err(_) => given_up += 1,
                    Ok(count) => rest = &rest[count.unwrap()..],
                }
            }
        }
        drop(near);
        assert_eq!(reader.await.unwrap().take(32), pattern.take(32));
    });
}

fn ten_thousand_reads_dropped_as_the_bytes_arrive(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let (mut sent, mut received) = (Pattern::default(), Pattern::default());
        let mut pending = 0;
        for _ in 0..10_000 {
            near.write_all(&sent.take(1)).await.unwrap();
            let mut byte = [0];
            match poll!(Box::pin(far.read(&mut byte))) {
                Poll::Ready(count) => received.expect(&byte[..count.unwrap()]),
                Poll::Pending => pending += 1,
            }
            if pending % 7 == 0 {
                yield_now().await;
            }
        }
        drop(near);
        received.expect(&read_to_end(&mut far).await);
        assert_eq!(received.take(32), sent.take(32));
        assert!(pending > 0);
    });
}

fn a_task_aborted_in_a_read_leaves_the_bytes(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        let near = std::rc::Rc::new(std::cell::RefCell::new(near));
        for round in 0..100u8 {
            let reading = std::rc::Rc::clone(&near);
            let reader = spawn(async move {
                let mut buf = [0; 9];
                std::future::poll_fn(|cx| reading.borrow_mut().poll_read(cx, &mut buf)).await
            });
            yield_now().await;
            reader.abort();
            far.write_all(&[round]).await.unwrap();
            reader.await.unwrap_err();
            let mut byte = [0];
            std::future::poll_fn(|cx| near.borrow_mut().poll_read(cx, &mut byte)).await.unwrap();
            assert_eq!(byte, [round]);
        }
    });
}

fn a_task_aborted_in_a_connect_closes_its_socket(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let before = machine::sockets();
        for yields in 0..4 {
            let task = spawn(TcpStream::connect(addr));
            for _ in 0..yields {
                yield_now().await;
            }
            task.abort();
            drop(task.await);
            sleep(Duration::from_millis(1)).await;
            assert_eq!(machine::sockets(), before);
        }
        // Whatever got through is at its end.
        while let Ok(accepted) = timeout(Duration::from_millis(5), listener.accept()).await {
            let end = accepted.unwrap().0.read(&mut [0]).await;
            assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        }
        drop(connection(&listener).await);
    });
}

fn a_connect_given_up_on_at_every_stage(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        // Never polled; polled, not performed; performed and connected, not taken.
        drop(TcpStream::connect(addr));
        assert!(poll!(Box::pin(TcpStream::connect(addr))).is_pending());
        let mut connect = Box::pin(TcpStream::connect(addr));
        assert!(poll!(&mut connect).is_pending());
        sleep(Duration::from_millis(1)).await;
        drop(connect);
        let accepted = timeout(Duration::from_secs(5), listener.accept()).await.expect("the third one");
        assert_eq!(accepted.unwrap().0.read(&mut [0]).await.unwrap(), 0);
    });
}
