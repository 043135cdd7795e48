//! What is written to a stream, and who waits for it.
//!
//! ```text
//! Idle     ──write, alone───────────▶ Idle | Full     (attempted at once)
//! Idle     ──write, beside others───▶ Staged(token)   (attempted in the next turn, with theirs)
//! Staged   ──performed──────────────▶ Ended(token) | Full
//! Ended    ──its write is polled────▶ Idle            (or the next one is, if it has been dropped)
//! Full     ──room, or an error──────▶ Idle            (wakes the writer, which tries again)
//! ```

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use crate::contain::{drop_contained, wake_contained};
use crate::op::{Op, Token};
use crate::operations::Completer;
use crate::task::{Awaits, note};

use super::stream::{Stream, StreamIo};

/// Longer writes are attempted at once: to copy them costs as much as the system call that it saves.
const STAGED_LEN: usize = 4 * 1024;

/// Where the outgoing direction of a stream is, and who waits for it.
#[derive(Default)]
pub(super) struct Departures {
    state: State,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Idle,
    Staged(Token),
    /// With its count or `-errno`.
    Ended(Token, i32),
    Full(Token),
}

/// See [`Stream::write`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Write<'a> {
    stream: &'a Stream,
    bytes: &'a [u8],
    staged: Option<Token>,
}

impl<'a> Write<'a> {
    pub(super) fn new(stream: &'a Stream, bytes: &'a [u8]) -> Self {
        Self { stream, bytes, staged: None }
    }
}

impl Future for Write<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { stream, bytes, staged } = *self;
        let io = &stream.io;
        if let Some(token) = staged
            && let Some(result) = io.take_result(token)
        {
            self.staged = None;
            return Poll::Ready(result);
        }
        if (1..=STAGED_LEN).contains(&bytes.len()) && io.may_attempt() && io.has_company() {
            self.staged = io.stage(bytes)?;
        }
        poll(stream, cx, bytes)
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.staged {
            // It goes on without this, and is over with the next turn.
            self.stream.io.core.operations.is_ending(token);
        }
    }
}

/// Attempts to write, or leaves the waker if an attempt is staged already or would be in vain.
pub(super) fn poll(stream: &Stream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    if bytes.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let io = &stream.io;
    if io.may_attempt() {
        ready!(io.core.poll_try(cx));
        match io.core.with_reactor(|reactor| reactor.send(stream.as_fd(), bytes)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let token = io.await_room()?;
                io.outgoing.borrow_mut().state = State::Full(token);
            }
            result => return Poll::Ready(result),
        }
    }
    // Cloned and dropped with nothing borrowed: it may be a user's own.
    let waker = cx.waker().clone();
    let replaced = io.outgoing.borrow_mut().writer.replace(waker);
    drop(replaced);
    note(Awaits::Operation { name: "write", fd: io.fd });
    Poll::Pending
}

/// Takes the result of an operation, if it is one of this direction.
pub(super) fn departed(io: &Rc<StreamIo>, token: Token, result: i32) -> bool {
    let mut outgoing = io.outgoing.borrow_mut();
    outgoing.state = match outgoing.state {
        State::Staged(staged) if staged == token && result == -libc::EAGAIN => match io.await_room() {
            Ok(token) => {
                outgoing.state = State::Full(token);
                return true;
            }
            // The next attempt will say why.
            Err(_) => State::Idle,
        },
        State::Staged(staged) if staged == token => State::Ended(token, result),
        State::Full(full) if full == token => State::Idle,
        _ => return false,
    };
    let writer = outgoing.writer.take();
    drop(outgoing);
    if let Some(writer) = writer {
        wake_contained(writer);
    }
    true
}

/// The stream is being dropped. What is staged goes out: the close is staged behind it.
pub(super) fn close(io: &StreamIo) {
    let Departures { state, writer } = io.outgoing.take();
    match state {
        State::Full(token) => io.core.operations.cancel(token),
        State::Staged(token) => io.core.operations.is_ending(token),
        State::Idle | State::Ended(..) => {}
    }
    drop_contained(writer);
}

impl StreamIo {
    /// Whether a write that is staged now goes out with others: another is staged, or a task may stage one.
    fn has_company(&self) -> bool {
        self.core.tasks.any_ready() || self.core.operations.any_send()
    }

    fn may_attempt(&self) -> bool {
        matches!(self.outgoing.borrow().state, State::Idle | State::Ended(..))
    }

    /// The result of a staged write, once.
    fn take_result(&self, token: Token) -> Option<io::Result<usize>> {
        let mut outgoing = self.outgoing.borrow_mut();
        match outgoing.state {
            State::Ended(ended, result) if ended == token => {
                outgoing.state = State::Idle;
                Some(usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result)))
            }
            _ => None,
        }
    }

    /// Stages an attempt to write, if there is room for a copy of the bytes.
    fn stage(self: &Rc<Self>, bytes: &[u8]) -> io::Result<Option<Token>> {
        self.core.open()?;
        let completer = Rc::clone(self) as Rc<dyn Completer>;
        // SAFETY: the descriptor is open: this is called by a method of the stream, whose drop closes behind what
        // is staged.
        let token = unsafe { self.core.operations.send(self.fd, bytes, completer) };
        if let Some(token) = token {
            self.outgoing.borrow_mut().state = State::Staged(token);
        }
        Ok(token)
    }

    fn await_room(self: &Rc<Self>) -> io::Result<Token> {
        let completer = Rc::clone(self) as Rc<dyn Completer>;
        // SAFETY: the operation names no memory. Its descriptor is open: this is called by a method of the
        // stream, or while the stream waits for a staged write; its drop cancels before it closes.
        unsafe { self.core.start(Op::Writable { fd: self.fd }, completer) }
    }
}
