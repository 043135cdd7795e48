//! Ends of streams that the kernel forgets to report.
//!
//! A multishot receive stops reading when the socket says that it has no more data, and waits to be woken. If
//! the end came before that, its wake-up is gone: a reset right behind the last bytes (any TCP peer can do
//! that), or any end of a Unix stream (CVE-2026-23473; liburing issue 1549). Kernels with the fix still do it
//! when more than 32 chunks are waiting when the receive is started. The receive would then stay armed for ever.
//!
//! So a receive that has read everything is watched: its socket is looked at a little later, once for all of them. If
//! that has ended, the receive goes on with single shots, which the kernel starts with a look at the socket's state. At
//! rest this costs nothing; under load one `poll(2)` in [`PERIOD`].

use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use runtime_core::clock::{self, Nanos};
use runtime_core::op::Token;
use runtime_core::reactor::Wait;

use crate::UringReactor;
use crate::work::Work;

/// How long an end can go unnoticed.
const PERIOD: Duration = Duration::from_millis(50);

/// How many sockets are looked at in one call.
const BATCH: usize = 64;

/// Receives that may have missed the end of their stream.
#[derive(Debug, Default)]
pub(crate) struct MissedEnds {
    watched: Vec<Token>,
    due: Nanos,
}

impl MissedEnds {
    pub(crate) fn watch(&mut self, token: Token) {
        if self.watched.is_empty() {
            self.due = clock::monotonic().saturating_add(PERIOD);
        }
        self.watched.push(token);
    }

    /// How long nobody need look.
    pub(crate) fn wait(&self) -> Wait {
        if self.watched.is_empty() { Wait::Forever } else { Wait::Until(self.due) }
    }

    fn is_due(&self) -> bool {
        !self.watched.is_empty() && self.due <= clock::monotonic()
    }
}

impl UringReactor {
    /// Receives whose stream has ended, though the kernel has not said so, go on with single shots.
    pub(crate) fn look_for_missed_ends(&mut self) {
        if !self.missed_ends.is_due() {
            return;
        }
        while !self.missed_ends.watched.is_empty() {
            let rest = self.missed_ends.watched.len().saturating_sub(BATCH);
            let mut sockets = [None; BATCH];
            for (place, token) in sockets.iter_mut().zip(self.missed_ends.watched.drain(rest..)) {
                let Some(flight) = self.flights.get_mut(token) else { continue };
                if let Work::Receive(receive) = &mut flight.work {
                    receive.watched = false;
                }
                let socket = flight.multishot_receive().and_then(|fd| self.table.get(fd).ok());
                *place = socket.map(|socket| (token, socket.as_raw_fd()));
            }
            for token in ended(&sockets) {
                self.flights.get_mut(token).expect("it was just there").fallback = true;
                self.recall(token);
            }
        }
    }
}

/// Those of `sockets` whose stream has ended, in whichever way.
fn ended(sockets: &[Option<(Token, RawFd)>; BATCH]) -> impl Iterator<Item = Token> {
    // Errors and hang-ups are reported without being asked for. The number -1 asks for nothing.
    let mut polls = sockets.map(|socket| libc::pollfd {
        fd: socket.map_or(-1, |(_, fd)| fd),
        events: libc::POLLRDHUP,
        revents: 0,
    });
    // `poll(2)` refuses more than RLIMIT_NOFILE, which may be less than a batch, though not less than the sockets.
    let len = sockets.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    // SAFETY: the pointer and the length describe the first `len` of `polls`. The call does not wait.
    unsafe { libc::poll(polls.as_mut_ptr(), len as libc::nfds_t, 0) };
    let tokens = sockets.map(|socket| socket.map(|(token, _)| token));
    tokens.into_iter().zip(polls).filter(|(_, poll)| poll.revents != 0).filter_map(|(token, _)| token)
}
