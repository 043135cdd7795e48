//! Loops that look for news for a while before they sleep. One that does so for an hour never sleeps in these trials: so
//! whatever it does not hear while it spins is a hang.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use carhop::task::spawn_blocking;
use carhop::time::{Instant, sleep, timeout};
use carhop::{Runtime, spawn};
use rustix::time::{ClockId, clock_gettime};

use super::remote::answered_letters;
use super::support::{listener, pair};
use super::{Env, trials};

trials![
    hears_the_clock,
    hears_other_threads,
    hears_the_kernel,
    hears_it_with_a_pool_full_of_what_nobody_reads: Strangers,
    ends_what_is_given_up,
    sleeps_in_the_end,
];

fn that_never_sleeps(env: &Env) -> Runtime {
    env.builder().spin_before_sleep(Duration::from_secs(3600)).build().unwrap()
}

fn hears_the_clock(env: &Env) {
    that_never_sleeps(env).block_on(async {
        for _ in 0..20 {
            let due = Instant::now() + Duration::from_millis(1);
            sleep(Duration::from_millis(1)).await;
            assert!(Instant::now() >= due);
        }
    });
}

fn hears_other_threads(env: &Env) {
    that_never_sleeps(env).block_on(async {
        answered_letters(100).await;
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
    });
}

fn hears_the_kernel(env: &Env) {
    that_never_sleeps(env).block_on(async {
        let (mut near, mut far) = pair().await;
        let echo = spawn(async move {
            let mut buf = [0; 64];
            loop {
                match far.read(&mut buf).await.unwrap() {
                    0 => return,
                    n => far.write_all(&buf[..n]).await.unwrap(),
                }
            }
        });
        for round in 0..100 {
            let mut buf = [0; 8];
            near.write_all(&[round; 8]).await.unwrap();
            near.read_exact(&mut buf).await.unwrap();
            assert_eq!(buf, [round; 8]);
        }
        drop(near);
        echo.await.unwrap();
    });
}

fn hears_it_with_a_pool_full_of_what_nobody_reads(env: &Env) {
    const CHUNKS: u16 = 4;
    let builder = env.builder().receive_buffers(CHUNKS, 64).spin_before_sleep(Duration::from_secs(3600));
    builder.build().unwrap().block_on(async {
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let clients = thread::spawn(move || {
            let mut clients: Vec<_> = (0..=2 * CHUNKS).map(|_| TcpStream::connect(addr).unwrap()).collect();
            let mut read = clients.pop().unwrap();
            for _ in 0..20 {
                clients.iter_mut().for_each(|client| client.write_all(&[1]).unwrap());
                read.write_all(&[1]).unwrap();
                read.read_exact(&mut [0]).unwrap();
            }
            clients
        });
        let mut streams = Vec::new();
        for _ in 0..=2 * CHUNKS {
            streams.push(listener.accept().await.unwrap().0);
        }
        let mut read = streams.pop().unwrap();
        // From here on there is a receive on each.
        for stream in &mut streams {
            stream.read_exact(&mut [0]).await.unwrap();
        }
        for _ in 0..20 {
            read.read_exact(&mut [0]).await.unwrap();
            read.write_all(&[1]).await.unwrap();
        }
        clients.join().unwrap();
    });
}

fn ends_what_is_given_up(env: &Env) {
    that_never_sleeps(env).block_on(async {
        let (mut near, far) = pair().await;
        assert!(timeout(Duration::from_millis(1), near.read(&mut [0])).await.is_err());
        drop(far);
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    });
}

/// Processor time is what spinning costs, and other programs do not add to it.
fn sleeps_in_the_end(env: &Env) {
    const SLEEP: Duration = Duration::from_millis(400);
    let cpu_time = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let spent = |spin| {
        env.builder().spin_before_sleep(spin).build().unwrap().block_on(async {
            let before = cpu_time();
            sleep(SLEEP).await;
            cpu_time() - before
        })
    };
    assert!(spent(Duration::from_millis(20)) < SLEEP / 2);
    assert!(spent(Duration::ZERO) < SLEEP / 4);
}
