//! From the kernel's completions to the contract's.
//!
//! A multishot request may end for reasons of the kernel's own, such as a full completion queue (fault 25).
//! That is not the operation's end: it is started again, so an [`Op::Accept`] or [`Op::Receive`] ends only in
//! an error, at the end of the stream, or by a cancel, and its terminal completion never carries data.

use io_uring::cqueue;
use runtime_core::op::{Op, Token};
use runtime_core::reactor::Completion;
use runtime_core::sys;

use crate::UringReactor;
use crate::flights::Flight;
use crate::submit::{self, Owner};

impl UringReactor {
    /// Collects what has been delivered.
    pub(crate) fn reap(&mut self, done: &mut Vec<Completion>) {
        while let Some(entry) = self.ring.pop() {
            match Owner::of(entry.user_data()) {
                Owner::Op(token) => self.complete(token, &entry, done),
                Owner::Cancel(slot) => self.cancel_again(slot, entry.result()),
                Owner::Unpark => {
                    self.unpark_armed = cqueue::more(entry.flags());
                    self.unparked = true;
                }
            }
        }
    }

    fn complete(&mut self, token: Token, entry: &cqueue::Entry, done: &mut Vec<Completion>) {
        let chunk = cqueue::buffer_select(entry.flags()).map(|index| {
            let buffers = self.buffers.as_mut().expect("only a receive takes a buffer");
            buffers.reclaim(index, entry.result().max(0) as usize)
        });
        let more = cqueue::more(entry.flags());
        let read_all = chunk.is_some() && more && !cqueue::sock_nonempty(entry.flags());
        let flight = self.flights.get_mut(token).expect("the kernel completes only what is under way");
        if read_all && !std::mem::replace(&mut flight.suspect, true) {
            self.suspects.add(token);
        }
        flight.fed |= chunk.is_some();
        let (reported, next) = outcome(flight, entry.result(), more);
        if reported {
            done.push(Completion { token, result: entry.result(), more: true, chunk });
        }
        match next {
            Next::Continue => {}
            Next::Restart => self.start(token),
            Next::Fallback => {
                flight.fallback = true;
                self.start(token);
            }
            Next::Recall => self.recall(token),
            Next::Park => self.flights.park(token),
            Next::End(result) => self.end(token, result, done),
        }
    }

    /// Reports the terminal completion.
    pub(crate) fn end(&mut self, token: Token, result: i32, done: &mut Vec<Completion>) {
        self.flights.end(token);
        done.push(Completion { token, result, more: false, chunk: None });
    }

    /// A cancel's answer. `ENOENT` with the target still under way means that the kernel could not find it:
    /// it was between two attempts, on its way back to the queue of work. So ask again, or the cancel is lost.
    fn cancel_again(&mut self, slot: usize, result: i32) {
        if result == -libc::ENOENT
            && let Some(flight) = self.flights.in_slot(slot)
            && (flight.cancelled || flight.recalled)
        {
            self.request(submit::cancel(flight.token));
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
    End(i32),
}

/// Whether the kernel's result is passed on as one of several, and what comes next.
fn outcome(flight: &Flight, result: i32, more: bool) -> (bool, Next) {
    let or_else = |next| match (more, flight.cancelled) {
        (true, _) => Next::Continue,
        (false, true) => Next::End(-libc::ECANCELED),
        (false, false) => next,
    };
    match flight.op {
        Op::Accept { .. } if result >= 0 => (true, or_else(Next::Restart)),
        // The connection died in the queue (fault 35). The listener did not.
        Op::Accept { .. } if sys::is_about_one_connection(-result) => (false, or_else(Next::Restart)),
        Op::Receive { .. } if result > 0 => (true, or_else(Next::Restart)),
        Op::Receive { .. } if result == -libc::ENOBUFS => (false, or_else(Next::Park)),
        Op::Receive { .. } if result == -libc::ECANCELED && flight.recalled => {
            (false, or_else(Next::Restart))
        }
        Op::Writable { .. } if result > 0 => (false, writable(result, more, or_else(Next::Fallback))),
        Op::Writable { .. } if result == -libc::ECANCELED && flight.recalled => (false, Next::End(0)),
        // This is how a worker thread of the kernel takes a cancel.
        _ if result == -libc::EINTR && flight.cancelled => (false, Next::End(-libc::ECANCELED)),
        _ => (false, Next::End(result)),
    }
}

/// A poll of io_uring always watches for the end of the other direction (`POLLRDHUP`), too, which says nothing
/// of this one.
fn writable(events: i32, more: bool, otherwise: Next) -> Next {
    let worth_while = i32::from(libc::POLLOUT | libc::POLLERR | libc::POLLHUP | libc::POLLNVAL);
    match (events & worth_while != 0, more) {
        (true, true) => Next::Recall,
        (true, false) => Next::End(0),
        (false, _) => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: Op = Op::Accept { fd: 3 };
    const RECEIVE: Op = Op::Receive { fd: 3 };
    const WRITABLE: Op = Op::Writable { fd: 3 };
    const CLOSE: Op = Op::Close { fd: 3 };

    const CANCELED: Next = Next::End(-libc::ECANCELED);
    const ROOM: i32 = libc::POLLOUT as i32;
    const HALF_CLOSED: i32 = libc::POLLRDHUP as i32;

    #[test]
    fn what_becomes_of_an_operation() {
        // The operation, the kernel's result, whether more follow; whether it is reported; what comes next in
        // general, and if a cancel has been asked for.
        let cases = [
            (ACCEPT, 0, true, true, Next::Continue, Next::Continue),
            (ACCEPT, 9, false, true, Next::Restart, CANCELED),
            (ACCEPT, -libc::ECONNABORTED, false, false, Next::Restart, CANCELED),
            (ACCEPT, -libc::EPROTO, true, false, Next::Continue, Next::Continue),
            (ACCEPT, -libc::ENETDOWN, false, false, Next::Restart, CANCELED),
            (ACCEPT, -libc::EMFILE, false, false, Next::End(-libc::EMFILE), Next::End(-libc::EMFILE)),
            (RECEIVE, 5, true, true, Next::Continue, Next::Continue),
            (RECEIVE, 5, false, true, Next::Restart, CANCELED),
            (RECEIVE, 0, false, false, Next::End(0), Next::End(0)),
            (RECEIVE, -libc::ENOBUFS, false, false, Next::Park, CANCELED),
            (RECEIVE, -libc::ECANCELED, false, false, CANCELED, CANCELED),
            (
                RECEIVE,
                -libc::ECONNRESET,
                false,
                false,
                Next::End(-libc::ECONNRESET),
                Next::End(-libc::ECONNRESET),
            ),
            (WRITABLE, ROOM, false, false, Next::End(0), Next::End(0)),
            (WRITABLE, ROOM | HALF_CLOSED, true, false, Next::Recall, Next::Recall),
            (WRITABLE, HALF_CLOSED, false, false, Next::Fallback, CANCELED),
            (WRITABLE, HALF_CLOSED, true, false, Next::Continue, Next::Continue),
            (CLOSE, 0, false, false, Next::End(0), Next::End(0)),
            (CLOSE, -libc::EINTR, false, false, Next::End(-libc::EINTR), CANCELED),
        ];
        for (op, result, more, reported, next, next_if_cancelled) in cases {
            let mut flight = Flight::new(Token::new(0, 0), op);
            assert_eq!(outcome(&flight, result, more), (reported, next), "{op:?}, {result}, {more}");
            flight.cancelled = true;
            let cancelled = outcome(&flight, result, more);
            assert_eq!(cancelled, (reported, next_if_cancelled), "cancelled {op:?}, {result}, {more}");
        }
    }

    #[test]
    fn what_the_reactor_has_recalled() {
        for (op, next) in [(RECEIVE, Next::Restart), (WRITABLE, Next::End(0))] {
            let mut flight = Flight::new(Token::new(0, 0), op);
            flight.recalled = true;
            assert_eq!(outcome(&flight, -libc::ECANCELED, false), (false, next), "{op:?}");
        }
    }
}
