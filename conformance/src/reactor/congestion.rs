//! What the loop does when the kernel takes no submissions for a while: what a turn has seen has not ended then, and
//! whoever asked for it may be gone before it has.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use runtime_core::clock::Nanos;
use runtime_core::op::{Op, Token};
use runtime_core::reactor::{Reactor, Turn, Unpark};
use runtime_core::socket::Stream;
use runtime_core::{Config, Runtime, spawn, yield_now};
use socket2::{Domain, Type};

use super::MakeReactor;
use crate::pattern::Pattern;

super::trials![
    a_copy_whose_write_is_dropped,
    a_chunk_whose_write_is_dropped,
    a_chunk_whose_stream_is_dropped,
    nothing_is_taken_back_that_a_turn_has_seen,
];

fn a_copy_whose_write_is_dropped(make: MakeReactor) {
    congested(make, async |kernel, stream, mut peer| {
        let mut pattern = Pattern::default();
        let bytes = pattern.take(1_000);
        {
            let mut write = pin!(stream.write(&bytes));
            assert!(is_pending(&mut write).await);
            kernel.see_a_turn().await;
        }
        drop(bytes);
        kernel.recover().await;
        // With the same memory of the loop's.
        spawn(async {});
        assert_eq!(stream.write(&pattern.take(1_000)).await.expect("room"), 1_000);
        kernel.close(stream).await;
        arrived(&mut peer, Pattern::default(), 2_000);
    });
}

fn a_chunk_whose_write_is_dropped(make: MakeReactor) {
    congested(make, async |kernel, stream, mut peer| {
        {
            let mut write = pin!(stream.write_chunk(Pattern::default().take(1_000).into()));
            assert!(is_pending(&mut write).await);
            kernel.see_a_turn().await;
        }
        // Where the chunk was, if it is gone.
        let others = [const { [0_u8; 1_000] }; 100].map(|zeros| zeros.to_vec());
        kernel.recover().await;
        drop(others);
        kernel.close(stream).await;
        arrived(&mut peer, Pattern::default(), 1_000);
    });
}

fn a_chunk_whose_stream_is_dropped(make: MakeReactor) {
    congested(make, async |kernel, stream, mut peer| {
        {
            let mut write = pin!(stream.write_chunk(Pattern::default().take(1_000).into()));
            assert!(is_pending(&mut write).await);
            kernel.see_a_turn().await;
        }
        drop(stream);
        let others = [const { [0_u8; 1_000] }; 100].map(|zeros| zeros.to_vec());
        kernel.recover().await;
        drop(others);
        arrived(&mut peer, Pattern::default(), 1_000);
    });
}

fn nothing_is_taken_back_that_a_turn_has_seen(make: MakeReactor) {
    congested(make, async |kernel, stream, mut peer| {
        let mut bytes = Pattern::default().take(1_000);
        let (seen, unseen) = bytes.split_at_mut(500);
        {
            let mut write = pin!(stream.write(seen));
            assert!(is_pending(&mut write).await);
            kernel.see_a_turn().await;
        }
        {
            // Behind the other, and so not staged yet.
            let mut write = pin!(stream.write(unseen));
            assert!(is_pending(&mut write).await);
        }
        kernel.recover().await;
        kernel.close(stream).await;
        arrived(&mut peer, Pattern::default(), 500);
    });
}

/// Runs `trial` with a stream and its peer, while the kernel takes nothing. Another task is ready, so that writes are
/// staged.
fn congested(make: MakeReactor, trial: impl AsyncFnOnce(Kernel, Stream, UnixStream)) {
    let kernel = Kernel::default();
    let reactor = Congested {
        inner: make().expect("another reactor like the first"),
        kernel: kernel.clone(),
        withheld: Vec::new(),
    };
    Runtime::new(Box::new(reactor), &Config::default()).block_on(async {
        let (near, peer) = UnixStream::pair().expect("socketpair");
        let stream = Stream::from_fd(near.into()).expect("a stream");
        spawn(async {});
        kernel.refuses.set(true);
        trial(kernel, stream, peer).await;
    });
}

/// Exactly that, and then the end, for the other one is closed.
fn arrived(peer: &mut UnixStream, mut pattern: Pattern, len: usize) {
    let mut arrived = Vec::new();
    peer.read_to_end(&mut arrived).expect("what was written");
    assert_eq!(arrived.len(), len);
    pattern.expect(&arrived);
}

async fn is_pending<F: Future>(future: &mut Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// What a trial tells the kernel to do, and what it hears of it.
#[derive(Clone, Default)]
struct Kernel {
    refuses: Rc<Cell<bool>>,
    turns: Rc<Cell<usize>>,
}

impl Kernel {
    async fn see_a_turn(&self) {
        let turns = self.turns.get();
        while self.turns.get() == turns {
            yield_now().await;
        }
    }

    async fn recover(&self) {
        self.refuses.set(false);
        self.see_a_turn().await;
    }

    async fn close(&self, stream: Stream) {
        drop(stream);
        self.see_a_turn().await;
    }
}

/// A reactor whose kernel takes nothing for as long as a trial wants that.
struct Congested {
    inner: Box<dyn Reactor>,
    kernel: Kernel,
    withheld: Vec<(Token, Op)>,
}

// SAFETY: what is withheld is not touched, and the rest is the promise of `inner`.
unsafe impl Reactor for Congested {
    unsafe fn turn(&mut self, turn: Turn<'_>) -> io::Result<()> {
        self.kernel.turns.set(self.kernel.turns.get() + 1);
        self.withheld.append(turn.staged);
        if self.kernel.refuses.get() {
            return Ok(());
        }
        turn.staged.append(&mut self.withheld);
        // SAFETY: what was withheld has not ended, and so is as valid as it was in the turn that brought it.
        unsafe { self.inner.turn(turn) }
    }

    fn now(&self) -> Nanos {
        self.inner.now()
    }

    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>> {
        self.inner.unparker()
    }

    fn open(&mut self, domain: Domain, kind: Type) -> io::Result<OwnedFd> {
        self.inner.open(domain, kind)
    }

    fn adopt(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.inner.adopt(fd)
    }

    fn send(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        self.inner.send(fd, bytes)
    }
}
