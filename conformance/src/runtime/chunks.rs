//! Bytes in chunks: all of them, once, in order, and with the pool left to those who need it.

use std::io::ErrorKind;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use carhop::net::{Chunk, TcpStream};
use carhop::time::sleep;
use carhop::{spawn, yield_now};
use futures::future::{join, join_all};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, poll};
use runtime_core::{socket, under_way};
use socket2::SockRef;

use crate::pattern::{Dice, Pattern};

use super::support::{connection, listener, pair, read_to_end, reset};
use super::{Env, trials};

trials![
    bytes_and_chunks,
    an_echo,
    nothing_and_the_end,
    the_rest_of_what_was_read,
    chunks_that_are_kept,
    who_waits_for_room_holds_no_buffer: UnixSockets,
    alone_and_in_company,
    a_write_in_company_that_is_dropped,
    a_write_that_counts_is_made_at_once,
    a_write_behind_one_that_is_dropped,
    a_write_in_company_that_is_forgotten,
    a_write_in_company_that_finds_no_room_and_no_stream: UnixSockets,
    a_write_in_company_of_a_loop_that_does_not_run,
    a_write_to_nobody: Linger,
    a_chunk_outlives_its_runtime,
];

/// More than the pool has.
const MANY: usize = 300;

/// Written and read in both ways.
fn bytes_and_chunks(env: &Env) {
    const TOTAL: usize = 2_000_000;
    env.run(async {
        let (mut near, mut far) = pair().await;
        let write = async {
            let (mut pattern, mut dice, mut left) = (Pattern::default(), Dice::new(), TOTAL);
            while left > 0 {
                let most = if dice.roll(10) == 1 { 300_000 } else { 3_000 };
                let len = dice.roll(most).min(left);
                let bytes = pattern.take(len);
                match dice.roll(2) {
                    1 => near.write_all(&bytes).await.unwrap(),
                    _ => near.write_chunk(bytes.into()).await.unwrap(),
                }
                left -= len;
            }
            drop(near);
        };
        let read = async {
            let (mut pattern, mut dice, mut count) = (Pattern::default(), Dice::new(), 0);
            let mut buf = [0; 5_000];
            while count < TOTAL {
                if dice.roll(2) == 1 {
                    let len = far.read(&mut buf).await.unwrap();
                    pattern.expect(&buf[..len]);
                    count += len;
                } else {
                    let chunk = far.read_chunk().await.unwrap().expect("it is not the end");
                    pattern.expect(&chunk);
                    count += chunk.len();
                }
                if dice.roll(3) == 1 {
                    // Meanwhile what arrives may leave the pool.
                    yield_now().await;
                }
            }
            assert!(far.read_chunk().await.unwrap().is_none());
        };
        join(write, read).await;
    });
}

fn an_echo(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let clients = (0..20).map(async |number| {
            let (mut client, mut server) = connection(&listener).await;
            let server = spawn(async move {
                while let Some(chunk) = server.read_chunk().await.unwrap() {
                    server.write_chunk(chunk).await.unwrap();
                }
            });
            let (mut pattern, mut dice) = (Pattern::new(number), Dice::new());
            for _ in 0..20 {
                let bytes = pattern.take(dice.roll(60_000));
                let mut answer = vec![0; bytes.len()];
                let (mut read, mut write) = client.split();
                join(async { write.write_all(&bytes).await.unwrap() }, async {
                    read.read_exact(&mut answer).await.unwrap();
                })
                .await;
                assert!(answer == bytes);
            }
            drop(client);
            server.await.unwrap();
        });
        join_all(clients).await;
    });
}

fn nothing_and_the_end(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        near.write_chunk(Chunk::default()).await.unwrap();
        spawn(async {});
        near.write_chunk(Vec::new().into()).await.unwrap();
        assert!(poll!(pin!(far.read_chunk())).is_pending());
        near.write_chunk(b"last".to_vec().into()).await.unwrap();
        drop(near);
        assert_eq!(far.read_chunk().await.unwrap().as_deref(), Some(&b"last"[..]));
        for _ in 0..2 {
            assert!(far.read_chunk().await.unwrap().is_none());
        }
    });
}

/// A read into a buffer leaves something behind, which is a chunk's rest, or has left the pool.
fn the_rest_of_what_was_read(env: &Env) {
    env.run(async {
        for turns in 0..3 {
            let (mut near, mut far) = pair().await;
            near.write_all(b"the rest").await.unwrap();
            far.read_exact(&mut [0; 4]).await.unwrap();
            for _ in 0..turns {
                yield_now().await;
            }
            let chunk = far.read_chunk().await.unwrap().unwrap();
            assert_eq!((&chunk[..], chunk.as_ref()), (&b"rest"[..], &b"rest"[..]));
            assert_eq!(format!("{chunk:?}"), "Chunk(4 bytes)");
        }
    });
}

/// By whoever likes to: others receive all the same.
fn chunks_that_are_kept(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let (mut pattern, mut kept) = (Pattern::default(), Vec::new());
        for _ in 0..MANY {
            near.write_all(&pattern.take(10)).await.unwrap();
            kept.push(far.read_chunk().await.unwrap().unwrap());
        }
        let mut expected = Pattern::default();
        kept.iter().for_each(|chunk| expected.expect(chunk));
    });
}

/// Otherwise as many slow peers as the pool has buffers would make all others slow.
fn who_waits_for_room_holds_no_buffer(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        assert!(is_lent(&receive(&mut near, &mut far).await));
        let (mut alone, mut in_company) = (Vec::new(), Vec::new());
        for index in 0..MANY {
            let (mut slow, peer) = full();
            let chunk = receive(&mut near, &mut far).await;
            let write = async move {
                slow.write_chunk(chunk).await.unwrap();
                drop(peer);
            };
            if index % 2 == 0 {
                let mut write = Box::pin(write);
                assert!(poll!(&mut write).is_pending());
                alone.push(write);
            } else {
                // It is attempted with what the next `receive` writes.
                in_company.push(spawn(write));
            }
        }
        receive(&mut near, &mut far).await;
        assert!(in_company.iter().all(|write| !write.is_finished()));
        assert!(is_lent(&receive(&mut near, &mut far).await));
    });
}

/// A stream that has no room and does not know, with its peer. Where there is none, TCP makes some for a while yet;
/// this does not.
fn full() -> (TcpStream, UnixStream) {
    let (full, peer) = UnixStream::pair().unwrap();
    while SockRef::from(&full).send_with_flags(&[0; 1 << 12], libc::MSG_DONTWAIT).is_ok() {}
    (TcpStream::from_std(OwnedFd::from(full).into()).unwrap(), peer)
}

/// A buffer of the pool begins a page; a few bytes of memory do not.
fn is_lent(chunk: &Chunk) -> bool {
    chunk.as_ptr().addr().is_multiple_of(4096)
}

async fn receive(near: &mut TcpStream, far: &mut TcpStream) -> Chunk {
    near.write_all(b"a few").await.unwrap();
    far.read_chunk().await.unwrap().unwrap()
}

fn alone_and_in_company(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        assert!(poll!(pin!(near.write_chunk(b"alone".to_vec().into()))).is_ready());
        spawn(async {});
        {
            let mut write = pin!(near.write_chunk(vec![7; 100_000].into()));
            assert!(poll!(&mut write).is_pending());
            let mut arrived = vec![0; 100_005];
            join(async { write.await.unwrap() }, async { far.read_exact(&mut arrived).await.unwrap() }).await;
            assert_eq!((&arrived[..5], &arrived[5..]), (&b"alone"[..], &[7; 100_000][..]));
        }
    });
}

/// It goes out all the same, once, and before what comes after it.
fn a_write_in_company_that_is_dropped(env: &Env) {
    env.run(async {
        for with_chunk in [false, true] {
            let (mut near, mut far) = pair().await;
            spawn(async {});
            for _ in 0..3 {
                if with_chunk {
                    assert!(poll!(Box::pin(near.write_chunk(b"staged, ".to_vec().into()))).is_pending());
                } else {
                    assert!(poll!(Box::pin(near.write_all(b"staged, "))).is_pending());
                }
                // While the first is staged, these only wait.
                assert!(poll!(Box::pin(near.write(b"not staged"))).is_pending());
            }
            near.write_all(b"next").await.unwrap();
            drop(near);
            assert_eq!(read_to_end(&mut far).await, b"staged, next");
        }
    });
}

/// It returns a count, which would be lost if it were staged and its future dropped.
fn a_write_that_counts_is_made_at_once(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        spawn(async {});
        let Poll::Ready(count) = poll!(Box::pin(near.write(b"counted"))) else { panic!("it was staged") };
        assert_eq!(count.unwrap(), 7);
        drop(near);
        assert_eq!(read_to_end(&mut far).await, b"counted");
    });
}

/// It was in the way of another's, which nothing else will wake.
fn a_write_behind_one_that_is_dropped(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let stream = socket::connect(listener.local_addr().unwrap().into()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        spawn(async {});
        let mut first = Box::pin(stream.write_all(b"first"));
        assert!(poll!(&mut first).is_pending());
        let mut others = FuturesUnordered::from_iter([stream.write_all(b"second")]);
        assert!(poll!(others.next()).is_pending());
        drop(first);
        others.next().await.unwrap().unwrap();
        drop(others);
        drop(stream);
        assert_eq!(read_to_end(&mut far).await, b"firstsecond");
    });
}

/// It is made all the same, for nobody has said that it should not.
fn a_write_in_company_that_is_forgotten(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        spawn(async {});
        let mut write = Box::pin(near.write_all(b"first, "));
        assert!(poll!(&mut write).is_pending());
        mem::forget(write);
        near.write_all(b"second, ").await.unwrap();
        spawn(async {});
        let mut write = Box::pin(near.write_chunk(b"third".to_vec().into()));
        assert!(poll!(&mut write).is_pending());
        mem::forget(write);
        drop(near);
        assert_eq!(read_to_end(&mut far).await, b"first, second, third");
    });
}

/// Nothing may wait for room of a descriptor that is closed: its number may be another's by then.
fn a_write_in_company_that_finds_no_room_and_no_stream(env: &Env) {
    env.run(async {
        for with_chunk in [false, true] {
            let (mut stream, _peer) = full();
            spawn(async {});
            let mut write: Pin<Box<dyn Future<Output = _>>> = if with_chunk {
                Box::pin(stream.write_chunk(vec![1; 100].into()))
            } else {
                Box::pin(stream.write_all(&[1; 100]))
            };
            assert!(poll!(&mut write).is_pending());
            // Dropped, it would take back what is staged.
            mem::forget(write);
            drop(stream);
            sleep(Duration::ZERO).await;
            // With the same number, and no room either.
            let (_next, _peer) = full();
            for _ in 0..2 {
                let (mut near, mut far) = pair().await;
                receive(&mut near, &mut far).await;
            }
            assert!(!under_way().operations.contains(&"write"), "{:?}", under_way());
        }
    });
}

/// Whoever polls would wait for a turn that nobody makes.
fn a_write_in_company_of_a_loop_that_does_not_run(env: &Env) {
    let runtime = env.runtime();
    let (mut near, mut far) = runtime.block_on(async {
        let pair = pair().await;
        spawn(async {});
        pair
    });
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(near.write_all(b"at once")).poll(&mut context).is_ready());
    assert!(pin!(near.write_chunk(b", too".to_vec().into())).poll(&mut context).is_ready());
    drop(near);
    assert_eq!(runtime.block_on(read_to_end(&mut far)), b"at once, too");
}

fn a_write_to_nobody(env: &Env) {
    env.run(async {
        for in_company in [false, true] {
            let (mut near, far) = pair().await;
            reset(far);
            // It comes with the reset.
            near.read(&mut [0]).await.unwrap_err();
            if in_company {
                spawn(async {});
            }
            let error = near.write_chunk(b"lost".to_vec().into()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
    });
}

fn a_chunk_outlives_its_runtime(env: &Env) {
    let chunk = env.run(async {
        let (mut near, mut far) = pair().await;
        receive(&mut near, &mut far).await
    });
    assert!(is_lent(&chunk));
    // To another runtime it is as good as its own.
    env.run(async {
        let (mut near, mut far) = pair().await;
        spawn(async {});
        near.write_chunk(chunk).await.unwrap();
        drop(near);
        assert_eq!(read_to_end(&mut far).await, b"a few");
    });
}
