//! What events say, and the accepts and receives that they make possible.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::rc::Rc;

use runtime_core::pool::{Chunk, Pool};
use runtime_core::reactor::Completion;
use runtime_core::sys;
use socket2::SockRef;

use crate::EpollReactor;
use crate::perform::terminal;
use crate::poller::Event;
use crate::table::{Descriptor, Reader, Waiting, Writer};

/// How many times one listener is asked in one turn, so that a flood of connections does not hold up those that
/// are there.
const ACCEPTS: usize = 64;

/// After so many bytes a turn receives no more, so that they are still in a processor's cache when they are read.
const RECEIVED_LEN: usize = 128 * 1024;

/// Readable descriptors that an operation waits on, in the order in which that came to be.
///
/// A descriptor whose operation was cancelled stays until its turn comes.
#[derive(Default)]
pub(crate) struct Ready {
    accepts: VecDeque<RawFd>,
    receives: VecDeque<RawFd>,
}

impl Ready {
    /// Queues a descriptor if there is something to do, and if it is not in the queue.
    pub(crate) fn add(&mut self, fd: RawFd, descriptor: &mut Descriptor) {
        if !descriptor.readable {
            return;
        }
        let (queue, is_in) = match descriptor.reader {
            Some(Reader::Accept(_)) => (&mut self.accepts, &mut descriptor.in_accepts),
            Some(Reader::Receive(_)) => (&mut self.receives, &mut descriptor.in_receives),
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
    /// Takes note of an event, and completes what waited to write.
    pub(crate) fn observe(&mut self, event: Event, done: &mut Vec<Completion>) {
        let Some((fd, descriptor)) = self.table.watched_with(event.data) else { return };
        descriptor.read_on |= event.says_read_on();
        if event.readable() {
            descriptor.readable = true;
            self.ready.add(fd, descriptor);
        }
        if event.writable() {
            descriptor.full = false;
            match descriptor.writer.take() {
                Some(Writer::Connect(Waiting { token, fd })) => {
                    let outcome = SockRef::from(&fd).take_error().and_then(|error| error.map_or(Ok(()), Err));
                    done.push(terminal(token, outcome.map(|()| 0)));
                }
                Some(Writer::Writable(Waiting { token, .. })) => done.push(terminal(token, Ok(0))),
                None => {}
            }
        }
    }

    /// Accepts from each listener in the queue until it has no more, or has had its share.
    pub(crate) fn accept(&mut self, done: &mut Vec<Completion>) {
        for _ in 0..self.ready.accepts.len() {
            let Some(fd) = self.ready.accepts.pop_front() else { return };
            let descriptor = self.table.get(fd);
            descriptor.in_accepts = false;
            if let (true, Some(Reader::Accept(waiting))) = (descriptor.readable, descriptor.reader) {
                self.accept_share(waiting, done);
                self.ready.add(fd, self.table.get(fd));
            }
        }
    }

    fn accept_share(&mut self, listener: Waiting, done: &mut Vec<Completion>) {
        let Waiting { token, fd } = listener;
        for _ in 0..ACCEPTS {
            match SockRef::from(&fd).accept4(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) {
                Ok((socket, _)) => {
                    let result = socket.into_raw_fd();
                    self.welcome(result);
                    done.push(Completion { token, result, more: true, chunk: None });
                }
                Err(error) if error.raw_os_error().is_some_and(sys::is_about_one_connection) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.table.get(fd.as_raw_fd()).readable = false;
                    return;
                }
                Err(error) => {
                    // Readable as before: the next accept is tried at once.
                    self.table.get(fd.as_raw_fd()).reader = None;
                    return done.push(terminal(token, Err(error)));
                }
            }
        }
    }

    /// Receives one chunk from each descriptor in the queue, until it is enough for a turn or the pool has no more
    /// chunks.
    pub(crate) fn receive(&mut self, pool: &Rc<Pool>, done: &mut Vec<Completion>) {
        let mut left = RECEIVED_LEN;
        for _ in 0..self.ready.receives.len() {
            let Some(chunk) = pool.take() else { return };
            let Some(fd) = self.ready.receives.pop_front() else { return };
            let descriptor = self.table.get(fd);
            descriptor.in_receives = false;
            let (mut count, then) = receive_chunk(descriptor, chunk, done);
            // The end of a stream comes in the same turn as its last bytes.
            if then == Then::ReadOn
                && let Some(chunk) = pool.take()
            {
                count += receive_chunk(descriptor, chunk, done).0;
            }
            self.ready.add(fd, descriptor);
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
fn receive_chunk(descriptor: &mut Descriptor, mut chunk: Chunk, done: &mut Vec<Completion>) -> (usize, Then) {
    let (true, Some(Reader::Receive(Waiting { token, fd }))) = (descriptor.readable, descriptor.reader)
    else {
        return (0, Then::Yield);
    };
    let space = chunk.space();
    let room = space.len();
    match sys::receive(fd, space) {
        Ok(0) => {
            descriptor.reader = None;
            done.push(terminal(token, Ok(0)));
        }
        Ok(count) => {
            chunk.set_len(count);
            done.push(Completion { token, result: count as i32, more: true, chunk: Some(chunk) });
            if count < room {
                if descriptor.read_on || !descriptor.short_means_drained {
                    return (count, Then::ReadOn);
                }
                // Whatever came after the last wait has raised an edge, or will.
                descriptor.readable = false;
            }
            return (count, Then::Yield);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            descriptor.readable = false;
            descriptor.read_on = false;
        }
        Err(error) => {
            descriptor.reader = None;
            done.push(terminal(token, Err(error)));
        }
    }
    (0, Then::Yield)
}
