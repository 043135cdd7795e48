//! What is written to a stream, and who waits for it.
//!
//! ```text
//! Idle     ──write, alone───────────▶ Idle | Full     (attempted at once)
//! Idle     ──write, beside others───▶ Staged(token)   (attempted in the next turn, with theirs)
//! Staged   ──taken whole, or failed─▶ Ended(token)
//! Staged   ──taken in part, no room─▶ Full, with the rest (awaits room)
//! Ended    ──its write is polled────▶ Idle
//! Full     ──room, or an error──────▶ Idle            (wakes the writer, which tries again)
//! any      ──its write is dropped───▶ the same, but what is left of it is dropped
//! ```

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use crate::contain::{drop_contained, wake_contained};
use crate::context;
use crate::data::Data;
use crate::errno::Errno;
use crate::io::Descriptor;
use crate::op::{Attempt, Op, Outcome, Token};
use crate::operations::{Completer, Role};
use crate::task::{Awaits, note};

use super::stream::{Stream, StreamIo};

/// Where the outgoing direction of a stream is, and who waits for it.
#[derive(Default)]
pub(super) struct SendSide {
    state: State,
    writer: Option<Waker>,
    /// What is left of a staged write, and the write's token. In a box, since few streams ever have it.
    rest: Option<Box<(Token, Data)>>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Idle,
    Staged(Token),
    /// As `Staged`, but nobody waits for it any more.
    Forsaken,
    /// All of it was written, or none.
    Ended(Token, Result<(), Errno>),
    Full(Token),
}

/// What came of a staged write.
pub(super) enum Staged {
    /// It has yet to be attempted.
    Pending,
    /// All of it was written.
    Whole,
    /// This is left of it.
    Rest(Data),
}

/// Attempts to write, or leaves the waker if an attempt is staged already or would be in vain.
pub(super) fn poll(stream: &Stream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    if bytes.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let io = &stream.io;
    if io.may_attempt() {
        if let Some(budget) = context::try_with(|core| core.poll_budget(cx)) {
            ready!(budget);
        }
        match stream.descriptor.attempt(Attempt::Send(bytes)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => io.await_room()?,
            result => return Poll::Ready(result),
        }
    }
    io.wait(cx);
    Poll::Pending
}

/// Takes the result of a staged write.
#[inline]
pub(super) fn sent(
    io: &Rc<StreamIo>,
    token: Token,
    result: Result<Outcome<Descriptor>, Errno>,
    data: Option<Data>,
) {
    let Some(mut data) = data else { unreachable!("a send gives its data back") };
    let mut outgoing = io.outgoing.borrow_mut();
    let is_awaited = match outgoing.state {
        State::Staged(staged) => staged == token,
        State::Forsaken | State::Idle | State::Ended(..) | State::Full(_) => false,
    };
    match result {
        Ok(Outcome::Count(count)) => {
            data.advance(count);
            outgoing.state = if is_awaited { State::Ended(token, Ok(())) } else { State::Idle };
        }
        Ok(other) => unreachable!("a send brought {other:?}"),
        Err(Errno::EAGAIN) => outgoing.state = State::Idle,
        Err(errno) => outgoing.state = if is_awaited { State::Ended(token, Err(errno)) } else { State::Idle },
    }
    let failed = matches!(outgoing.state, State::Ended(_, Err(_)));
    if is_awaited && !failed && !data.is_empty() {
        outgoing.rest = Some(Box::new((token, data)));
        drop(outgoing);
        // There was no room for all of it. Should this fail, the next attempt will say why.
        if io.await_room().is_err() {
            io.outgoing.borrow_mut().state = State::Idle;
        }
        outgoing = io.outgoing.borrow_mut();
    }
    // Also when it has to wait for room: until then it may hold something that others need.
    let writer = outgoing.writer.take();
    drop(outgoing);
    if let Some(writer) = writer {
        wake_contained(writer);
    }
}

/// There is room, or an attempt will say why there is none.
pub(super) fn has_room(io: &StreamIo, token: Token) {
    let mut outgoing = io.outgoing.borrow_mut();
    if matches!(outgoing.state, State::Full(full) if full == token) {
        outgoing.state = State::Idle;
    }
    let writer = outgoing.writer.take();
    drop(outgoing);
    if let Some(writer) = writer {
        wake_contained(writer);
    }
}

/// The stream is being dropped. What is staged goes out: the close is staged behind it.
pub(super) fn close(io: &StreamIo) {
    let mut outgoing = io.outgoing.borrow_mut();
    match outgoing.state {
        State::Full(token) => io.io.operations().cancel(token),
        State::Staged(token) => {
            io.io.operations().mark_ending(token);
            outgoing.state = State::Forsaken;
        }
        State::Idle | State::Ended(..) | State::Forsaken => {}
    }
    let writer = outgoing.writer.take();
    drop(outgoing);
    drop_contained(writer);
}

impl StreamIo {
    /// Whether a write that is staged now goes out with others: another is staged, or a task may stage one, and the loop
    /// is running, so that there will be a turn.
    #[inline]
    pub(super) fn has_company(&self) -> bool {
        self.io.is_running()
            && (self.io.operations().any_send() || context::try_with(|core| core.any_ready()) == Some(true))
    }

    #[inline]
    pub(super) fn may_attempt(&self) -> bool {
        matches!(self.outgoing.borrow().state, State::Idle)
    }

    /// Whether there was no room, and still is none as far as is known.
    pub(super) fn is_full(&self) -> bool {
        matches!(self.outgoing.borrow().state, State::Full(_))
    }

    /// Stages an attempt to write `data`.
    #[inline]
    pub(super) fn stage(self: &Rc<Self>, data: Data) -> io::Result<Token> {
        let completer = Rc::clone(self) as Rc<dyn Completer<Descriptor>>;
        let token = self.io.start(Op::Send { fd: self.fd, data }, Role::Send, completer)?;
        self.outgoing.borrow_mut().state = State::Staged(token);
        Ok(token)
    }

    /// What came of a staged write, once.
    #[inline]
    pub(super) fn take_staged(&self, token: Token) -> io::Result<Staged> {
        let mut outgoing = self.outgoing.borrow_mut();
        if let Some(rest) = outgoing.rest.take_if(|rest| rest.0 == token) {
            return Ok(Staged::Rest(rest.1));
        }
        match outgoing.state {
            State::Ended(ended, result) if ended == token => {
                outgoing.state = State::Idle;
                result?;
                Ok(Staged::Whole)
            }
            _ => Ok(Staged::Pending),
        }
    }

    /// Nobody waits for a staged write any more. It goes out all the same, but what is left then is dropped.
    pub(super) fn forsake(&self, token: Token) {
        let mut outgoing = self.outgoing.borrow_mut();
        let rest = outgoing.rest.take_if(|rest| rest.0 == token);
        match outgoing.state {
            State::Staged(staged) if staged == token => {
                outgoing.state = State::Forsaken;
                self.io.operations().mark_ending(token);
            }
            State::Ended(ended, _) if ended == token => outgoing.state = State::Idle,
            State::Staged(_) | State::Ended(..) | State::Idle | State::Full(_) | State::Forsaken => {}
        }
        drop(outgoing);
        drop(rest);
    }

    /// Leaves the waker.
    #[inline]
    pub(super) fn wait(&self, cx: &mut Context<'_>) {
        // Cloned and dropped with nothing borrowed: it may be a user's own.
        let waker = cx.waker().clone();
        let replaced = self.outgoing.borrow_mut().writer.replace(waker);
        drop(replaced);
        note(Awaits::Operation { name: "write", fd: self.fd });
    }

    fn await_room(self: &Rc<Self>) -> io::Result<()> {
        let completer = Rc::clone(self) as Rc<dyn Completer<Descriptor>>;
        let token = self.io.start(Op::Writable { fd: self.fd }, Role::Room, completer)?;
        self.outgoing.borrow_mut().state = State::Full(token);
        Ok(())
    }
}
