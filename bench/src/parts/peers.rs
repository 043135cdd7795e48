//! Other runtimes, as programs of one thread use them. Channels are their own, or their authors', if there are.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::channels::local_channel;
use smol::LocalExecutor;

use super::subject::{Deadlines, Subject, deadlines};

/// Of tokio, for both runtimes that use them.
macro_rules! channels_of_tokio {
    () => {
        fn channel() -> (impl AsyncFnMut(u64) + 'static, impl AsyncFnMut() -> u64 + 'static) {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            (
                async move |value| sender.send(value).await.unwrap(),
                async move || receiver.recv().await.unwrap(),
            )
        }

        fn oneshot() -> (impl FnOnce(u64) + 'static, impl Future<Output = u64> + 'static) {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            (move |value| sender.send(value).unwrap(), async move { receiver.await.unwrap() })
        }

        fn yield_now() -> impl Future<Output = ()> {
            tokio::task::yield_now()
        }
    };
}

pub struct Tokio(tokio::runtime::LocalRuntime);

impl Subject for Tokio {
    const NAME: &str = "tokio";

    fn start() -> io::Result<Self> {
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).map(Self)
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> + 'static {
        let handle = tokio::task::spawn_local(future);
        async { handle.await.unwrap() }
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        tokio::time::sleep(duration)
    }

    channels_of_tokio!();
}

pub struct TokioUring(tokio_uring::Runtime);

impl Subject for TokioUring {
    const NAME: &str = "tokio-uring";

    fn start() -> io::Result<Self> {
        tokio_uring::Runtime::new(&tokio_uring::builder()).map(Self)
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> + 'static {
        let handle = tokio_uring::spawn(future);
        async { handle.await.unwrap() }
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        tokio::time::sleep(duration)
    }

    channels_of_tokio!();
}

/// On io_uring: it would fall back to epoll without saying so.
pub struct Monoio(monoio::Runtime<monoio::time::TimeDriver<monoio::IoUringDriver>>);

impl Subject for Monoio {
    const NAME: &str = "monoio";

    fn start() -> io::Result<Self> {
        monoio::RuntimeBuilder::<monoio::IoUringDriver>::new().enable_timer().build().map(Self)
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> + 'static {
        monoio::spawn(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        monoio::time::sleep(duration)
    }

    fn channel() -> (impl AsyncFnMut(u64) + 'static, impl AsyncFnMut() -> u64 + 'static) {
        let (sender, mut receiver) = local_sync::mpsc::bounded::channel(1);
        (async move |value| sender.send(value).await.unwrap(), async move || receiver.recv().await.unwrap())
    }

    fn oneshot() -> (impl FnOnce(u64) + 'static, impl Future<Output = u64> + 'static) {
        let (sender, receiver) = local_sync::oneshot::channel();
        (move |value| sender.send(value).unwrap(), async move { receiver.await.unwrap() })
    }
}

pub struct Compio(compio::runtime::Runtime);

impl Subject for Compio {
    const NAME: &str = "compio";

    fn start() -> io::Result<Self> {
        compio::runtime::Runtime::new().map(Self)
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> + 'static {
        let handle = compio::runtime::spawn(future);
        async { handle.await.unwrap() }
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        compio::time::sleep(duration)
    }
}

pub struct Glommio(glommio::LocalExecutor);

impl Subject for Glommio {
    const NAME: &str = "glommio";

    fn start() -> io::Result<Self> {
        Ok(Self(glommio::LocalExecutorBuilder::default().make()?))
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.run(future)
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> + 'static {
        glommio::spawn_local(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + 'static {
        glommio::timer::sleep(duration)
    }

    fn channel() -> (impl AsyncFnMut(u64) + 'static, impl AsyncFnMut() -> u64 + 'static) {
        let (sender, receiver) = local_channel::new_bounded(1);
        (async move |value| sender.send(value).await.unwrap(), async move || receiver.recv().await.unwrap())
    }
}

pub struct Smol(Rc<LocalExecutor<'static>>);

thread_local! {
    /// Where tasks of this thread are spawned: smol leaves that to its users.
    static EXECUTOR: RefCell<Option<Rc<LocalExecutor<'static>>>> = const { RefCell::new(None) };
}

impl Subject for Smol {
    const NAME: &str = "smol";

    fn start() -> io::Result<Self> {
        Ok(Self(Rc::new(LocalExecutor::new())))
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        EXECUTOR.set(Some(Rc::clone(&self.0)));
        let output = smol::block_on(self.0.run(future));
        EXECUTOR.set(None);
        output
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> impl Future<Output = T> + 'static {
        EXECUTOR.with_borrow(|executor| executor.as_ref().expect("within `block_on`").spawn(future))
    }

    async fn sleep(duration: Duration) {
        smol::Timer::after(duration).await;
    }

    fn yield_now() -> impl Future<Output = ()> {
        smol::future::yield_now()
    }

    fn channel() -> (impl AsyncFnMut(u64) + 'static, impl AsyncFnMut() -> u64 + 'static) {
        let (sender, receiver) = smol::channel::bounded(1);
        (async move |value| sender.send(value).await.unwrap(), async move || receiver.recv().await.unwrap())
    }
}

deadlines!(Tokio, tokio::time::Instant, tokio::time::sleep_until);
deadlines!(TokioUring, tokio::time::Instant, tokio::time::sleep_until);
deadlines!(Monoio, monoio::time::Instant, monoio::time::sleep_until);
deadlines!(Compio, Instant, compio::time::sleep_until);
deadlines!(Smol, Instant, async |deadline| _ = smol::Timer::at(deadline).await);
