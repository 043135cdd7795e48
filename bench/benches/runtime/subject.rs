//! What a runtime must have to be measured, and ours.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use carhop::{Backend, Builder, Runtime};
use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup};
use futures::channel::{mpsc, oneshot};
use futures::{SinkExt, StreamExt};

/// A runtime. Where it offers nothing of its own, its users would take what is given here.
pub trait Subject: Sized + 'static {
    const NAME: &str;

    /// Whether other tasks run while one does nothing but yield.
    const IS_FAIR: bool = true;

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

/// What is compared.
pub type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Measures `S` in a group, where it is called `name`. `measure` gets the runtime, and is called several times.
pub fn bench<S: Subject>(
    group: &mut Group<'_>,
    name: &str,
    mut measure: impl FnMut(&mut Bencher<'_>, &mut S),
) {
    if let Some(mut runtime) = start(name) {
        group.bench_function(name, |b| measure(b, &mut runtime));
    }
}

/// `None`, and a line on stderr, if the machine refuses it.
pub fn start<S: Subject>(name: &str) -> Option<S> {
    S::start().map_err(|error| eprintln!("skipped: {name}: {error}")).ok()
}

/// Runs a future as a task, which is what the programs of all runtimes consist of.
pub fn run<S: Subject, T: 'static>(runtime: &mut S, future: impl Future<Output = T> + 'static) -> T {
    runtime.block_on(async { S::spawn(future).await })
}

/// Ours, on whichever backend.
pub struct Carhop(Runtime);

/// Ours, on epoll.
pub struct OnEpoll(Runtime);

/// Ours, on io_uring.
pub struct OnUring(Runtime);

macro_rules! ours {
    ($subject:ident, $name:literal, $builder:expr) => {
        impl Subject for $subject {
            const NAME: &str = $name;

            fn start() -> io::Result<Self> {
                Ok(Self($builder.build().map_err(io::Error::other)?))
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
    };
}

ours!(Carhop, "carhop", Builder::new());
ours!(OnEpoll, "carhop, epoll", Builder::new().backend(Backend::Epoll));
ours!(OnUring, "carhop, uring", Builder::new().backend(Backend::Uring));
