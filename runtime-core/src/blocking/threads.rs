//! The queue of blocking work, and the threads that take from it.
//!
//! All that is counted is counted under one lock, and no user's code runs under it. A job in the queue is never
//! forgotten: there is always a thread that will look there again. A thread only waits, and only ends, after it has seen
//! the queue empty; a job comes in with a notice to a waiting thread or, if those are fewer than the jobs, with a
//! thread of its own. If none can be started, there is a busy one, which looks when it is done, or the job is refused.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::process::Process;
use crate::task::JoinError;

use super::job::Job;

/// How long a thread waits for something to do before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// A place in the queue.
pub(super) type Ticket = u64;

/// The threads of one runtime.
pub(crate) struct Threads {
    state: Mutex<State>,
    /// There is a job for a thread that waits, or there will be none any more.
    changed: Condvar,
    limit: usize,
    patience: Duration,
    /// The process that the threads are in. A forked child has none of them.
    pub(super) process: Process,
}

#[derive(Default)]
struct State {
    /// What no thread has taken yet. Ordered by arrival, and any job may be withdrawn.
    queue: BTreeMap<Ticket, Box<dyn Job>>,
    next_ticket: Ticket,
    /// Those that live, or are just being started.
    alive: usize,
    /// Those of them that have no job.
    idle: usize,
    /// The runtime is gone.
    closed: bool,
}

impl Threads {
    /// None yet, and at most `limit` of them.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Self::with_patience(limit, PATIENCE)
    }

    fn with_patience(limit: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            limit: limit.max(1),
            patience,
            process: Process::current(),
        })
    }

    /// Puts a job into the queue, and sees to it that a thread takes it. Only the thread of the runtime calls this.
    pub(super) fn submit(self: &Arc<Self>, job: Box<dyn Job>) -> Ticket {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        if state.closed {
            drop(state);
            job.give_up(JoinError::cancelled());
            return ticket;
        }
        state.queue.insert(ticket, job);
        if state.queue.len() <= state.idle || state.alive == self.limit {
            drop(state);
            self.changed.notify_one();
        } else {
            state.alive += 1;
            state.idle += 1;
            drop(state);
            self.start_thread();
        }
        ticket
    }

    /// Takes a job out of the queue, if it is still there.
    pub(super) fn withdraw(&self, ticket: Ticket) -> Option<Box<dyn Job>> {
        self.lock().queue.remove(&ticket)
    }

    /// Gives up what is in the queue, and lets all threads end that have nothing to do.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let queue = mem::take(&mut state.queue);
        let any_thread = state.alive > 0;
        drop(state);
        if any_thread {
            self.changed.notify_all();
        }
        queue.into_values().for_each(|job| job.give_up(JoinError::cancelled()));
    }

    pub(super) fn are_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    /// Starts a thread that is counted already. If that cannot be, a job waits for another one or is refused.
    fn start_thread(self: &Arc<Self>) {
        let threads = Arc::clone(self);
        let started = thread::Builder::new().name("carhop-blocking".to_owned()).spawn(move || threads.work());
        let Err(error) = started else { return };
        let mut state = self.lock();
        state.alive -= 1;
        state.idle -= 1;
        // Without a thread there was no other job before this one. It may be gone: somebody took it, and has ended.
        let refused = if state.alive == 0 { state.queue.pop_first() } else { None };
        drop(state);
        if let Some((_, job)) = refused {
            job.give_up(JoinError::refused(error));
        }
    }

    /// What a thread does. It was counted as idle when it was started.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            let waiting = |state: &mut State| state.queue.is_empty() && !state.closed;
            let waited = self.changed.wait_timeout_while(state, self.patience, waiting);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let Some((_, job)) = state.queue.pop_first() else { break };
            state.idle -= 1;
            drop(state);
            job.call(&|| self.lock().idle += 1);
            state = self.lock();
        }
        state.alive -= 1;
        state.idle -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Call<F>(F);

    impl<F: FnOnce() + Send> Job for Call<F> {
        fn call(self: Box<Self>, done: &dyn Fn()) {
            (self.0)();
            done();
        }

        fn give_up(self: Box<Self>, _: JoinError) {}
    }

    /// Long enough for a thread that has something to do, however busy the machine.
    const LONG: Duration = Duration::from_secs(1000);

    fn submit(threads: &Arc<Threads>, f: impl FnOnce() + Send + 'static) -> Ticket {
        threads.submit(Box::new(Call(f)))
    }

    /// Does so many jobs, each of which waits for all others.
    fn meet(threads: &Arc<Threads>, count: usize) {
        let barrier = Arc::new(std::sync::Barrier::new(count + 1));
        for _ in 0..count {
            let barrier = Arc::clone(&barrier);
            submit(threads, move || _ = barrier.wait());
        }
        barrier.wait();
    }

    fn wait_until(threads: &Threads, reached: impl Fn(&State) -> bool) {
        while !reached(&threads.lock()) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn threads_end_when_idle_and_are_started_again() {
        let threads = Threads::with_patience(4, Duration::from_millis(1));
        for _ in 0..3 {
            meet(&threads, 4);
            wait_until(&threads, |state| (state.alive, state.idle) == (0, 0));
        }
        // Threads that end and jobs that come in, at about the same time.
        let (sender, answers) = mpsc::channel();
        for n in 0..500u64 {
            let sender = sender.clone();
            submit(&threads, move || sender.send(n).expect("a receiver"));
            thread::sleep(Duration::from_micros(900 + n % 20 * 10));
        }
        drop(sender);
        // All of them. Not in this order, should this thread have been kept waiting.
        let mut answers: Vec<_> = answers.iter().collect();
        answers.sort();
        assert!(answers.into_iter().eq(0..500));
    }

    #[test]
    fn a_thread_is_started_only_if_all_are_busy() {
        let threads = Threads::with_patience(4, LONG);
        assert_eq!(threads.lock().alive, 0);
        meet(&threads, 2);
        wait_until(&threads, |state| state.idle == 2);
        for _ in 0..100 {
            meet(&threads, 1);
            wait_until(&threads, |state| state.idle == 2);
        }
        assert_eq!(threads.lock().alive, 2);
        // Two at a time need both, though one notice may not have been heard when the next is given.
        for _ in 0..100 {
            meet(&threads, 2);
            wait_until(&threads, |state| state.idle == 2);
        }
        assert_eq!(threads.lock().alive, 2);
        meet(&threads, 3);
        assert_eq!(threads.lock().alive, 3);
        threads.close();
        wait_until(&threads, |state| state.alive == 0);
    }
}
