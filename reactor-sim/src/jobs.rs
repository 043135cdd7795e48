//! Threads for closures that may block.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use runtime_core::call::Job;
use runtime_core::op::Token;

use crate::network::signal::Signal;

/// How many closures of one node run at a time. More wait.
const MOST_THREADS: usize = 64;

/// The closures of one node that run on other threads, or wait to.
pub(crate) struct Jobs {
    shared: Arc<Shared>,
}

/// What the threads share with the node.
struct Shared {
    queue: Mutex<Queue>,
    signal: Arc<Signal>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Token, Job)>,
    /// Those that somebody waits for.
    running: HashSet<Token>,
    finished: Vec<Token>,
    threads: usize,
}

impl Jobs {
    /// None yet. `signal` is stirred whenever one has ended.
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self { shared: Arc::new(Shared { queue: Mutex::default(), signal }) }
    }

    /// Calls a closure as soon as there is a thread for it.
    ///
    /// # Errors
    ///
    /// There is no thread, and none can be started. The closure is dropped.
    pub(crate) fn start(&mut self, token: Token, job: Job) -> io::Result<()> {
        let mut queue = self.shared.lock();
        queue.waiting.push_back((token, job));
        if queue.threads == MOST_THREADS {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        match thread::Builder::new().name("sim-job".into()).spawn(move || shared.work()) {
            Ok(_) => queue.threads += 1,
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
        let waiting = mem::take(&mut self.shared.lock().waiting);
        drop(waiting);
    }
}

impl Shared {
    /// Calls closures while there are any: the life of a thread.
    fn work(&self) {
        let mut queue = self.lock();
        while let Some((token, job)) = queue.waiting.pop_front() {
            queue.running.insert(token);
            drop(queue);
            job.run();
            queue = self.lock();
            if queue.running.remove(&token) {
                queue.finished.push(token);
                self.signal.stir();
            }
        }
        queue.threads -= 1;
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

    fn jobs() -> (Jobs, Arc<Signal>) {
        let signal = Arc::<Signal>::default();
        (Jobs::new(Arc::clone(&signal)), signal)
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
    fn more_than_there_are_threads_wait_and_can_be_cancelled() {
        let (mut jobs, signal) = jobs();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let most = MOST_THREADS as u32;
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
        while finished < MOST_THREADS + 1 {
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
        for slot in 0..MOST_THREADS as u32 {
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
