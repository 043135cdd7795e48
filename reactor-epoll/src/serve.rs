//! What events say, and the accepts and receives that they make possible.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use kernel::socket;
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Outcome, Token};
use runtime_core::pool::{Chunk, Pool};
use socket2::SockRef;

use crate::EpollReactor;
use crate::poller::Event;
use crate::table::{Reader, Sort, State, Writer};

/// At most so many connections are accepted from one listener in one turn, so that a flood of connections does not hold up those that
/// are there.
const ACCEPTS: usize = 64;

/// After so many bytes a turn receives no more, so that they are still in a processor's cache when they are read.
const RECEIVED_LEN: usize = 128 * 1024;

/// Readable descriptors that an operation waits on, in the order in which that came to be.
///
/// A descriptor whose operation was cancelled, or that was closed, stays until its turn comes.
#[derive(Default)]
pub(crate) struct Ready {
    accepts: VecDeque<Fd>,
    receives: VecDeque<Fd>,
}

impl Ready {
    /// Queues a descriptor if there is something to do, and if it is not in the queue.
    pub(crate) fn add(&mut self, fd: Fd, state: &mut State) {
        if !state.readable {
            return;
        }
        let (queue, is_in) = match state.reader {
            Some(Reader::Accept(_)) => (&mut self.accepts, &mut state.in_accepts),
            Some(Reader::Receive(_)) => (&mut self.receives, &mut state.in_receives),
            None => return,
        };
        if !*is_in {
            *is_in = true;
            queue.push_back(fd);
        }
    }

    /// Whether there is something to do now. Receives without a chunk to receive into are not.
    pub(crate) fn any(&self, pool: &Pool) -> bool {
        !self.accepts.is_empty() || !self.receives.is_empty() && pool.available() > 0
    }
}

impl EpollReactor {
    /// Takes note of an event, and completes what waited to write. One of a descriptor that is gone is stale.
    pub(crate) fn observe(&mut self, event: Event, done: &mut VecDeque<Completion>) {
        let fd = event.fd();
        let Ok((socket, state)) = self.table.descriptors.get_mut(fd) else { return };
        state.read_on |= event.says_read_on();
        if event.readable() {
            state.readable = true;
            self.ready.add(fd, state);
        }
        if event.writable() {
            state.full = false;
            let (token, outcome) = match state.writer.take() {
                Some(Writer::Connect(token)) => (token, SockRef::from(&socket).take_error()),
                Some(Writer::Writable(token)) => (token, Ok(None)),
                None => return,
            };
            let result = outcome.and_then(|error| error.map_or(Ok(Outcome::Done), Err));
            done.push_back(Completion::last(token, result.map_err(Errno::from)));
        }
    }

    /// Accepts from each listener in the queue until it has no more, or has had its share.
    pub(crate) fn accept(&mut self, done: &mut VecDeque<Completion>) {
        for _ in 0..self.ready.accepts.len() {
            let Some(fd) = self.ready.accepts.pop_front() else { return };
            let Ok((_, state)) = self.table.descriptors.get_mut(fd) else { continue };
            state.in_accepts = false;
            if let (true, Some(Reader::Accept(token))) = (state.readable, state.reader) {
                self.accept_share(token, fd, done);
            }
        }
    }

    fn accept_share(&mut self, token: Token, fd: Fd, done: &mut VecDeque<Completion>) {
        for _ in 0..ACCEPTS {
            let Ok((listener, state)) = self.table.descriptors.get_mut(fd) else { return };
            match SockRef::from(&listener).accept4(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) {
                Ok((socket, _)) => {
                    let sort = state.sort;
                    let accepted = self.table.insert(socket.into(), sort);
                    done.push_back(Completion::one(token, Outcome::Fd(accepted), None));
                }
                Err(error) if error.raw_os_error().is_some_and(socket::is_about_one_connection) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.readable = false;
                    return;
                }
                Err(error) => {
                    // Readable as before: the next accept is tried at once.
                    state.reader = None;
                    return done.push_back(Completion::last(token, Err(error.into())));
                }
            }
        }
        if let Ok((_, state)) = self.table.descriptors.get_mut(fd) {
            self.ready.add(fd, state);
        }
    }

    /// Receives one chunk from each descriptor in the queue, until it is enough for a turn or the pool has no more
    /// chunks.
    pub(crate) fn receive(&mut self, pool: &Rc<Pool>, done: &mut VecDeque<Completion>) {
        let mut left = RECEIVED_LEN;
        for _ in 0..self.ready.receives.len() {
            let Some(chunk) = pool.take() else { return };
            let Some(fd) = self.ready.receives.pop_front() else { return };
            let Ok((socket, state)) = self.table.descriptors.get_mut(fd) else { continue };
            state.in_receives = false;
            let (mut count, then) = receive_chunk(socket, state, chunk, done);
            // The end of a stream comes in the same turn as its last bytes.
            if then == Then::ReadOn
                && let Some(chunk) = pool.take()
            {
                count += receive_chunk(socket, state, chunk, done).0;
            }
            self.ready.add(fd, state);
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    }
}

/// What to do after a receive.
#[derive(PartialEq, Eq)]
enum Then {
    /// Let others have their turn.
    Yield,
    /// Receive once more: it was short, but there may be something other than bytes behind it.
    ReadOn,
}

/// Receives once, if the descriptor is still readable and something still wants it read. How many bytes, and what next.
fn receive_chunk(
    socket: BorrowedFd<'_>,
    state: &mut State,
    mut chunk: Chunk,
    done: &mut VecDeque<Completion>,
) -> (usize, Then) {
    let (true, Some(Reader::Receive(token))) = (state.readable, state.reader) else {
        return (0, Then::Yield);
    };
    let space = chunk.space();
    let room = space.len();
    match socket::receive(socket, space) {
        Ok(0) => {
            state.reader = None;
            done.push_back(Completion::last(token, Ok(Outcome::Done)));
        }
        Ok(count) => {
            chunk.set_len(count);
            done.push_back(Completion::one(token, Outcome::Count(count), Some(Data::Chunk(chunk))));
            if count < room {
                if state.read_on || state.sort != Sort::Tcp {
                    return (count, Then::ReadOn);
                }
                // Whatever came after the last wait has raised an edge, or will.
                state.readable = false;
            }
            return (count, Then::Yield);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            state.readable = false;
            state.read_on = false;
        }
        Err(error) => {
            state.reader = None;
            done.push_back(Completion::last(token, Err(error.into())));
        }
    }
    (0, Then::Yield)
}
