//! What a runtime must have to be measured, and ours.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use carhop::{Backend, Builder, Runtime};
use futures::channel::{mpsc, oneshot};
use futures::{SinkExt, StreamExt};

use super::Measured;

/// A runtime. Where it offers nothing of its own, its users would take what is given here.
pub trait Subject: Sized + 'static {
    const NAME: &str;

    fn start() -> io::Result<Self>;

    fn block_on<F: Future>(&mut self, future: F) -> F::Output;

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> + 'static;

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static;

    fn yield_now() -> impl Future<Output = ()> {
        let mut yielded = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// A channel with room for one: how to send, and how to receive.
    fn channel() -> (impl AsyncFnMut(u64) + 'static, impl AsyncFnMut() -> u64 + 'static) {
        let (mut sender, mut receiver) = mpsc::channel(0);
        (async move |value| sender.send(value).await.unwrap(), async move || receiver.next().await.unwrap())
    }

    /// A channel for one value.
    fn oneshot() -> (impl FnOnce(u64) + 'static, impl Future<Output = u64> + 'static) {
        let (sender, receiver) = oneshot::channel();
        (move |value| sender.send(value).unwrap(), async move { receiver.await.unwrap() })
    }
}

/// A runtime whose timers can have a deadline instead of a duration: its users look at the clock, or do not.
pub trait Deadlines: Subject {
    type Instant: Copy + 'static;

    fn after(duration: Duration) -> Self::Instant;

    fn sleep_until(deadline: Self::Instant) -> impl Future<Output = ()> + 'static;
}

/// How a runtime sleeps until a time of its clock.
macro_rules! deadlines {
    ($subject:ident, $instant:ty, $sleep_until:expr) => {
        impl Deadlines for $subject {
            type Instant = $instant;

            fn after(duration: Duration) -> Self::Instant {
                <$instant>::now() + duration
            }

            fn sleep_until(deadline: Self::Instant) -> impl Future<Output = ()> + 'static {
                ($sleep_until)(deadline)
            }
        }
    };
}
#[cfg(feature = "peers")]
pub(super) use deadlines;

/// Starts the runtime that `run` is to be measured on.
pub fn measured<S: Subject>(run: fn(&mut S, u64) -> Duration) -> io::Result<Measured> {
    let mut runtime = S::start()?;
    Ok(Box::new(move |iters| run(&mut runtime, iters)))
}

/// Runs a future as a task, which is what the programs of all runtimes consist of.
pub fn run<S: Subject, T: 'static>(runtime: &mut S, future: impl Future<Output = T> + 'static) -> T {
    runtime.block_on(async { S::spawn(future).await })
}

/// Ours, on epoll.
pub struct OnEpoll(Runtime);

/// Ours, on io_uring.
pub struct OnUring(Runtime);

macro_rules! ours {
    ($subject:ident, $name:literal, $backend:expr) => {
        impl Subject for $subject {
            const NAME: &str = $name;

            fn start() -> io::Result<Self> {
                Ok(Self(Builder::new().backend($backend).build().map_err(io::Error::other)?))
            }

            fn block_on<F: Future>(&mut self, future: F) -> F::Output {
                self.0.block_on(future)
            }

            fn spawn<T: 'static>(
                future: impl Future<Output = T> + 'static,
            ) -> impl Future<Output = T> + 'static {
                let handle = carhop::spawn(future);
                async { handle.await.unwrap() }
            }

            fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
                carhop::time::sleep(duration)
            }

            fn yield_now() -> impl Future<Output = ()> {
                carhop::yield_now()
            }

            fn channel() -> (impl AsyncFnMut(u64) + 'static, impl AsyncFnMut() -> u64 + 'static) {
                let (sender, mut receiver) = carhop::sync::mpsc::channel(1);
                (
                    async move |value| sender.send(value).await.unwrap(),
                    async move || receiver.recv().await.unwrap(),
                )
            }

            fn oneshot() -> (impl FnOnce(u64) + 'static, impl Future<Output = u64> + 'static) {
                let (sender, receiver) = carhop::sync::oneshot::channel();
                (move |value| sender.send(value).unwrap(), async move { receiver.await.unwrap() })
            }
        }

        deadlines!($subject, carhop::time::Instant, carhop::time::sleep_until);
    };
}

ours!(OnEpoll, "carhop-epoll", Backend::Epoll);
ours!(OnUring, "carhop-uring", Backend::Uring);
