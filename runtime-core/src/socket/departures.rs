//! What is written to a stream, and who waits for it.
//!
//! ```text
//! Idle     ──write, alone───────────▶ Idle | Full     (attempted at once)
//! Idle     ──write, beside others───▶ Staged(token)   (attempted in the next turn, with theirs)
//! Staged   ──performed──────────────▶ Ended(token) | Full
//! Staged   ──write dropped before───▶ Idle
//! Ended    ──any write is polled────▶ Idle            (if it is another one, the result is lost)
//! Full     ──room, or an error──────▶ Idle            (wakes the writer, which tries again)
//! Staged   ──stream dropped─────────▶ Leaving(token) ──performed──▶ Idle
//! ```

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use crate::contain::{drop_contained, wake_contained};
use crate::op::{Op, Token};
use crate::operations::Completer;
use crate::task::{Awaits, note};

use super::chunk::Chunk;
use super::stream::{Stream, StreamIo};

/// Where the outgoing direction of a stream is, and who waits for it.
#[derive(Default)]
pub(super) struct Departures {
    state: State,
    writer: Option<Waker>,
    /// What is staged, if whoever staged it is gone. In a box, since few streams ever have it.
    kept: Option<Box<Chunk>>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Idle,
    Staged(Token),
    /// With its count or `-errno`.
    Ended(Token, i32),
    Full(Token),
    /// As `Staged`, of a stream that is gone.
    Leaving(Token),
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
            Ok(token) => State::Full(token),
            // The next attempt will say why.
            Err(_) => State::Idle,
        },
        State::Staged(staged) if staged == token => State::Ended(token, result),
        State::Full(full) if full == token => State::Idle,
        // Whether or not there was room: the descriptor is closed behind it.
        State::Leaving(leaving) if leaving == token => State::Idle,
        _ => return false,
    };
    // Also when it will have to wait for room: until then it may hold something that others need.
    let (writer, kept) = (outgoing.writer.take(), outgoing.kept.take());
    drop(outgoing);
    drop(kept);
    if let Some(writer) = writer {
        wake_contained(writer);
    }
    true
}

/// The stream is being dropped. What is staged goes out: the close is staged behind it.
pub(super) fn close(io: &StreamIo) {
    let mut outgoing = io.outgoing.borrow_mut();
    match outgoing.state {
        State::Full(token) => io.core.operations.cancel(token),
        State::Staged(token) => {
            io.core.operations.is_ending(token);
            outgoing.state = State::Leaving(token);
        }
        State::Idle | State::Ended(..) | State::Leaving(_) => {}
    }
    let writer = outgoing.writer.take();
    drop(outgoing);
    drop_contained(writer);
}

impl StreamIo {
    /// Whether a write that is staged now goes out with others: another is staged, or a task may stage one, and the loop
    /// is running, so that there will be a turn.
    pub(super) fn has_company(&self) -> bool {
        (self.core.tasks.any_ready() || self.core.operations.any_send()) && self.core.is_running()
    }

    pub(super) fn may_attempt(&self) -> bool {
        matches!(self.outgoing.borrow().state, State::Idle | State::Ended(..))
    }

    /// Whether there was no room, and still is none as far as is known.
    pub(super) fn is_full(&self) -> bool {
        matches!(self.outgoing.borrow().state, State::Full(_))
    }

    /// The result of a staged write, once.
    pub(super) fn take_result(&self, token: Token) -> Option<io::Result<usize>> {
        let mut outgoing = self.outgoing.borrow_mut();
        match outgoing.state {
            State::Ended(ended, result) if ended == token => {
                outgoing.state = State::Idle;
                Some(usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result)))
            }
            _ => None,
        }
    }

    /// Stages an attempt to write a copy of `bytes`, if there is room for it.
    pub(super) fn stage_copy(self: &Rc<Self>, bytes: &[u8]) -> io::Result<Option<Token>> {
        self.core.open()?;
        let completer = Rc::clone(self) as Rc<dyn Completer>;
        // SAFETY: the descriptor is open: this is called by a future of the stream, whose drop closes behind what
        // is staged.
        let token = unsafe { self.core.operations.send(self.fd, bytes, completer) };
        if let Some(token) = token {
            self.outgoing.borrow_mut().state = State::Staged(token);
        }
        Ok(token)
    }

    /// Stages an attempt to write `chunk`.
    ///
    /// # Safety
    ///
    /// The chunk is neither dropped nor changed before the attempt has ended, unless it goes to [`StreamIo::keep`].
    pub(super) unsafe fn stage(self: &Rc<Self>, chunk: &Chunk) -> io::Result<Token> {
        let completer = Rc::clone(self) as Rc<dyn Completer>;
        let op = Op::Send { fd: self.fd, bytes: NonNull::from(&**chunk) };
        // SAFETY: the bytes stay where they are when a chunk is moved, and as they are, as the caller promises. This is
        // the completer, which keeps the chunk if it is given to it. For the descriptor see `stage_copy`.
        let token = unsafe { self.core.start(op, completer)? };
        self.outgoing.borrow_mut().state = State::Staged(token);
        Ok(token)
    }

    /// Whoever staged an attempt is gone. `true` if it will not be made, `false` if it has been, or the reactor has it.
    pub(super) fn give_up(&self, token: Token) -> bool {
        if !self.core.operations.withdraw(token) {
            self.core.operations.is_ending(token);
            return false;
        }
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.state = State::Idle;
        let writer = outgoing.writer.take();
        drop(outgoing);
        // It may be another's, for which the way is free.
        if let Some(writer) = writer {
            wake_contained(writer);
        }
        true
    }

    /// Whoever staged `chunk` is gone. Keeps it until the attempt has ended.
    pub(super) fn keep(&self, chunk: Chunk, token: Token) {
        let mut outgoing = self.outgoing.borrow_mut();
        if matches!(outgoing.state, State::Staged(staged) if staged == token) {
            outgoing.kept = Some(Box::new(chunk));
        }
    }

    fn await_room(self: &Rc<Self>) -> io::Result<Token> {
        let completer = Rc::clone(self) as Rc<dyn Completer>;
        // SAFETY: the operation names no memory. Its descriptor is open: this is called by a method of the
        // stream, or while the stream waits for a staged write; its drop cancels before it closes.
        unsafe { self.core.start(Op::Writable { fd: self.fd }, completer) }
    }
}
