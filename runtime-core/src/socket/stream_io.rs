//! The part of a stream that its operations in flight own together with it.

use std::cell::RefCell;
use std::rc::Rc;

use crate::data::Data;
use crate::io::{Descriptor, Io};
use crate::op::{Completion, Fd, Op, Outcome};
use crate::operations::{Completer, Role};

use super::bytes::Unread;
use super::receive::{self, News, ReceiveSide, Receiver};
use super::send::{self, SendSide, Sender};
use super::shared::Shared;

/// How many received bytes may wait in a stream that nobody reads before it stops receiving.
const UNREAD_LIMIT: usize = 64 * 1024;

/// The part of a stream that its operations in flight own together with it.
pub(super) struct StreamIo {
    io: Rc<Io>,
    /// Stale when the stream is gone; then `incoming` is closed.
    fd: Fd,
    incoming: RefCell<ReceiveSide<Unread>>,
    outgoing: RefCell<SendSide>,
}

impl StreamIo {
    pub(super) fn of(descriptor: &Descriptor) -> Rc<Self> {
        Rc::new(Self {
            io: Rc::clone(descriptor.io()),
            fd: descriptor.fd(),
            incoming: RefCell::new(ReceiveSide::new()),
            outgoing: RefCell::default(),
        })
    }
}

impl Shared for StreamIo {
    #[inline]
    fn io(&self) -> &Io {
        &self.io
    }

    #[inline]
    fn fd(&self) -> Fd {
        self.fd
    }
}

impl Sender for StreamIo {
    #[inline]
    fn outgoing(&self) -> &RefCell<SendSide> {
        &self.outgoing
    }
}

impl Receiver for StreamIo {
    type Queue = Unread;

    #[inline]
    fn incoming(&self) -> &RefCell<ReceiveSide<Unread>> {
        &self.incoming
    }

    fn op(&self) -> Op {
        Op::Receive { fd: self.fd }
    }
}

impl Completer<Descriptor> for StreamIo {
    #[inline]
    fn complete(self: Rc<Self>, role: Role, completion: Completion<Descriptor>) {
        let Completion { token, result, more, data } = completion;
        match role {
            Role::Source => {
                let news = match (result, data) {
                    (Ok(Outcome::Count(_)), Some(Data::Chunk(chunk))) => News::Item(chunk),
                    (Ok(Outcome::Done), None) => News::End,
                    (Err(errno), _) => News::Failure(errno),
                    (Ok(other), data) => unreachable!("a receive brought {other:?} and {data:?}"),
                };
                receive::arrived(&self, news, more);
            }
            Role::Send => send::sent(&self, token, result, data),
            Role::Room => send::has_room(&*self, token),
            Role::Request => unreachable!("a stream makes no requests"),
        }
    }

    fn settle(self: Rc<Self>) {
        // What is unread must not keep the pool's chunks from others.
        receive::settle(&*self, |unread| unread.leave_pool() > UNREAD_LIMIT);
    }
}
