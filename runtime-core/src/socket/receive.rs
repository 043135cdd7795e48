//! What arrives at a socket, bytes or connections, and who waits for it.
//!
//! ```text
//! Idle     ──wanted, queue empty──▶ Armed
//! Armed    ──result───────────────▶ Armed      (queue it, wake the reader)
//! Armed    ──terminal─────────────▶ Idle | Ended | Failed
//! Armed    ──reader dropped───────▶ Armed      (what arrives stays in the queue)
//! Armed    ──too much unread──────▶ Pausing ──terminal──▶ Idle | Ended | Failed
//! Failed   ──reported, once───────▶ Idle       (the queue comes first: data before the error)
//! any      ──socket dropped───────▶ Closed     (the operation is cancelled; results are thrown away)
//! ```

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::contain::{drop_contained, wake_contained};
use crate::errno::Errno;
use crate::io::Descriptor;
use crate::op::{Op, Token};
use crate::operations::{Completer, Role};
use crate::task::{Awaits, note};

use super::shared::Shared;

/// What has arrived, what is under way, and who waits for it.
pub(super) struct ReceiveSide<Q> {
    state: State,
    queue: Q,
    reader: Option<Waker>,
    /// Is to settle before the next turn.
    unsettled: bool,
}

#[derive(Clone, Copy)]
enum State {
    Idle,
    Armed(Token),
    Pausing,
    Ended,
    Failed(Errno),
    Closed,
}

impl<Q: Queue> ReceiveSide<Q> {
    pub(super) fn new() -> Self {
        Self { state: State::Idle, queue: Q::default(), reader: None, unsettled: false }
    }
}

/// What has arrived and is not taken yet.
pub(super) trait Queue: Default {
    /// What one result brings.
    type Item;

    fn is_empty(&self) -> bool;

    fn push(&mut self, item: Self::Item);
}

impl<T> Queue for VecDeque<T> {
    type Item = T;

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn push(&mut self, item: T) {
        self.push_back(item);
    }
}

/// A socket at which something arrives.
pub(super) trait Receiver: Shared {
    /// Where what arrives is kept.
    type Queue: Queue;

    fn incoming(&self) -> &RefCell<ReceiveSide<Self::Queue>>;

    /// The operation that brings it.
    fn op(&self) -> Op;
}

/// Lets `take` have the queue if anything is in it; `None` when nothing will arrive any more. Otherwise sees to
/// it that the operation is armed, and leaves the waker.
pub(super) fn poll<R: Receiver, T>(
    receiver: &Rc<R>,
    cx: &mut Context<'_>,
    take: impl FnOnce(&mut R::Queue) -> T,
) -> Poll<io::Result<Option<T>>> {
    let mut incoming = receiver.incoming().borrow_mut();
    if !incoming.queue.is_empty() {
        return Poll::Ready(Ok(Some(take(&mut incoming.queue))));
    }
    match incoming.state {
        State::Ended | State::Closed => return Poll::Ready(Ok(None)),
        State::Failed(errno) => {
            incoming.state = State::Idle;
            return Poll::Ready(Err(errno.into()));
        }
        State::Idle => {
            incoming.state = State::Armed(arm(receiver)?);
        }
        State::Armed(_) | State::Pausing => {}
    }
    drop(incoming);
    // Cloned and dropped with nothing borrowed: it may be a user's own.
    let waker = cx.waker().clone();
    let mut incoming = receiver.incoming().borrow_mut();
    let replaced = incoming.reader.replace(waker);
    let is_under_way = matches!(incoming.state, State::Armed(_) | State::Pausing);
    let came_meanwhile = !incoming.queue.is_empty() || !is_under_way;
    drop(incoming);
    drop(replaced);
    if came_meanwhile {
        // The clone brought it about, when there was nobody to wake.
        cx.waker().wake_by_ref();
    }
    note(Awaits::Operation { name: receiver.op().name(), fd: receiver.fd() });
    Poll::Pending
}

/// What one result of the operation says.
pub(super) enum News<T> {
    /// Something arrived.
    Item(T),
    /// Nothing will arrive any more.
    End,
    /// The operation failed.
    Failure(Errno),
}

/// Takes one result of the operation; `more` of them follow or not.
#[inline]
pub(super) fn arrived<R: Receiver>(receiver: &Rc<R>, news: News<<R::Queue as Queue>::Item>, more: bool) {
    let mut incoming = receiver.incoming().borrow_mut();
    if let State::Closed = incoming.state {
        // `news` is dropped last, when nothing is borrowed any more.
        return;
    }
    let (item, ended) = match news {
        News::Item(item) => (Some(item), State::Idle),
        News::End => (None, State::Ended),
        // A pause, or the end of the runtime: no news for a reader.
        News::Failure(Errno::ECANCELED) => (None, State::Idle),
        News::Failure(errno) => (None, State::Failed(errno)),
    };
    if item.is_some() && !std::mem::replace(&mut incoming.unsettled, true) {
        receiver.io().operations().settle_later(Rc::clone(receiver) as Rc<dyn Completer<Descriptor>>);
    }
    if !more {
        incoming.state = ended;
    }
    if let Some(item) = item {
        incoming.queue.push(item);
    }
    // A reader who waits for more than this operation has brought needs another one.
    if let (State::Idle, true, true) = (incoming.state, incoming.queue.is_empty(), incoming.reader.is_some())
        && let Ok(token) = arm(receiver)
    {
        incoming.state = State::Armed(token);
        return;
    }
    let reader = incoming.reader.take();
    drop(incoming);
    if let Some(reader) = reader {
        wake_contained(reader);
    }
}

/// Before the next turn, when the reader has had its turn: `too_much` looks through what it left behind, and
/// says whether the operation is to pause.
pub(super) fn settle<R: Receiver>(receiver: &R, too_much: impl FnOnce(&mut R::Queue) -> bool) {
    let mut incoming = receiver.incoming().borrow_mut();
    incoming.unsettled = false;
    let too_much = too_much(&mut incoming.queue);
    if let (State::Armed(token), true) = (incoming.state, too_much) {
        incoming.state = State::Pausing;
        receiver.io().operations().cancel(token);
    }
}

/// The socket is being dropped: cancels the operation and throws away what has arrived. The close that follows
/// is the descriptor's own drop.
pub(super) fn close<R: Receiver>(receiver: &R) {
    let mut incoming = receiver.incoming().borrow_mut();
    if let State::Armed(token) = std::mem::replace(&mut incoming.state, State::Closed) {
        receiver.io().operations().cancel(token);
    }
    let unread = std::mem::take(&mut incoming.queue);
    let reader = incoming.reader.take();
    drop(incoming);
    drop(unread);
    drop_contained(reader);
}

fn arm<R: Receiver>(receiver: &Rc<R>) -> io::Result<Token> {
    let completer = Rc::clone(receiver) as Rc<dyn Completer<Descriptor>>;
    receiver.io().start(receiver.op(), Role::Source, completer)
}
