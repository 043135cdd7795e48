//! What the loop does when the kernel takes no submissions for a while: what a turn has seen has not ended then, and
//! the future that asked for it may be gone before it has.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::clock::Nanos;
use runtime_core::op::{Attempt, Control, End, Fd, Op, SocketOption, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Unpark, Wait};
use runtime_core::socket::{Listener, Stream};
use runtime_core::{Config, Runtime, spawn, yield_now};

use super::{Env, trials};
use crate::pattern::Pattern;
use crate::world::{ANY, Peer};

trials![
    a_copy_whose_write_is_dropped,
    a_chunk_whose_write_is_dropped,
    a_chunk_whose_stream_is_dropped,
    nothing_goes_out_that_no_turn_has_seen,
];

fn a_copy_whose_write_is_dropped(env: &Env) {
    congested(env, async |kernel, stream, mut peer| {
        let mut pattern = Pattern::default();
        let bytes = pattern.take(1_000);
        {
            let mut write = pin!(stream.write_all(&bytes));
            assert!(is_pending(&mut write).await);
            kernel.see_a_turn().await;
        }
        drop(bytes);
        kernel.recover().await;
        // With the same memory of the loop's.
        spawn(async {});
        stream.write_all(&pattern.take(1_000)).await.expect("room");
        kernel.close(stream).await;
        arrived(&mut peer, Pattern::default(), 2_000);
    });
}

fn a_chunk_whose_write_is_dropped(env: &Env) {
    congested(env, async |kernel, stream, mut peer| {
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

fn a_chunk_whose_stream_is_dropped(env: &Env) {
    congested(env, async |kernel, stream, mut peer| {
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

fn nothing_goes_out_that_no_turn_has_seen(env: &Env) {
    congested(env, async |kernel, stream, mut peer| {
        let mut bytes = Pattern::default().take(1_000);
        let (seen, unseen) = bytes.split_at_mut(500);
        {
            let mut write = pin!(stream.write_all(seen));
            assert!(is_pending(&mut write).await);
            kernel.see_a_turn().await;
        }
        {
            // Behind the other, and so not staged yet.
            let mut write = pin!(stream.write_all(unseen));
            assert!(is_pending(&mut write).await);
        }
        kernel.recover().await;
        kernel.close(stream).await;
        arrived(&mut peer, Pattern::default(), 500);
    });
}

/// Runs `trial` with a stream and its peer, while the kernel takes nothing. Another task is ready, so that writes are
/// staged.
fn congested(env: &Env, trial: impl AsyncFnOnce(Kernel, Stream, Box<dyn Peer>)) {
    let kernel = Kernel::default();
    let reactor = Congested {
        inner: env.world().reactor().expect("another reactor like the first"),
        kernel: kernel.clone(),
        withheld: Vec::new(),
    };
    let runtime = Runtime::new(Box::new(reactor), &Config::default()).expect("a runtime");
    runtime.block_on(async {
        let listener = Listener::bind(&ANY.into(), &[], 1).expect("bind");
        let addr = listener.local_address().expect("getsockname").as_inet().expect("an IP address");
        let peer = env.world().connect(addr).expect("connect");
        let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await.expect("accept");
        spawn(async {});
        kernel.refuses.set(true);
        trial(kernel, stream, peer).await;
    });
}

/// Exactly that, and then the end, for the other one is closed.
fn arrived(peer: &mut Box<dyn Peer>, mut pattern: Pattern, len: usize) {
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

impl Reactor for Congested {
    fn turn(&mut self, turn: Turn<'_>) -> io::Result<()> {
        self.kernel.turns.set(self.kernel.turns.get() + 1);
        self.withheld.append(turn.staged);
        if self.kernel.refuses.get() {
            return Ok(());
        }
        turn.staged.append(&mut self.withheld);
        self.inner.turn(turn)
    }

    fn idle(&self, pool: &Pool) -> Wait {
        self.inner.idle(pool)
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.inner.descriptor()
    }

    fn now(&self) -> Nanos {
        self.inner.now()
    }

    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>> {
        self.inner.unparker()
    }

    fn attempt(&mut self, fd: Fd, attempt: Attempt<'_>) -> io::Result<usize> {
        self.inner.attempt(fd, attempt)
    }

    fn open(&mut self, family: Family, kind: Kind) -> io::Result<Fd> {
        self.inner.open(family, kind)
    }

    fn import(&mut self, fd: OwnedFd) -> Result<Fd, (io::Error, OwnedFd)> {
        self.inner.import(fd)
    }

    fn export(&mut self, fd: Fd) -> io::Result<OwnedFd> {
        self.inner.export(fd)
    }

    fn disown(&mut self, fd: Fd) {
        self.inner.disown(fd);
    }

    fn share(&mut self, fd: Fd) -> io::Result<Arc<OwnedFd>> {
        self.inner.share(fd)
    }

    fn control(&mut self, fd: Fd, request: Control<'_>) -> io::Result<()> {
        self.inner.control(fd, request)
    }

    fn option(&mut self, fd: Fd, option: SocketOption) -> io::Result<u32> {
        self.inner.option(fd, option)
    }

    fn address(&mut self, fd: Fd, end: End) -> io::Result<SockAddr> {
        self.inner.address(fd, end)
    }
}
