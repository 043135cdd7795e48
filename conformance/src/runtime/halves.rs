//! The two directions of a stream, apart.

use std::io::ErrorKind;

use carhop::{spawn, yield_now};
use futures::future::join;
use futures::poll;

use crate::pattern::Pattern;

use super::support::{fill, pair, read_to_end};
use super::{Env, trials};

trials![
    both_directions_within_one_task,
    both_directions_in_two_tasks,
    a_dropped_write_half_ends_its_direction,
    a_dropped_read_half_leaves_the_other,
    halves_find_together,
    halves_of_two_streams,
    the_second_half_closes,
];

const LEN: usize = 1 << 20;

fn both_directions_within_one_task(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = far.split();
        // Each direction fills up unless the other goes on.
        let (there, back) = (Pattern::new(1).take(LEN), Pattern::new(2).take(LEN));
        let (mut got_there, mut got_back) = (vec![0; LEN], vec![0; LEN]);
        let send = join(near_write.write_all(&there), far_write.write_all(&back));
        let receive = join(far_read.read_exact(&mut got_there), near_read.read_exact(&mut got_back));
        let ((a, b), (c, d)) = join(send, receive).await;
        assert!([a, b, c, d].into_iter().all(|result| result.is_ok()));
        assert!(got_there == there && got_back == back);
        near_write.shutdown().unwrap();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    });
}

fn both_directions_in_two_tasks(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        let (mut read, mut write) = near.into_split();
        let writer = spawn(async move {
            let mut pattern = Pattern::new(1);
            for _ in 0..LEN / 1024 {
                write.write_all(&pattern.take(1024)).await.unwrap();
            }
            write
        });
        let reader = spawn(async move {
            let mut bytes = vec![0; LEN];
            read.read_exact(&mut bytes).await.unwrap();
            Pattern::new(1).expect(&bytes);
            read
        });
        // The other end echoes.
        let mut buf = vec![0; 10_000];
        let mut echoed = 0;
        while echoed < LEN {
            let n = far.read(&mut buf).await.unwrap();
            far.write_all(&buf[..n]).await.unwrap();
            echoed += n;
        }
        let (read, write) = (reader.await.unwrap(), writer.await.unwrap());
        let mut near = read.reunite(write).unwrap();
        far.write_all(b"together").await.unwrap();
        near.read_exact(&mut [0; 8]).await.unwrap();
    });
}

fn a_dropped_write_half_ends_its_direction(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        let (mut read, mut write) = near.into_split();
        write.write_all(b"bye").await.unwrap();
        drop(write);
        assert_eq!(read_to_end(&mut far).await, b"bye");
        far.write_all(b"still here").await.unwrap();
        let mut buf = [0; 10];
        read.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"still here");
    });
}

fn a_dropped_read_half_leaves_the_other(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        let (mut read, mut write) = near.into_split();
        assert!(poll!(Box::pin(read.read(&mut [0]))).is_pending());
        drop(read);
        // Nobody reads this, and nobody is held up by it.
        fill(&mut far).await;
        write.write_all(b"hello").await.unwrap();
        drop(write);
        assert_eq!(read_to_end_or_reset(&mut far).await, b"hello");
    });
}

/// Bytes that were not read make the kernel end a connection with a reset.
async fn read_to_end_or_reset(stream: &mut carhop::net::TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buf = [0; 64];
    loop {
        match stream.read(&mut buf).await {
            Ok(0) => return bytes,
            Ok(n) => bytes.extend_from_slice(&buf[..n]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                return bytes;
            }
        }
    }
}

fn halves_find_together(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        let addr = near.local_addr().unwrap();
        let (mut read, write) = near.into_split();
        // Bytes that have arrived meanwhile stay with the stream.
        far.write_all(b"early").await.unwrap();
        read.read_exact(&mut [0; 2]).await.unwrap();
        let mut near = read.reunite(write).expect("halves of one stream");
        assert_eq!(near.local_addr().unwrap(), addr);
        let mut buf = [0; 3];
        near.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"rly");
        // It was not shut down on the way.
        near.write_all(b"fine").await.unwrap();
        far.read_exact(&mut [0; 4]).await.unwrap();
    });
}

fn halves_of_two_streams(env: &Env) {
    env.run(async {
        let ((near, mut far), (other, mut other_far)) = (pair().await, pair().await);
        let ((read, write), (other_read, other_write)) = (near.into_split(), other.into_split());
        let error = read.reunite(other_write).unwrap_err();
        assert_eq!(error.to_string(), "these are halves of two different streams");
        let (read, other_write) = (error.0, error.1);
        let mut near = read.reunite(write).unwrap();
        let mut other = other_read.reunite(other_write).unwrap();
        for (stream, peer) in [(&mut near, &mut far), (&mut other, &mut other_far)] {
            stream.write_all(b"fine").await.unwrap();
            peer.read_exact(&mut [0; 4]).await.unwrap();
        }
    });
}

fn the_second_half_closes(env: &Env) {
    env.run(async {
        for write_first in [true, false] {
            let (near, mut far) = pair().await;
            let (read, write) = near.into_split();
            let (first, second): (Box<dyn std::any::Any>, Box<dyn std::any::Any>) = if write_first {
                (Box::new(write), Box::new(read))
            } else {
                (Box::new(read), Box::new(write))
            };
            drop(first);
            yield_now().await;
            drop(second);
            assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
            // Closed, not only shut down: the peer's words are no longer wanted.
            while far.write(b"x").await.is_ok() {
                yield_now().await;
            }
        }
    });
}
