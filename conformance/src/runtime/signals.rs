//! Unix signals.

use std::io;

use carhop::signal::{Signal, SignalKind, signal};
use futures::FutureExt;

use super::support::pair;
use super::{Env, trials};

trials![signals_that_cannot_be_had: Signals, what_came_before_counts_once: Signals];

fn signals_that_cannot_be_had(env: &Env) {
    let fatal = [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE];
    env.run(async {
        for number in fatal.into_iter().chain([-1, 0, 32, 65, i32::MAX]) {
            let error = signal(SignalKind::from_raw(number)).expect_err("no such signal");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "signal {number}: {error}");
        }
    });
}

fn raise(kind: SignalKind, times: usize) {
    for _ in 0..times {
        // SAFETY: no memory is involved. The signal is handled before this returns, and only while a `Signal` listens.
        assert_eq!(unsafe { libc::raise(kind.as_raw()) }, 0);
    }
}

fn what_came_before_counts_once(env: &Env) {
    async fn none_is_left(signal: &mut Signal) {
        assert!(signal.recv().now_or_never().is_none());
        // Nor after a while.
        let (mut near, mut far) = pair().await;
        near.write_all(b"x").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
        assert!(signal.recv().now_or_never().is_none());
    }
    env.run(async {
        let kind = SignalKind::user_defined1();
        let mut signal = signal(kind).unwrap();
        none_is_left(&mut signal).await;
        for times in [300, 1, 2] {
            raise(kind, times);
            signal.recv().await.unwrap();
            none_is_left(&mut signal).await;
        }
    });
}
