//! Threads for closures that may block.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use runtime_core::call::Job;
use runtime_core::op::Token;

use crate::network::signal::Signal;

/// How long a thread waits for something to do before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// The closures of one node that run on other threads, or wait to.
pub(crate) struct Jobs {
    shared: Arc<Shared>,
    /// How many run at a time. More wait.
    limit: usize,
}

/// What the threads share with the node.
struct Shared {
    queue: Mutex<Queue>,
    /// There is a closure for a thread that waits, or there will be none any more.
    changed: Condvar,
    signal: Arc<Signal>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Token, Job)>,
    /// Those that somebody waits for.
    running: HashSet<Token>,
    finished: Vec<Token>,
    threads: usize,
    /// Those of them that have no closure, and will look for one.
    idle: usize,
    /// The node is gone.
    closed: bool,
}

impl Jobs {
    /// None yet. `signal` is stirred whenever one has ended.
    pub(crate) fn new(signal: Arc<Signal>, limit: usize) -> Self {
        let shared = Shared { queue: Mutex::default(), changed: Condvar::new(), signal };
        Self { shared: Arc::new(shared), limit }
    }

    /// Calls a closure as soon as there is a thread for it.
    ///
    /// # Errors
    ///
    /// There is no thread, and none can be started. The closure is dropped.
    pub(crate) fn start(&mut self, token: Token, job: Job) -> io::Result<()> {
        let mut queue = self.shared.lock();
        queue.waiting.push_back((token, job));
        if queue.waiting.len() <= queue.idle || queue.threads == self.limit {
            self.shared.changed.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        match thread::Builder::new().name("carhop-blocking".into()).spawn(move || shared.work()) {
            Ok(_) => {
                queue.threads += 1;
                queue.idle += 1;
            }
            Err(_) if queue.threads > 0 => {}
            Err(error) => {
                let refused = queue.waiting.pop_back();
                drop(queue);
                drop(refused);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Nobody waits for it any more. A closure that has not begun is dropped, one that runs goes on. Says whether
    /// that was in time: it was not if the closure has returned, or was never there.
    pub(crate) fn cancel(&mut self, token: Token) -> bool {
        let mut queue = self.shared.lock();
        match queue.waiting.iter().position(|&(other, _)| other == token) {
            Some(index) => {
                let cancelled = queue.waiting.remove(index);
                // With the lock released: it drops what is a user's.
                drop(queue);
                cancelled.is_some()
            }
            None => queue.running.remove(&token),
        }
    }

    /// How many somebody waits for, or has not heard of yet.
    pub(crate) fn under_way(&self) -> usize {
        let queue = self.shared.lock();
        queue.waiting.len() + queue.running.len() + queue.finished.len()
    }

    pub(crate) fn any_finished(&self) -> bool {
        !self.shared.lock().finished.is_empty()
    }

    /// Those that have returned since they were last asked for, in that order.
    pub(crate) fn take_finished(&mut self) -> Vec<Token> {
        mem::take(&mut self.shared.lock().finished)
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let waiting = mem::take(&mut queue.waiting);
        drop(queue);
        self.shared.changed.notify_all();
        drop(waiting);
    }
}

impl Shared {
    /// The life of a thread, which was counted as idle when it was started.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            let is_idle = |queue: &mut Queue| queue.waiting.is_empty() && !queue.closed;
            let waited = self.changed.wait_timeout_while(queue, PATIENCE, is_idle);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            let Some((token, job)) = queue.waiting.pop_front() else { break };
            queue.idle -= 1;
            queue.running.insert(token);
            drop(queue);
            // Before anybody sees the answer: so whoever has awaited one closure needs no second thread for the next.
            let is_idle = Cell::new(false);
            let done = || {
                if !is_idle.replace(true) {
                    self.lock().idle += 1;
                }
            };
            job.run(&done);
            done();
            queue = self.lock();
            if queue.running.remove(&token) {
                queue.finished.push(token);
                self.signal.stir();
            }
        }
        queue.threads -= 1;
        queue.idle -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LIMIT: usize = 3;

    fn jobs() -> (Jobs, Arc<Signal>) {
        let signal = Arc::<Signal>::default();
        (Jobs::new(Arc::clone(&signal), LIMIT), signal)
    }

    const fn token(slot: u32) -> Token {
        Token::new(slot, 0)
    }

    #[test]
    fn a_closure_runs_and_is_reported() {
        let (mut jobs, signal) = jobs();
        let (tell, told) = mpsc::channel();
        jobs.start(token(1), Job::new(move || tell.send(7).unwrap())).unwrap();
        assert_eq!(told.recv(), Ok(7));
        signal.wait(0, Duration::MAX);
        assert!(jobs.any_finished());
        assert_eq!((jobs.take_finished(), jobs.any_finished()), (vec![token(1)], false));
    }

    #[test]
    fn one_thread_is_enough_for_one_closure_after_the_other() {
        let (mut jobs, _) = jobs();
        let (tell, told) = mpsc::channel();
        let ids = (1..=100).map(|slot| {
            let tell = tell.clone();
            let answer = move |done: &dyn Fn()| {
                done();
                tell.send(thread::current().id()).unwrap();
            };
            jobs.start(token(slot), Job::with_answer(answer)).unwrap();
            told.recv().unwrap()
        });
        assert_eq!(ids.collect::<HashSet<_>>().len(), 1);
    }

    #[test]
    fn more_than_there_are_threads_wait_and_can_be_cancelled() {
        let (mut jobs, signal) = jobs();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let most = LIMIT as u32;
        for slot in 0..most {
            let wait = Arc::clone(&wait);
            jobs.start(token(slot), Job::new(move || assert!(wait.lock().unwrap().recv().is_err()))).unwrap();
        }
        let (tell, told) = mpsc::channel();
        for slot in [most, most + 1] {
            let tell = tell.clone();
            jobs.start(token(slot), Job::new(move || tell.send(slot).unwrap())).unwrap();
        }
        drop(tell);
        assert!(jobs.cancel(token(most)) && !jobs.cancel(token(most)));
        drop(go);
        assert_eq!(told.iter().collect::<Vec<_>>(), [most + 1]);
        let (mut seen, mut finished) = (0, 0);
        while finished < LIMIT + 1 {
            seen = signal.wait(seen, Duration::MAX);
            finished += jobs.take_finished().len();
        }
    }

    #[test]
    fn one_that_runs_is_forgotten_and_one_that_has_returned_is_not() {
        let (mut jobs, signal) = jobs();
        let (begin, begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let blocked = move || {
            begin.send(()).unwrap();
            assert!(wait.recv().is_err());
        };
        jobs.start(token(1), Job::new(blocked)).unwrap();
        begun.recv().unwrap();
        assert!(jobs.cancel(token(1)));
        drop(go);
        jobs.start(token(2), Job::new(|| ())).unwrap();
        signal.wait(0, Duration::MAX);
        assert!(!jobs.cancel(token(2)));
        assert_eq!(jobs.take_finished(), [token(2)]);
    }

    #[test]
    fn what_has_not_begun_when_the_node_goes_is_dropped() {
        let (mut jobs, _) = jobs();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        for slot in 0..LIMIT as u32 {
            let wait = Arc::clone(&wait);
            jobs.start(token(slot), Job::new(move || assert!(wait.lock().unwrap().recv().is_err()))).unwrap();
        }
        let (never, told) = mpsc::channel::<()>();
        jobs.start(token(99), Job::new(move || never.send(()).unwrap())).unwrap();
        drop(jobs);
        assert!(told.recv().is_err(), "dropped, and never called");
        drop(go);
    }
}
