//! One turn: submit, let the kernel deliver, wait, collect.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use runtime_core::errno::Errno;
use runtime_core::pool::Pool;
use runtime_core::reactor::Wait;

use crate::UringReactor;
use crate::buffers::Buffers;
use crate::complete::Results;
use crate::submit;

/// How many more enters a turn makes than its requests need, when the kernel has taken only a part of them or
/// holds back completions: since Linux 6.13 it does deferred work in pieces of 20. Bounds a turn.
const SPARE_ROUNDS: usize = 8;

/// How many chunks the kernel is lent, if the pool has them. What one socket can take in one turn.
const LENT_AT_LEAST: usize = 16;

impl UringReactor {
    /// Lends chunks of the pool to the kernel, and as many parked receives as there are chunks go on.
    ///
    /// Two for each receive is enough for all to have a result in one turn. More would only let one socket that
    /// is never short of data take them all, as a multishot receive goes on while there are chunks. And never more than
    /// half of the pool: readers hold the other half, and the fewer there are in use, the more of them are in a
    /// processor's cache.
    pub(crate) fn feed(&mut self, pool: &Rc<Pool>) {
        self.flights.next_round();
        let Some(buffers) = &mut self.buffers else { return };
        assert!(Rc::ptr_eq(buffers.pool(), pool), "a reactor serves one pool");
        let at_least = LENT_AT_LEAST.max(2 * self.flights.receives());
        buffers.fill(at_least.min(usize::from(pool.chunks()).div_ceil(2)));
        for _ in 0..buffers.available() {
            let Some(token) = self.flights.resume() else { break };
            self.restart(token);
        }
    }

    /// Submits everything and collects what has ended. Waits once at most, and only with no news to report.
    pub(crate) fn run(&mut self, wait: Wait, results: &mut Results<'_>) -> io::Result<()> {
        let may_wait = wait != Wait::No;
        // Without deferred completion work any system call may have delivered something.
        self.reap(results);
        let mut wait = if self.has_news(results) { Wait::No } else { wait.at_most(self.missed_ends.wait()) };
        let mut rounds = self.ring.rounds() + SPARE_ROUNDS;
        while rounds > 0 && (wait != Wait::No || self.has_more(results)) {
            rounds -= 1;
            let all = self.ring.rounds() <= 1;
            self.ring.submit(wait)?;
            self.reap(results);
            if all || self.has_news(results) {
                wait = Wait::No;
            }
        }
        if self.ring.unsubmitted() == 0 {
            self.exported.clear();
        }
        // Where the kernel's answers to cancels are, too: behind what was immediate.
        for token in mem::take(&mut self.withdrawn) {
            let work = self.flights.remove(token, &mut self.table);
            results.done.push_back(work.fail(token, Errno::ECANCELED, &mut self.table));
        }
        self.bell.clear();
        self.collect(results);
        if may_wait {
            self.unparked = false;
        }
        Ok(())
    }

    /// Takes the answers to calls that threads have made.
    fn collect(&mut self, results: &mut Results<'_>) {
        let Self { workers, flights, table, .. } = self;
        workers.collect(|token, answer| {
            flights.remove(token, table);
            results.done.push_back(answer.into_completion(token, table));
        });
    }

    /// Whether this turn has more to do. With results to report, what the kernel still holds back is for the next
    /// turn: a socket that is never short of data would otherwise fill all chunks of the pool in this one.
    fn has_more(&self, results: &Results<'_>) -> bool {
        if results.is_empty() { self.ring.has_work() } else { self.ring.unsubmitted() > 0 }
    }

    /// Whether there is a reason not to wait: results, an unpark, answers, or parked receives that end or can go on.
    fn has_news(&self, results: &Results<'_>) -> bool {
        let chunks = self.buffers.as_ref().map_or(0, Buffers::available);
        let parked_can_go_on = self.flights.parked() > 0 && chunks > 0;
        !results.is_empty()
            || !self.withdrawn.is_empty()
            || self.unparked
            || parked_can_go_on
            || self.workers.any_ended()
    }

    /// See [`Reactor::idle`](runtime_core::Reactor::idle). An unpark that a turn has found is no reason for another
    /// turn: whoever is woken that way looks around when that one is over.
    pub(crate) fn until_next_turn(&self, pool: &Pool) -> Wait {
        let chunks = self.buffers.as_ref().map_or(0, Buffers::available) + pool.available();
        let parked_can_go_on = self.flights.parked() > 0 && chunks > 0;
        let has_news = !self.withdrawn.is_empty() || parked_can_go_on || self.workers.any_ended();
        if has_news || self.ring.has_work() || self.ring.has_completions() {
            Wait::No
        } else {
            self.missed_ends.wait()
        }
    }

    pub(crate) fn watch_unpark(&mut self) {
        if let Some(unparker) = &self.unparker {
            let request = submit::watch_unpark(unparker.as_fd().as_raw_fd());
            self.request(request);
        }
    }
}
