//! What is written to a stream, and who waits for it.
//!
//! ```text
//! Idle   ──write, alone───────────▶ Idle | Full    (attempted at once)
//! Idle   ──write, beside others───▶ Staged(token)  (attempted in the next turn, with theirs)
//! Staged ──taken whole, or failed─▶ Idle           (its write is told)
//! Staged ──no room for all────────▶ Full(token)    (its write is told, and given the rest)
//! Staged ──its write is dropped───▶ Forsaken       (attempted all the same; the rest is dropped)
//! Full   ──room, or an error──────▶ Idle           (wakes the writer, which tries again)
//! ```

use std::cell::RefCell;
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

use super::shared::Shared;

/// Where the outgoing direction of a stream is, and who waits for it.
#[derive(Default)]
pub(super) struct SendSide {
    state: State,
    writer: Option<Waker>,
    /// What came of the last staged write, until its future takes it.
    told: Option<Told>,
    /// In a box, since hardly any stream has some.
    overtaken: Option<Box<Overtaken>>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Idle,
    Staged(Token),
    /// As `Staged`, but nobody waits for it any more.
    Forsaken,
    Full(Token),
}

struct Told {
    write: Token,
    /// None if it was written whole. They are in no buffer of the pool, which others need.
    left: Result<Box<[u8]>, Errno>,
}

/// What came of writes whose futures have not looked before another one's was told: that one had taken their place, so
/// they were not woken.
#[derive(Default)]
struct Overtaken(Vec<Told>);

impl SendSide {
    /// Takes what came of a staged write.
    #[inline]
    fn take_told(&mut self, write: Token) -> Option<Told> {
        let last = self.told.take_if(|told| told.write == write);
        if last.is_some() || self.overtaken.is_none() {
            return last;
        }
        let Overtaken(overtaken) = &mut **self.overtaken.as_mut()?;
        let place = overtaken.iter().position(|told| told.write == write)?;
        Some(overtaken.swap_remove(place))
    }
}

/// What came of a staged write.
pub(super) enum Staged {
    /// It has yet to be attempted.
    Pending,
    /// All of it was written.
    Whole,
    /// This is left of it.
    Rest(Vec<u8>),
}

/// Attempts to write, or leaves the waker if an attempt is staged already or would be in vain.
pub(super) fn poll<S: Sender>(sender: &Rc<S>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    if bytes.is_empty() {
        return Poll::Ready(Ok(0));
    }
    if sender.may_attempt() {
        if let Some(budget) = context::try_with(|core| core.poll_budget(cx)) {
            ready!(budget);
        }
        match sender.io().with_reactor(|reactor| reactor.attempt(sender.fd(), Attempt::Send(bytes))) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let token = sender.await_room()?;
                sender.outgoing().borrow_mut().state = State::Full(token);
            }
            result => return Poll::Ready(result),
        }
    }
    sender.wait(cx);
    Poll::Pending
}

/// Takes the result of a staged write.
#[inline]
pub(super) fn sent<S: Sender>(
    sender: &Rc<S>,
    write: Token,
    result: Result<Outcome<Descriptor>, Errno>,
    data: Option<Data>,
) {
    let Some(data) = data else { unreachable!("a send gives its data back") };
    let count = match result {
        Ok(Outcome::Count(count)) => Ok(count),
        Ok(other) => unreachable!("a send brought {other:?}"),
        Err(Errno::EAGAIN) => Ok(0),
        Err(errno) => Err(errno),
    };
    let mut outgoing = sender.outgoing().borrow_mut();
    let is_awaited = matches!(outgoing.state, State::Staged(_));
    outgoing.state = State::Idle;
    if is_awaited {
        let left: Result<Box<[u8]>, _> = count.map(|count| Box::from(data.get(count..).unwrap_or_default()));
        // Should this fail, the next attempt will say why.
        if left.as_ref().is_ok_and(|rest| !rest.is_empty())
            && let Ok(token) = sender.await_room()
        {
            outgoing.state = State::Full(token);
        }
        if let Some(overtaken) = outgoing.told.replace(Told { write, left }) {
            outgoing.overtaken.get_or_insert_default().0.push(overtaken);
        }
    }
    let writer = outgoing.writer.take();
    drop(outgoing);
    // With nothing borrowed: it gives a buffer back.
    drop(data);
    if let Some(writer) = writer {
        wake_contained(writer);
    }
}

/// There is room, or an attempt will say why there is none.
pub(super) fn has_room(sender: &impl Sender, token: Token) {
    let mut outgoing = sender.outgoing().borrow_mut();
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
pub(super) fn close(sender: &impl Sender) {
    let mut outgoing = sender.outgoing().borrow_mut();
    match outgoing.state {
        State::Full(token) => sender.io().operations().cancel(token),
        State::Staged(token) => {
            sender.io().operations().mark_ending(token);
            outgoing.state = State::Forsaken;
        }
        State::Idle | State::Forsaken => {}
    }
    let writer = outgoing.writer.take();
    drop(outgoing);
    drop_contained(writer);
}

/// A socket to which something is written.
pub(super) trait Sender: Shared {
    fn outgoing(&self) -> &RefCell<SendSide>;

    /// Whether a write that is staged now goes out with others: another is staged, or a task may stage one, and the loop
    /// is running, so that there will be a turn.
    #[inline]
    fn has_company(&self) -> bool {
        self.io().is_running()
            && (self.io().operations().any_send() || context::try_with(|core| core.any_ready()) == Some(true))
    }

    #[inline]
    fn may_attempt(&self) -> bool {
        matches!(self.outgoing().borrow().state, State::Idle)
    }

    /// Whether there was no room, and still is none as far as is known.
    fn is_full(&self) -> bool {
        matches!(self.outgoing().borrow().state, State::Full(_))
    }

    /// Stages an attempt to write `data`.
    #[inline]
    fn stage(self: &Rc<Self>, data: Data) -> io::Result<Token> {
        let completer = Rc::clone(self) as Rc<dyn Completer<Descriptor>>;
        let token = self.io().start(Op::Send { fd: self.fd(), data }, Role::Send, completer)?;
        self.outgoing().borrow_mut().state = State::Staged(token);
        Ok(token)
    }

    /// What came of a staged write, once.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`.
    #[inline]
    fn take_staged(&self, write: Token) -> io::Result<Staged> {
        let mut outgoing = self.outgoing().borrow_mut();
        let Some(told) = outgoing.take_told(write) else { return Ok(Staged::Pending) };
        let rest = told.left?;
        Ok(if rest.is_empty() { Staged::Whole } else { Staged::Rest(rest.into_vec()) })
    }

    /// Nobody waits for a staged write any more. It goes out all the same, but what is left then is dropped.
    fn forsake(&self, write: Token) {
        let mut outgoing = self.outgoing().borrow_mut();
        let told = outgoing.take_told(write);
        if matches!(outgoing.state, State::Staged(staged) if staged == write) {
            outgoing.state = State::Forsaken;
            self.io().operations().mark_ending(write);
        }
        drop(outgoing);
        drop(told);
    }

    /// Leaves the waker.
    #[inline]
    fn wait(&self, cx: &mut Context<'_>) {
        // Cloned and dropped with nothing borrowed: it may be a user's own.
        let waker = cx.waker().clone();
        let mut outgoing = self.outgoing().borrow_mut();
        let replaced = outgoing.writer.replace(waker);
        let came_meanwhile = matches!(outgoing.state, State::Idle);
        drop(outgoing);
        drop(replaced);
        if came_meanwhile {
            // The clone brought it about, when there was nobody to wake.
            cx.waker().wake_by_ref();
        }
        note(Awaits::Operation { name: "write", fd: self.fd() });
    }

    fn await_room(self: &Rc<Self>) -> io::Result<Token> {
        let completer = Rc::clone(self) as Rc<dyn Completer<Descriptor>>;
        self.io().start(Op::Writable { fd: self.fd() }, Role::Room, completer)
    }
}
