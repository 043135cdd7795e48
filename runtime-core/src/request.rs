//! Operations with a single result, and the one future that waits for it.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::contain::{drop_contained, wake_contained};
use crate::data::Data;
use crate::io::{Descriptor, Io};
use crate::op::{Completion, Op, Outcome, Token};
use crate::operations::{Completer, Role};
use crate::task::{Awaits, note};

/// What an operation with a single result is made from, and what is made of that result.
pub(crate) trait Request {
    /// What whoever awaits it gets.
    type Output;

    /// The operation.
    fn op(self) -> Op;

    /// Makes the output of the result, and of the data that the operation owned.
    fn finish(result: io::Result<Outcome<Descriptor>>, data: Option<Data>) -> Self::Output;
}

/// A request under way. Dropping it cancels the operation; what comes of that all the same is dropped, too.
pub(crate) struct InFlight<R: Request> {
    state: State<R::Output>,
}

enum State<T> {
    Started {
        io: Rc<Io>,
        token: Token,
        awaits: Awaits,
        reply: Rc<Reply>,
    },
    /// It could not be started.
    Refused(T),
    /// It has been ready.
    Over,
}

/// Where the result comes to.
#[derive(Default)]
struct Reply {
    completion: Cell<Option<Completion<Descriptor>>>,
    waiter: RefCell<Option<Waker>>,
}

impl<R: Request> InFlight<R> {
    /// Starts the operation, in the next turn.
    pub(crate) fn start(io: &Rc<Io>, request: R) -> Self {
        let op = request.op();
        if !io.is_open() {
            return Self { state: State::Refused(R::finish(Err(io.gone()), op.into_data())) };
        }
        let awaits = match op.fd() {
            Some(fd) => Awaits::Operation { name: op.name(), fd },
            None => Awaits::Named(op.name()),
        };
        let reply = Rc::<Reply>::default();
        let token =
            io.operations().start(op, Role::Request, Rc::clone(&reply) as Rc<dyn Completer<Descriptor>>);
        Self { state: State::Started { io: Rc::clone(io), token, awaits, reply } }
    }
}

// Nothing in it is pinned.
impl<R: Request> Unpin for InFlight<R> {}

impl<R: Request> Future for InFlight<R> {
    type Output = R::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R::Output> {
        if let State::Started { awaits, reply, .. } = &self.state {
            // Cloned before anything is looked at: it may be a user's own, whose code brings the result about.
            let waker = cx.waker().clone();
            let Some(Completion { result, data, .. }) = reply.completion.take() else {
                let replaced = reply.waiter.replace(Some(waker));
                drop(replaced);
                note(*awaits);
                return Poll::Pending;
            };
            drop_contained(waker);
            self.state = State::Over;
            return Poll::Ready(R::finish(result.map_err(io::Error::from), data));
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Refused(output) => Poll::Ready(output),
            State::Started { .. } | State::Over => panic!("a request was polled after it was ready"),
        }
    }
}

impl<R: Request> Drop for InFlight<R> {
    fn drop(&mut self) {
        if let State::Started { io, token, reply, .. } = &self.state {
            io.operations().cancel(*token);
            drop_contained(reply.waiter.take());
        }
    }
}

impl Completer<Descriptor> for Reply {
    fn complete(self: Rc<Self>, _: Role, completion: Completion<Descriptor>) {
        // The future has the other half. If it is gone, what came is dropped here.
        self.completion.set(Some(completion));
        if let Some(waiter) = self.waiter.take() {
            wake_contained(waiter);
        }
    }
}
