//! Ends of streams that the kernel forgets to report.
//!
//! A multishot receive stops reading when the socket says that it has no more data, and waits to be woken. If
//! the end came before that, its wake-up is gone: a reset right behind the last bytes (any TCP peer can do
//! that), or any end of a Unix stream (CVE-2026-23473; liburing issue 1549). Kernels with the fix still do it
//! when more than 32 chunks are waiting when the receive is started. The receive would then stay armed for ever.
//!
//! So a receive that has read everything is under suspicion, until a look at its socket a little later, once
//! for all of them, says otherwise. If the socket has ended, the receive goes on with single shots, which the
//! kernel starts with a look at the socket's state. At rest this costs nothing; under load one `poll(2)`
//! in [`PERIOD`].

use std::os::fd::RawFd;
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::op::Token;
use runtime_core::reactor::{Reactor, Wait};
use runtime_core::sys;

use crate::UringReactor;

/// How long an end can go unnoticed.
const PERIOD: Duration = Duration::from_millis(50);

/// How many sockets are looked at in one call.
const BATCH: usize = 64;

/// Receives that may have missed the end of their stream.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    tokens: Vec<Token>,
    due: Nanos,
}

impl Suspects {
    pub(crate) fn add(&mut self, token: Token) {
        if self.tokens.is_empty() {
            self.due = sys::now().saturating_add(PERIOD);
        }
        self.tokens.push(token);
    }

    /// When to look; `None` if there is no suspicion.
    fn due(&self) -> Option<Nanos> {
        (!self.tokens.is_empty()).then_some(self.due)
    }
}

impl UringReactor {
    /// Receives whose stream has ended, though the kernel has not said so, go on with single shots.
    pub(crate) fn look_for_ends(&mut self) {
        if self.suspects.due().is_none_or(|due| self.now() < due) {
            return;
        }
        while !self.suspects.tokens.is_empty() {
            let rest = self.suspects.tokens.len().saturating_sub(BATCH);
            let mut sockets = [None; BATCH];
            for (place, token) in sockets.iter_mut().zip(self.suspects.tokens.drain(rest..)) {
                let Some(flight) = self.flights.get_mut(token) else { continue };
                flight.suspect = false;
                *place = flight.multishot_receive().map(|fd| (token, fd));
            }
            for token in ended(&sockets) {
                self.flights.get_mut(token).expect("it was just there").fallback = true;
                self.recall(token);
            }
        }
    }

    /// The time until which to wait.
    pub(crate) fn no_later_than_suspicion(&self, wait: Wait) -> Wait {
        match (self.suspects.due(), wait) {
            (Some(due), Wait::Until(deadline)) => Wait::Until(due.min(deadline)),
            (Some(due), Wait::Forever) => Wait::Until(due),
            _ => wait,
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
