//! From the kernel's completions to the contract's.
//!
//! A multishot request may end for reasons of the kernel's own, such as a full queue for completions. That is not the
//! operation's end: it is started again, so an accept or a receive ends only in an error, at the end of the stream, or
//! by a cancel, and its terminal completion never carries data.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};

use io_uring::cqueue;
use kernel::socket;
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Outcome, Token};

use crate::UringReactor;
use crate::flights::Flight;
use crate::submit::{self, Owner};
use crate::work::{Whereabouts, Work};

/// "Interrupted, to be repeated", which a system call never returns but an open in a ring does.
const ERESTARTSYS: i32 = 512;

/// Where a turn's results go.
pub(crate) struct Results<'a> {
    pub(crate) done: &'a mut VecDeque<Completion>,
    pub(crate) sent: &'a mut VecDeque<Completion>,
}

impl Results<'_> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.sent.is_empty()
    }

    #[inline]
    fn push(&mut self, is_send: bool, completion: Completion) {
        let queue = if is_send { &mut self.sent } else { &mut self.done };
        queue.push_back(completion);
    }
}

impl UringReactor {
    /// Collects what has been delivered.
    pub(crate) fn reap(&mut self, results: &mut Results<'_>) {
        while let Some(entry) = self.ring.pop() {
            match Owner::of(entry.user_data()) {
                Owner::Op(token) => self.complete(token, &entry, results),
                Owner::Cancel(slot) => self.cancel_again(slot, entry.result()),
                Owner::Unpark => {
                    self.unparked = true;
                    if !cqueue::more(entry.flags()) {
                        self.watch_unpark();
                    }
                }
            }
        }
    }

    #[inline]
    fn complete(&mut self, token: Token, entry: &cqueue::Entry, results: &mut Results<'_>) {
        let (result, flags) = (entry.result(), entry.flags());
        let more = cqueue::more(flags);
        let flight = self.flights.get_mut(token).expect("the kernel completes only what is under way");
        let (reported, next) = outcome(flight, result, more);
        match &mut flight.work {
            Work::Receive(receive) => {
                if let Some(index) = cqueue::buffer_select(flags) {
                    let buffers = self.buffers.as_mut().expect("receives have a buffer ring");
                    let chunk = buffers.reclaim(index, result.max(0) as usize);
                    receive.fed = true;
                    let read_all = more && !cqueue::sock_nonempty(flags);
                    if read_all && !mem::replace(&mut receive.watched, true) {
                        self.missed_ends.watch(token);
                    }
                    if reported {
                        let outcome = Outcome::Count(chunk.len());
                        results.done.push_back(Completion::one(token, outcome, Some(Data::Chunk(chunk))));
                    }
                }
            }
            Work::Accept { .. } => {
                if reported {
                    // SAFETY: the result of an accept is a new descriptor, which nobody else has seen.
                    let connection = unsafe { OwnedFd::from_raw_fd(result) };
                    let outcome = Outcome::Fd(self.table.insert(connection));
                    results.done.push_back(Completion::one(token, outcome, None));
                }
            }
            // They have one result.
            Work::Send { .. }
            | Work::Writable { .. }
            | Work::Connect { .. }
            | Work::Close { .. }
            | Work::LetGo { .. }
            | Work::Open { .. }
            | Work::Stat { .. }
            | Work::Read { .. }
            | Work::OnThread { .. }
            | Work::Failed { .. } => {}
        }
        match next {
            Next::Continue => {}
            Next::Restart => self.restart(token),
            Next::Fallback => {
                flight.fallback = true;
                self.restart(token);
            }
            Next::Recall => self.recall(token),
            Next::Park => self.flights.park(token),
            Next::End(result) => {
                let work = self.flights.remove(token, &mut self.table);
                // SAFETY: what `outcome` makes of the last result is used here alone: that of an accept it reports.
                results.push(work.is_send(), unsafe { work.end(token, result, &mut self.table) });
            }
        }
    }

    /// A cancel's answer. `ENOENT` with the target still under way means that the kernel could not find it:
    /// it was between two attempts, on its way back to the queue of work. So ask again, or the cancel is lost.
    fn cancel_again(&mut self, slot: usize, result: i32) {
        if result == -libc::ENOENT
            && let Some((token, flight)) = self.flights.in_slot(slot)
            && (flight.cancelled || flight.recalled)
            && matches!(flight.work.whereabouts(), Whereabouts::Waiting | Whereabouts::Accepting)
        {
            self.request(submit::cancel(token));
        }
    }
}

/// What becomes of an operation after one of the kernel's completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The kernel goes on with it.
    Continue,
    /// The kernel has ended it for reasons of its own.
    Restart,
    /// It is started again, in its second way.
    Fallback,
    /// The kernel goes on with it, but shall not.
    Recall,
    /// It needs a chunk, and there is none.
    Park,
    /// It is over, with this result.
    End(Result<u32, Errno>),
}

/// Whether the kernel's result is passed on as one of several, and what comes next.
#[inline]
fn outcome(flight: &Flight, result: i32, more: bool) -> (bool, Next) {
    let or_else = |next| match (more, flight.cancelled) {
        (true, _) => Next::Continue,
        (false, true) => Next::End(Err(Errno::ECANCELED)),
        (false, false) => next,
    };
    let was_recalled = result == -libc::ECANCELED && flight.recalled;
    match flight.work {
        Work::Accept { .. } if result >= 0 => (true, or_else(Next::Restart)),
        // The connection died in the queue. The listener did not.
        Work::Accept { .. } if socket::is_about_one_connection(-result) => (false, or_else(Next::Restart)),
        Work::Receive(_) if result > 0 => (true, or_else(Next::Restart)),
        Work::Receive(_) if result == -libc::ENOBUFS => (false, or_else(Next::Park)),
        Work::Receive(_) if was_recalled => (false, or_else(Next::Restart)),
        Work::Writable { .. } if result > 0 => (false, writable(result, more, or_else(Next::Fallback))),
        Work::Writable { .. } if was_recalled => (false, Next::End(Ok(0))),
        Work::Accept { .. }
        | Work::Receive(_)
        | Work::Writable { .. }
        | Work::Send { .. }
        | Work::Connect { .. }
        | Work::Close { .. }
        | Work::LetGo { .. }
        | Work::Open { .. }
        | Work::Stat { .. }
        | Work::Read { .. }
        | Work::OnThread { .. }
        | Work::Failed { .. } => (false, Next::End(last(result, flight.cancelled))),
    }
}

/// A poll of io_uring always watches for the end of the other direction (`POLLRDHUP`), too, which says nothing
/// of this one.
fn writable(events: i32, more: bool, otherwise: Next) -> Next {
    let worth_while = i32::from(libc::POLLOUT | libc::POLLERR | libc::POLLHUP | libc::POLLNVAL);
    match (events & worth_while != 0, more) {
        (true, true) => Next::Recall,
        (true, false) => Next::End(Ok(0)),
        (false, _) => otherwise,
    }
}

/// The last result of an operation.
fn last(result: i32, cancelled: bool) -> Result<u32, Errno> {
    match u32::try_from(result).map_err(|_| -result) {
        Ok(count) => Ok(count),
        // This is how a worker thread of the kernel takes a cancel.
        Err(libc::EINTR | ERESTARTSYS) if cancelled => Err(Errno::ECANCELED),
        Err(ERESTARTSYS) => Err(Errno::EINTR),
        Err(errno) => Err(Errno::new(errno)),
    }
}

#[cfg(test)]
mod tests {
    use runtime_core::op::Fd;

    use super::*;

    const FD: Fd = Fd::new(3, 0);
    const CANCELED: Next = Next::End(Err(Errno::ECANCELED));
    const OK: Next = Next::End(Ok(0));
    const ROOM: i32 = libc::POLLOUT as i32;
    const HALF_CLOSED: i32 = libc::POLLRDHUP as i32;

    fn accept() -> Work {
        Work::Accept { fd: FD }
    }

    fn receive() -> Work {
        Work::receive(FD)
    }

    fn writable() -> Work {
        Work::Writable { fd: FD }
    }

    fn open() -> Work {
        Work::Open { path: c"a file".into() }
    }

    fn failed(errno: i32) -> Next {
        Next::End(Err(Errno::new(errno)))
    }

    #[test]
    fn what_becomes_of_an_operation() {
        // The operation, the kernel's result, whether more follow; whether it is reported; what comes next in
        // general, and if a cancel has been asked for.
        type Case = (fn() -> Work, i32, bool, bool, Next, Next);
        let cases: [Case; 20] = [
            (accept, 0, true, true, Next::Continue, Next::Continue),
            (accept, 9, false, true, Next::Restart, CANCELED),
            (accept, -libc::ECONNABORTED, false, false, Next::Restart, CANCELED),
            (accept, -libc::EPROTO, true, false, Next::Continue, Next::Continue),
            (accept, -libc::ENETDOWN, false, false, Next::Restart, CANCELED),
            (accept, -libc::EMFILE, false, false, failed(libc::EMFILE), failed(libc::EMFILE)),
            (receive, 5, true, true, Next::Continue, Next::Continue),
            (receive, 5, false, true, Next::Restart, CANCELED),
            (receive, 0, false, false, OK, OK),
            (receive, -libc::ENOBUFS, false, false, Next::Park, CANCELED),
            (receive, -libc::ECANCELED, false, false, CANCELED, CANCELED),
            (receive, -libc::ECONNRESET, false, false, failed(libc::ECONNRESET), failed(libc::ECONNRESET)),
            (writable, ROOM, false, false, OK, OK),
            (writable, ROOM | HALF_CLOSED, true, false, Next::Recall, Next::Recall),
            (writable, HALF_CLOSED, false, false, Next::Fallback, CANCELED),
            (writable, HALF_CLOSED, true, false, Next::Continue, Next::Continue),
            (open, 9, false, false, Next::End(Ok(9)), Next::End(Ok(9))),
            (open, -libc::ENOENT, false, false, failed(libc::ENOENT), failed(libc::ENOENT)),
            (open, -libc::EINTR, false, false, failed(libc::EINTR), CANCELED),
            (open, -ERESTARTSYS, false, false, failed(libc::EINTR), CANCELED),
        ];
        for (at, (work, result, more, reported, next, next_if_cancelled)) in cases.into_iter().enumerate() {
            let mut flight = Flight::new(0, work());
            assert_eq!(outcome(&flight, result, more), (reported, next), "case {at}");
            flight.cancelled = true;
            assert_eq!(outcome(&flight, result, more), (reported, next_if_cancelled), "case {at}, cancelled");
        }
    }

    #[test]
    fn what_the_reactor_has_recalled() {
        for (work, next) in [(receive(), Next::Restart), (writable(), OK)] {
            let mut flight = Flight::new(0, work);
            flight.recalled = true;
            assert_eq!(outcome(&flight, -libc::ECANCELED, false), (false, next));
        }
    }
}
