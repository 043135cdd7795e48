//! Threads for calls that may block.
//!
//! ```text
//!            a thread takes it            it returns, or unwinds            collect
//! queued ───────────────────────▶ running ───────────────────────▶ answered ────────▶ (nothing)
//!    │ cancel                        │ cancel                         │ cancel
//!    ▼                               ▼                                ▼
//! dropped unmade                unwanted ────▶ dropped where it is    dropped
//! ```
//!
//! The program's closures and the library's own calls have threads of their own, so that a look-up never waits behind
//! closures that wait for something else.
//!
//! All that is counted is counted under one lock, and no user's code runs under it. A call in a queue is never
//! forgotten: there is always a thread that will look there again. A thread only waits, and only ends, after it has seen
//! the queue empty; a call comes in with a notice to a waiting thread or, if those are fewer than the calls, with a
//! thread of its own. If none can be started, there is a busy one, which looks when it is done, or the call is refused.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use runtime_core::errno::Errno;
use runtime_core::op::Token;
use runtime_core::reactor::Unpark;

use crate::call::{Answer, Origin, Prepared};

/// How many threads make the library's own calls at most. They wait for disks and name servers.
const LIBRARY_THREADS: usize = 16;

/// How long a thread waits for something to do before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// The threads of one reactor, started when they are needed. Nobody waits for them when this is dropped: what has not
/// begun is dropped, and what runs goes on unobserved.
pub struct Workers {
    pool: Arc<Pool>,
    /// What was submitted, and has been neither cancelled nor collected.
    in_flight: HashMap<Token, (Origin, Ticket)>,
    next_ticket: Ticket,
}

/// Which submission it is. So a call's place is known to its thread whatever becomes of its token.
type Ticket = u64;

/// Whose answer it is, and how to say that it is there.
struct Receipt {
    ticket: Ticket,
    token: Token,
    unpark: Arc<dyn Unpark>,
}

struct Pool {
    state: Mutex<State>,
    /// By [`Origin`].
    lanes: [Lane; 2],
    patience: Duration,
}

/// Threads for calls of one origin.
struct Lane {
    name: &'static str,
    /// How many there are at most.
    limit: usize,
    /// There is a call for a thread that waits, or there will be none any more.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By [`Origin`].
    queues: [Queue; 2],
    /// In order of submission. None of them is of an operation that was cancelled.
    answers: BTreeMap<Ticket, (Token, Answer)>,
    /// What was cancelled while it ran. Its thread takes it out.
    unwanted: BTreeSet<Ticket>,
    /// There is nobody any more to collect answers.
    closed: bool,
}

#[derive(Default)]
struct Queue {
    /// What no thread has taken yet. Ordered by arrival, and any call may be withdrawn.
    calls: BTreeMap<Ticket, (Prepared, Receipt)>,
    /// Threads that live, or are just being started.
    alive: usize,
    /// Those of them that have no call.
    idle: usize,
}

impl Workers {
    /// No thread yet, and at most `limit` for [`Call::Run`](runtime_core::call::Call::Run), at least one.
    pub fn new(limit: usize) -> Self {
        Self::with_limits(LIBRARY_THREADS, limit.max(1), PATIENCE)
    }

    fn with_limits(library: usize, program: usize, patience: Duration) -> Self {
        let lane = |name, limit| Lane { name, limit, changed: Condvar::new() };
        let lanes = [lane("carhop-call", library), lane("carhop-blocking", program)];
        let pool = Pool { state: Mutex::default(), lanes, patience };
        Self { pool: Arc::new(pool), in_flight: HashMap::new(), next_ticket: 0 }
    }

    /// Sees to it that a thread makes the call. When there is an answer to collect, it unparks.
    pub fn submit(&mut self, token: Token, prepared: Prepared, unpark: &Arc<dyn Unpark>) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let origin = prepared.origin();
        self.in_flight.insert(token, (origin, ticket));
        let receipt = Receipt { ticket, token, unpark: Arc::clone(unpark) };
        self.pool.submit(origin, prepared, receipt);
    }

    /// Ends an operation, if it is here. If its call has not begun it is dropped, here; if it runs it goes on, and what it
    /// brings is dropped there.
    pub fn cancel(&mut self, token: Token) -> bool {
        let Some((origin, ticket)) = self.in_flight.remove(&token) else { return false };
        let mut state = self.pool.lock();
        let unmade = state.queues[origin as usize].calls.remove(&ticket);
        let answer = state.answers.remove(&ticket);
        if unmade.is_none() && answer.is_none() {
            state.unwanted.insert(ticket);
        }
        drop(state);
        drop((unmade, answer));
        true
    }

    /// Hands out the answers that there are.
    #[inline]
    pub fn collect(&mut self, mut each: impl FnMut(Token, Answer)) {
        if self.in_flight.is_empty() {
            return;
        }
        let answers = mem::take(&mut self.pool.lock().answers);
        for (token, answer) in answers.into_values() {
            self.in_flight.remove(&token);
            each(token, answer);
        }
    }

    /// Whether there is an answer to collect.
    #[inline]
    pub fn any_ended(&self) -> bool {
        !self.in_flight.is_empty() && !self.pool.lock().answers.is_empty()
    }

    /// How many calls are queued, run, or have an answer to collect.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.closed = true;
        let unmade = [Origin::Library, Origin::Program]
            .map(|origin| mem::take(&mut state.queues[origin as usize].calls));
        let answers = mem::take(&mut state.answers);
        drop(state);
        self.pool.lanes.iter().for_each(|lane| lane.changed.notify_all());
        drop((unmade, answers));
    }
}

impl Pool {
    fn submit(self: &Arc<Self>, origin: Origin, call: Prepared, receipt: Receipt) {
        let lane = &self.lanes[origin as usize];
        let mut state = self.lock();
        let queue = &mut state.queues[origin as usize];
        queue.calls.insert(receipt.ticket, (call, receipt));
        if queue.calls.len() <= queue.idle || queue.alive == lane.limit {
            drop(state);
            lane.changed.notify_one();
        } else {
            queue.alive += 1;
            queue.idle += 1;
            drop(state);
            self.start_thread(origin);
        }
    }

    /// Starts a thread that is counted already. If that cannot be, a call waits for another one or is refused.
    fn start_thread(self: &Arc<Self>, origin: Origin) {
        let pool = Arc::clone(self);
        let builder = thread::Builder::new().name(self.lanes[origin as usize].name.to_owned());
        let Err(error) = builder.spawn(move || pool.work(origin)) else { return };
        let mut state = self.lock();
        let queue = &mut state.queues[origin as usize];
        queue.alive -= 1;
        queue.idle -= 1;
        // Without a thread there was no other call before this one. It may be gone: somebody took it, and has ended.
        let refused = if queue.alive == 0 { queue.calls.pop_first() } else { None };
        drop(state);
        if let Some((_, (call, receipt))) = refused {
            self.hand_in(receipt, call.refuse(error.into()));
        }
    }

    /// What a thread does. It was counted as idle when it was started.
    fn work(&self, origin: Origin) {
        let changed = &self.lanes[origin as usize].changed;
        let mut state = self.lock();
        loop {
            let idle = |state: &mut State| state.queues[origin as usize].calls.is_empty() && !state.closed;
            let waited = changed.wait_timeout_while(state, self.patience, idle);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let queue = &mut state.queues[origin as usize];
            let Some((_, (call, receipt))) = queue.calls.pop_first() else { break };
            queue.idle -= 1;
            drop(state);
            // Before anybody sees the answer: so whoever has awaited one call needs no second thread for the next.
            let is_idle = Cell::new(false);
            let done = || {
                if !is_idle.replace(true) {
                    self.lock().queues[origin as usize].idle += 1;
                }
            };
            let answer = make(call, &done);
            done();
            self.hand_in(receipt, answer);
            state = self.lock();
        }
        let queue = &mut state.queues[origin as usize];
        queue.alive -= 1;
        queue.idle -= 1;
    }

    /// Leaves an answer to be collected, or drops it if nobody will.
    fn hand_in(&self, receipt: Receipt, answer: Answer) {
        let Receipt { ticket, token, unpark } = receipt;
        let mut state = self.lock();
        if state.unwanted.remove(&ticket) || state.closed {
            drop(state);
            return drop(answer);
        }
        // If another one waits to be collected, so does an unpark, or the turn that it ended.
        let is_first = state.answers.is_empty();
        state.answers.insert(ticket, (token, answer));
        drop(state);
        if is_first {
            unpark.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a call, whatever a job does that promised not to unwind.
fn make(call: Prepared, done: &dyn Fn()) -> Answer {
    catch_unwind(AssertUnwindSafe(|| call.make(done))).unwrap_or_else(|payload| {
        // A user's value, whose drop may unwind again.
        mem::forget(payload);
        Answer::failed(Errno::EIO)
    })
}

#[cfg(test)]
mod tests;
