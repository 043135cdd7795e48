//! How connections end: FIN, RST, one direction after the other, and by a drop.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::time::Duration;

use carhop::net::TcpStream;
use carhop::time::sleep;
use carhop::{spawn, yield_now};
use futures::poll;
use socket2::SockRef;

use crate::machine;

use super::support::{connection, fill, listener, pair, read_to_end, reset};
use super::{Env, trials};

trials![
    the_end_after_the_bytes,
    the_end_of_one_direction,
    the_end_while_a_read_waits,
    bytes_before_a_reset: Linger,
    a_reset_while_a_read_waits: Linger,
    a_reset_while_a_write_waits,
    unread_bytes_before_the_end,
    urgent_bytes: OutOfBand,
    writing_to_a_peer_that_is_gone,
    shut_down_for_reading,
    a_drop_says_so_at_once,
    a_drop_beneath_armed_reads,
    a_drop_outside_of_block_on: Strangers,
    a_drop_by_a_panic_of_the_root: Strangers,
    a_drop_by_the_end_of_the_root: Strangers,
];

fn the_end_after_the_bytes(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        near.write_all(b"last words").await.unwrap();
        drop(near);
        assert_eq!(read_to_end(&mut far).await, b"last words");
        for _ in 0..3 {
            assert_eq!(far.read(&mut [0; 9]).await.unwrap(), 0);
        }
        let error = far.read_exact(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

fn the_end_of_one_direction(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        near.write_all(b"question").await.unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(read_to_end(&mut far).await, b"question");
        far.write_all(b"answer").await.unwrap();
        drop(far);
        assert_eq!(read_to_end(&mut near).await, b"answer");
    });
}

fn the_end_while_a_read_waits(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        let reader = spawn(async move { far.read(&mut [0; 9]).await });
        yield_now().await;
        yield_now().await;
        drop(near);
        assert_eq!(reader.await.unwrap().unwrap(), 0);
    });
}

/// Waits until the reset has come. Reading would say so, but also take the error away.
async fn reset_arrives(stream: &TcpStream) {
    // State 7 is TCP_CLOSE (include/net/tcp_states.h); it is the first byte of what TCP_INFO says.
    while tcp_state(stream) != 7 {
        sleep(Duration::from_micros(100)).await;
    }
}

fn tcp_state(stream: &TcpStream) -> u8 {
    use std::os::fd::{AsFd, AsRawFd};
    let (mut state, mut len) = (0u8, 1);
    // SAFETY: the kernel writes at most `len` bytes, one, to `state`, and reads and writes `len`.
    let result = unsafe {
        let (place, len) = ((&raw mut state).cast(), &raw mut len);
        libc::getsockopt(stream.as_fd().as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, place, len)
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    state
}

fn bytes_before_a_reset(env: &Env) {
    env.run(async {
        // Received before the reset came; and with the read armed by a former one.
        for early in [false, true] {
            let (mut near, mut far) = pair().await;
            if early {
                near.write_all(b"?").await.unwrap();
                far.read_exact(&mut [0]).await.unwrap();
                assert!(poll!(Box::pin(far.read(&mut [0]))).is_pending());
            }
            near.write_all(b"hello").await.unwrap();
            let mut buf = [0; 9];
            assert_eq!(far.read(&mut buf[..1]).await.unwrap(), 1);
            reset(near);
            reset_arrives(&far).await;
            assert_eq!(far.read(&mut buf[1..]).await.unwrap(), 4);
            assert_eq!(&buf[..5], b"hello");
            assert_eq!(far.read(&mut buf).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
            // Said once; from then on it is the end.
            assert_eq!(far.read(&mut buf).await.unwrap(), 0);
            assert_eq!(far.read(&mut buf).await.unwrap(), 0);
        }
    });
}

fn a_reset_while_a_read_waits(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        let reader = spawn(async move { far.read(&mut [0; 9]).await });
        yield_now().await;
        yield_now().await;
        reset(near);
        assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

fn a_reset_while_a_write_waits(env: &Env) {
    env.run(async {
        let (mut near, far) = pair().await;
        fill(&mut near).await;
        let writer = spawn(async move { near.write_all(&[0; 1 << 20]).await });
        yield_now().await;
        yield_now().await;
        // It has not read what came: so this is a reset.
        drop(far);
        let error = writer.await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    });
}

fn unread_bytes_before_the_end(env: &Env) {
    env.run(async {
        // More than one chunk, while nobody reads; less than what makes the stream pause, and more.
        for len in [20_000, 40_000, 400_000] {
            let (mut near, mut far) = pair().await;
            near.write_all(b"?").await.unwrap();
            far.read_exact(&mut [0]).await.unwrap();
            let writer = spawn(async move { near.write_all(&vec![7; len]).await.unwrap() });
            for _ in 0..20 {
                sleep(Duration::from_micros(100)).await;
            }
            let bytes = read_to_end(&mut far).await;
            assert!(bytes.len() == len && bytes.iter().all(|&byte| byte == 7));
            writer.await.unwrap();
        }
    });
}

fn urgent_bytes(env: &Env) {
    env.run(async {
        let (mut near, mut far) = pair().await;
        near.write_all(b"before").await.unwrap();
        SockRef::from(&near).send_out_of_band(b"!").unwrap();
        near.write_all(b"after").await.unwrap();
        drop(near);
        assert_eq!(read_to_end(&mut far).await, b"beforeafter");
    });
}

/// While it lives, `SIGPIPE` ends the process, as in a program that is not written in Rust.
struct DefaultSigpipe(libc::sighandler_t);

impl DefaultSigpipe {
    fn set() -> Self {
        // SAFETY: the default action runs no code of this process.
        Self(unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) })
    }
}

impl Drop for DefaultSigpipe {
    fn drop(&mut self) {
        // SAFETY: the handler is the one that was there before.
        unsafe { libc::signal(libc::SIGPIPE, self.0) };
    }
}

fn writing_to_a_peer_that_is_gone(env: &Env) {
    let _default = DefaultSigpipe::set();
    env.run(async {
        let (mut near, far) = pair().await;
        drop(far);
        let error = loop {
            if let Err(error) = near.write_all(b"anybody there?").await {
                break error;
            }
            sleep(Duration::from_micros(100)).await;
        };
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

fn shut_down_for_reading(env: &Env) {
    env.run(async {
        let (mut near, far) = pair().await;
        assert!(poll!(Box::pin(near.read(&mut [0; 9]))).is_pending());
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0);
        near.shutdown(Shutdown::Both).unwrap();
        drop(far);
        yield_now().await;
    });
}

fn a_drop_says_so_at_once(env: &Env) {
    env.run(async {
        let (near, mut far) = pair().await;
        drop(near);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        // With bytes that it has not read, the peer may be told so: then it is a reset.
        let (near, mut far) = pair().await;
        far.write_all(b"unread").await.unwrap();
        drop(near);
        match far.read(&mut [0]).await {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    });
}

fn a_drop_beneath_armed_reads(env: &Env) {
    env.run(async {
        let listener = listener().await;
        let mut peers = Vec::new();
        for _ in 0..50 {
            let (mut near, far) = connection(&listener).await;
            assert!(poll!(Box::pin(near.read(&mut [0; 9]))).is_pending());
            yield_now().await;
            peers.push((near, far));
        }
        for (near, mut far) in peers {
            drop(near);
            assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        }
    });
}

/// A connection whose second end is not of the runtime.
fn with_a_stranger(runtime: &carhop::Runtime) -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = runtime.block_on(TcpStream::connect(listener.local_addr().unwrap())).unwrap();
    let (far, _) = listener.accept().unwrap();
    (near, far)
}

/// While the runtime is at rest.
fn sees_the_end(mut stranger: std::net::TcpStream) {
    assert!(machine::readable(&stranger, Duration::from_secs(5)), "the connection is still open");
    assert_eq!(io::Read::read(&mut stranger, &mut [0]).unwrap(), 0);
}

fn a_drop_outside_of_block_on(env: &Env) {
    let runtime = env.runtime();
    let (near, stranger) = with_a_stranger(&runtime);
    drop(near);
    sees_the_end(stranger);
}

fn a_drop_by_a_panic_of_the_root(env: &Env) {
    let runtime = env.runtime();
    let (near, stranger) = with_a_stranger(&runtime);
    super::support::panic_of(|| {
        runtime.block_on(async move {
            let _near = near;
            yield_now().await;
            super::support::panic_quietly("boom")
        })
    });
    sees_the_end(stranger);
}

fn a_drop_by_the_end_of_the_root(env: &Env) {
    let runtime = env.runtime();
    let (near, stranger) = with_a_stranger(&runtime);
    // Unlike an async block, this keeps what it captured until it is dropped itself.
    runtime.block_on(std::future::poll_fn(move |_| {
        let _ = &near;
        std::task::Poll::Ready(())
    }));
    sees_the_end(stranger);
}
