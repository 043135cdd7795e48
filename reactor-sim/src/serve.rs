//! What has happened to sockets, and the operations that it completes.

use std::collections::VecDeque;
use std::rc::Rc;

use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Outcome, Token};
use runtime_core::pool::Pool;

use crate::descriptors::{Descriptor, Reader, Waiting, Writer};
use crate::network::socket::SocketId;
use crate::reactor::SimReactor;

/// How many connections one listener gives in one turn, so that a flood of them does not hold up others.
const MOST_ACCEPTS: usize = 64;

/// After so many bytes a turn receives no more.
const MOST_RECEIVED_LEN: usize = 128 * 1024;

/// What is to become of a socket that was looked at.
enum Then {
    /// It is told of when something happens to it.
    Rest,
    /// There is more to do, after the others.
    Again,
    /// There is something to do, and it could not be done.
    First,
}

impl SimReactor {
    /// Reports the calls that have ended.
    pub(crate) fn report_jobs(&mut self, done: &mut VecDeque<Completion>) {
        let finished = self.jobs.take_finished();
        self.network.with(|state| state.calls -= finished.len());
        done.extend(finished.into_iter().map(|token| Completion::last(token, Ok(Outcome::Done))));
    }

    /// Looks at each socket that something has happened to, and completes what that makes possible: of each a share,
    /// so that all have theirs.
    pub(crate) fn serve(&mut self, pool: &Rc<Pool>, done: &mut VecDeque<Completion>) {
        let ready = self.network.with(|state| state.take_ready(self.node));
        let (mut first, mut left) = (Vec::new(), MOST_RECEIVED_LEN);
        for fd in ready {
            let Ok(&Descriptor { socket, reader, writer }) = self.descriptors.get(fd) else { continue };
            if let Some(writer) = writer {
                self.serve_writer(socket, writer, done);
            }
            let then = match reader {
                Some(Waiting { token, kind: Reader::Accept }) => self.accept_share(socket, token, done),
                Some(Waiting { kind: Reader::Receive, .. }) if left == 0 => Then::First,
                Some(Waiting { token, kind: Reader::Receive }) => {
                    self.receive_chunk(socket, token, pool, &mut left, done)
                }
                None => Then::Rest,
            };
            match then {
                Then::Rest => {}
                Then::Again => self.network.with(|state| state.notify(socket)),
                Then::First => first.push(socket),
            }
        }
        self.network.with(|state| state.put_back(self.node, first));
    }

    /// Whether looking would complete something.
    pub(crate) fn has_results(&self, pool: &Pool) -> bool {
        self.network.with(|state| {
            state.ready(self.node).any(|fd| {
                let Ok(&Descriptor { socket, reader, writer }) = self.descriptors.get(fd) else {
                    return false;
                };
                let reads = reader.is_some_and(|reader| match reader.kind {
                    Reader::Accept => state.is_acceptable(socket),
                    Reader::Receive if state.unread(socket) > 0 => pool.available() > 0,
                    Reader::Receive => state.end(socket).is_some(),
                });
                let writes = writer.is_some_and(|writer| match writer.kind {
                    Writer::Connect => state.is_decided(socket),
                    Writer::Writable => state.is_writable(socket),
                });
                reads || writes
            })
        })
    }

    fn serve_writer(&mut self, socket: SocketId, writer: Waiting<Writer>, done: &mut VecDeque<Completion>) {
        let result = self.network.with(|state| match writer.kind {
            Writer::Connect => state.connected(socket),
            Writer::Writable if state.is_writable(socket) => Ok(()),
            Writer::Writable => Err(Errno::EAGAIN),
        });
        if result != Err(Errno::EAGAIN) {
            self.end(writer.token, result, done);
        }
    }

    fn accept_share(&mut self, listener: SocketId, token: Token, done: &mut VecDeque<Completion>) -> Then {
        for _ in 0..MOST_ACCEPTS {
            match self.network.with(|state| state.accept(listener)) {
                Ok(child) => {
                    let fd = self.own(child);
                    done.push_back(Completion::one(token, Outcome::Fd(fd), None));
                }
                Err(Errno::EAGAIN) => return Then::Rest,
                Err(error) => {
                    self.end(token, Err(error), done);
                    return Then::Rest;
                }
            }
        }
        Then::Again
    }

    fn receive_chunk(
        &mut self,
        socket: SocketId,
        token: Token,
        pool: &Rc<Pool>,
        left: &mut usize,
        done: &mut VecDeque<Completion>,
    ) -> Then {
        let unread = self.network.with(|state| state.unread(socket));
        if unread > 0 {
            let Some(mut chunk) = pool.take() else { return Then::First };
            let count = self.network.with(|state| {
                let len = state.share_of(unread.min(pool.chunk_len()));
                state.read(socket, &mut chunk.space()[..len])
            });
            chunk.set_len(count);
            *left = left.saturating_sub(count);
            done.push_back(Completion::one(token, Outcome::Count(count), Some(Data::Chunk(chunk))));
            if count < unread {
                return Then::Again;
            }
        }
        // The end of a stream comes in the same turn as its last bytes.
        if let Some(result) = self.network.with(|state| state.take_end(socket)) {
            self.end(token, result, done);
        }
        Then::Rest
    }

    fn end(&mut self, token: Token, result: Result<(), Errno>, done: &mut VecDeque<Completion>) {
        self.descriptors.end_wait(token);
        done.push_back(Completion::last(token, result.map(|()| Outcome::Done)));
    }
}
