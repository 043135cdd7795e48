//! Semaphores against a model, under random requests that are polled, given up and given back.

use std::rc::Rc;
use std::task::Poll;

use carhop::sync::{AcquireError, OwnedPermit, Semaphore, TryAcquireError};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use super::by_hand::ByHand;
use super::{Env, trials};

trials![as_the_model_says];

#[derive(Clone, Debug)]
enum Step {
    Acquire(usize),
    TryAcquire(usize),
    /// The following mean one of those that wait, or of the permits that are out, by a number that wraps around.
    Poll(usize),
    Leave(usize),
    GiveBack(usize),
    Forget(usize),
    Add(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..8usize;
    prop_oneof![
        6 => (0..4usize).prop_map(Step::Acquire),
        2 => (0..4usize).prop_map(Step::TryAcquire),
        6 => which.clone().prop_map(Step::Poll),
        3 => which.clone().prop_map(Step::Leave),
        4 => which.clone().prop_map(Step::GiveBack),
        1 => which.prop_map(Step::Forget),
        2 => (0..4usize).prop_map(Step::Add),
        1 => Just(Step::Close),
    ]
}

fn as_the_model_says(env: &Env) {
    env.run(async {
        let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&(0..4usize, vec(step(), 0..60)), |(permits, steps)| {
            let mut both = Both::new(permits);
            for step in steps {
                both.take(step);
                both.compare();
            }
            both.end();
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
    });
}

/// A semaphore, and what should be true of it.
struct Both {
    semaphore: Rc<Semaphore>,
    available: usize,
    total: usize,
    closed: bool,
    /// Those who have a place in the queue, in the order in which they came.
    waiters: Vec<Waiter>,
    out: Vec<OwnedPermit>,
}

struct Waiter {
    future: ByHand<'static, Result<OwnedPermit, AcquireError>>,
    wants: usize,
    expects: Expects,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expects {
    Nothing,
    Permits,
    Failure,
}

impl Both {
    fn new(permits: usize) -> Self {
        Self {
            semaphore: Rc::new(Semaphore::new(permits)),
            available: permits,
            total: permits,
            closed: false,
            waiters: Vec::new(),
            out: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Acquire(wants) => self.acquire(wants),
            Step::TryAcquire(wants) => {
                let expected = self.try_take(wants);
                match Rc::clone(&self.semaphore).try_acquire_many_owned(wants) {
                    Ok(permit) => self.out.push(permit),
                    Err(error) => return assert_eq!(expected, Err(error)),
                }
                assert_eq!(expected, Ok(()));
            }
            Step::Poll(which) => self.poll(which),
            Step::Leave(which) => {
                let Some(waiter) = pick(&mut self.waiters, which) else { return };
                if waiter.expects == Expects::Permits {
                    self.available += waiter.wants;
                }
                drop(waiter);
                self.serve(usize::MAX);
            }
            Step::GiveBack(which) => {
                let Some(permit) = pick(&mut self.out, which) else { return };
                let permits = permit.num_permits();
                drop(permit);
                self.available += permits;
                self.serve(permits);
            }
            Step::Forget(which) => {
                let Some(permit) = pick(&mut self.out, which) else { return };
                self.total -= permit.num_permits();
                permit.forget();
            }
            Step::Add(permits) => {
                self.semaphore.add_permits(permits);
                self.available += permits;
                self.total += permits;
                self.serve(permits);
            }
            Step::Close => {
                self.semaphore.close();
                self.closed = true;
                let waiting = self.waiters.iter_mut().filter(|waiter| waiter.expects == Expects::Nothing);
                waiting.for_each(|waiter| waiter.expects = Expects::Failure);
            }
        }
    }

    fn acquire(&mut self, wants: usize) {
        let expected = self.try_take(wants);
        let mut future = ByHand::new(Rc::clone(&self.semaphore).acquire_many_owned(wants));
        match (future.poll(), expected) {
            (Poll::Ready(Ok(permit)), Ok(())) => self.out.push(permit),
            (Poll::Ready(Err(_)), Err(TryAcquireError::Closed)) => {}
            (Poll::Pending, Err(TryAcquireError::NoPermits)) => {
                self.waiters.push(Waiter { future, wants, expects: Expects::Nothing });
            }
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    fn poll(&mut self, which: usize) {
        let Some(mut waiter) = pick(&mut self.waiters, which) else { return };
        match (waiter.future.poll(), waiter.expects) {
            (Poll::Ready(Ok(permit)), Expects::Permits) => {
                assert_eq!(permit.num_permits(), waiter.wants);
                self.out.push(permit);
                self.serve(usize::MAX);
            }
            (Poll::Ready(Err(_)), Expects::Failure) => {}
            (Poll::Pending, Expects::Nothing) => {
                let place = which % (self.waiters.len() + 1);
                self.waiters.insert(place, waiter);
            }
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    fn try_take(&mut self, wants: usize) -> Result<(), TryAcquireError> {
        if self.closed {
            return Err(TryAcquireError::Closed);
        }
        if !self.waiters.is_empty() || self.available < wants {
            return Err(TryAcquireError::NoPermits);
        }
        self.available -= wants;
        Ok(())
    }

    /// Whenever permits come back, as many are served at most; whenever somebody leaves, as many as can be.
    fn serve(&mut self, limit: usize) {
        let waiting = self.waiters.iter_mut().filter(|waiter| waiter.expects == Expects::Nothing);
        for waiter in waiting.take(limit) {
            if waiter.wants > self.available {
                return;
            }
            self.available -= waiter.wants;
            waiter.expects = Expects::Permits;
        }
    }

    fn compare(&self) {
        assert_eq!(self.semaphore.available_permits(), self.available);
        for waiter in &self.waiters {
            assert_eq!(waiter.future.is_woken(), waiter.expects != Expects::Nothing);
        }
        let granted = self.waiters.iter().filter(|waiter| waiter.expects == Expects::Permits);
        let granted: usize = granted.map(|waiter| waiter.wants).sum();
        let out: usize = self.out.iter().map(OwnedPermit::num_permits).sum();
        assert_eq!(self.available + granted + out, self.total, "permits are neither lost nor made");
        // If it is nobody's turn, it is for want of permits.
        if let Some(first) = self.waiters.first()
            && self.waiters.iter().all(|waiter| waiter.expects == Expects::Nothing)
        {
            assert!(first.wants > self.available);
        }
    }

    /// Everything is given up.
    fn end(mut self) {
        while !self.waiters.is_empty() || !self.out.is_empty() {
            self.take(Step::Leave(0));
            self.compare();
            self.take(Step::GiveBack(0));
            self.compare();
        }
        assert_eq!(self.semaphore.available_permits(), self.total);
        assert_eq!(Rc::strong_count(&self.semaphore), 1);
    }
}

fn pick<T>(from: &mut Vec<T>, which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(which % from.len()))
}
