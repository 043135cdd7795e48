//! Polls a future a number of times, and drops it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use carhop::task::tasks;
use carhop::time::timeout;
use carhop::{spawn, yield_now};
use runtime_core::{UnderWay, under_way};

use crate::machine;

use super::super::Env;
use super::super::support::promptly;

/// For k = 0, 1, 2, ... runs `scenario`, whose future is dropped after k polls, until it is ready before that: in each
/// of the manners below. A scenario makes a world and lets the [`Probe`] drive the future under test; then it looks at
/// the world. Nothing may be left of it when it ends: no task, timer, operation, waker, or descriptor.
pub(super) fn drop_after_each_poll(env: &Env, scenario: impl AsyncFn(&Probe)) {
    for holder in [Holder::Root, Holder::Task] {
        for drops in [Drops::AfterPoll, Drops::OnceWoken, Drops::AfterStep] {
            for waker in [Wakers::Same, Wakers::Changing] {
                // With one thread for what blocks, a scenario can wait for what is left to that.
                let runtime = env.builder().blocking_threads(1).build().unwrap();
                let mut polls = 0;
                loop {
                    let plan = Plan { holder, drops, waker, polls };
                    let is_ready =
                        catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(env, plan, &scenario))));
                    let is_ready = is_ready.unwrap_or_else(|payload| {
                        eprintln!("\nthis went wrong with {plan:?}");
                        resume_unwind(payload)
                    });
                    if is_ready {
                        break;
                    }
                    polls = plan.next_polls();
                }
                promptly(|| drop(runtime));
            }
        }
    }
}

/// How a future is dropped.
#[derive(Clone, Copy, Debug)]
struct Plan {
    holder: Holder,
    drops: Drops,
    waker: Wakers,
    /// After how many polls.
    polls: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Holder {
    /// The future is polled and dropped by the scenario itself.
    Root,
    /// It is in a task of its own, which is aborted.
    Task,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Drops {
    /// It is polled when it was woken, and dropped right after the last poll.
    AfterPoll,
    /// It is polled when it was woken, and dropped when it was woken once more: what it waited for may be granted to it.
    OnceWoken,
    /// It is polled in each step of the loop, whether it was woken or not, and dropped right after the last poll.
    AfterStep,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Wakers {
    /// One for all polls.
    Same,
    /// Each poll has a new one, and before it there is a poll with one that wakes nobody.
    Changing,
}

impl Plan {
    /// All numbers, but where a future that waits for the kernel is polled in each step only the lower ones: there are
    /// thousands of steps.
    fn next_polls(self) -> usize {
        if self.drops == Drops::AfterStep && self.polls >= 16 { self.polls * 2 } else { self.polls + 1 }
    }
}

/// For trials that are never so slow, unless something is lost.
const LOST: Duration = Duration::from_secs(20);

/// Without the loop's own, which may or may not have slept before.
fn open_descriptors() -> Vec<machine::Descriptor> {
    let mut open = machine::descriptors().unwrap();
    open.retain(|descriptor| !descriptor.is_eventfd());
    open
}

/// Whether the future was ready within the polls that were planned.
async fn run(env: &Env, plan: Plan, scenario: &impl AsyncFn(&Probe)) -> bool {
    let before = open_descriptors();
    let probe = Probe { env: *env, plan, flags: Rc::default(), is_ready: Cell::new(None) };
    let scenario = async {
        // From here on the timer of this timeout is set.
        yield_now().await;
        scenario(&probe).await;
    };
    timeout(LOST, scenario).await.expect("a wake was lost, for this never ends");
    let start = Instant::now();
    while let Some(left) = probe.left_behind() {
        assert!(start.elapsed() < LOST, "left behind: {left}");
        yield_now().await;
    }
    // A thread that looks up a name keeps what it has opened until the answer, also if nobody waits for that any more.
    while open_descriptors() != before {
        assert!(start.elapsed() < LOST, "left open: {:?}, rather than {before:?}", open_descriptors());
        yield_now().await;
    }
    probe.is_ready.get().expect("a scenario drives one future")
}

/// Drives the future under test, as planned.
pub(super) struct Probe {
    env: Env,
    plan: Plan,
    flags: Rc<RefCell<Vec<Arc<Flag>>>>,
    is_ready: Cell<Option<bool>>,
}

impl Probe {
    pub(super) fn env(&self) -> &Env {
        &self.env
    }

    /// Polls `future` as often as planned and drops it, or returns its output. What it has left its wakers with has
    /// forgotten them then.
    pub(super) async fn drive<F>(&self, future: F) -> Option<F::Output>
    where
        F: Future<Output: 'static> + 'static,
    {
        let output = self.drive_a_loan(future).await;
        assert_eq!(self.wakers_left(), 0, "wakers of a future that is dropped");
        output
    }

    /// As [`Probe::drive`], for a future that leaves its waker with what it waits for: a socket, say, keeps it until
    /// the next one comes, or the socket is dropped. So may a thread, while it wakes.
    pub(super) async fn drive_a_loan<F>(&self, future: F) -> Option<F::Output>
    where
        F: Future<Output: 'static> + 'static,
    {
        assert_eq!(self.is_ready.get(), None, "a scenario drives one future");
        let driven = Driven {
            future: Box::pin(future),
            plan: self.plan,
            polls: Rc::default(),
            flags: Rc::clone(&self.flags),
            driver: poll_fn(|cx| Poll::Ready(cx.waker().clone())).await,
        };
        let output = match self.plan.holder {
            Holder::Root => driven.in_place().await,
            Holder::Task => driven.in_a_task().await,
        };
        self.is_ready.set(Some(output.is_some()));
        output
    }

    /// Whether the future is not even polled.
    pub(super) fn never_polls(&self) -> bool {
        self.plan.polls == 0
    }

    fn wakers_left(&self) -> usize {
        self.flags.borrow().iter().map(|flag| Arc::strong_count(flag) - 1).sum()
    }

    fn left_behind(&self) -> Option<String> {
        let (tasks, UnderWay { timers, operations }, wakers) = (tasks(), under_way(), self.wakers_left());
        let nothing = tasks.tasks().len() == 1 && timers == 0 && operations.is_empty() && wakers == 0;
        (!nothing)
            .then(|| format!("{timers} timers, operations {operations:?}, {wakers} wakers, and of\n{tasks}"))
    }
}

/// A future, and how it is polled.
struct Driven<F> {
    future: Pin<Box<F>>,
    plan: Plan,
    polls: Rc<Cell<usize>>,
    flags: Rc<RefCell<Vec<Arc<Flag>>>>,
    /// The waker of the scenario.
    driver: Waker,
}

impl<F: Future> Driven<F> {
    async fn in_place(mut self) -> Option<F::Output> {
        while self.polls.get() < self.plan.polls {
            if self.polls.get() > 0 {
                match self.plan.drops {
                    Drops::AfterPoll | Drops::OnceWoken => self.woken().await,
                    Drops::AfterStep => yield_now().await,
                }
            }
            if let Poll::Ready(output) = self.poll(None) {
                return Some(output);
            }
        }
        if self.drops_once_woken() {
            self.woken().await;
        }
        None
    }

    /// Waits for the wake after the last poll. The flag wakes the driver, which runs the scenario and this.
    async fn woken(&self) {
        poll_fn(|_| if is_woken(&self.flags) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn drops_once_woken(&self) -> bool {
        self.plan.drops == Drops::OnceWoken && self.plan.polls > 0
    }

    /// Polls the future with a waker that wakes the driver and, after it, `task`.
    fn poll(&mut self, task: Option<&Waker>) -> Poll<F::Output> {
        self.polls.set(self.polls.get() + 1);
        let changes = self.plan.waker == Wakers::Changing;
        if changes
            && let ready @ Poll::Ready(_) = self.future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            return ready;
        }
        let former = self.flags.borrow().last().cloned().filter(|_| !changes);
        let flag = former.unwrap_or_else(|| {
            let wakes = [Some(self.driver.clone()), task.cloned()];
            let flag = Arc::new(Flag { is_woken: AtomicBool::new(false), wakes });
            self.flags.borrow_mut().push(Arc::clone(&flag));
            flag
        });
        flag.is_woken.store(false, Ordering::SeqCst);
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(flag)))
    }
}

impl<F: Future<Output: 'static> + 'static> Driven<F> {
    async fn in_a_task(mut self) -> Option<F::Output> {
        let (plan, polls, flags) = (self.plan, Rc::clone(&self.polls), Rc::clone(&self.flags));
        let waits_for_wake = self.drops_once_woken();
        let task = spawn(poll_fn(move |cx| {
            let is_due =
                self.polls.get() == 0 || self.plan.drops == Drops::AfterStep || is_woken(&self.flags);
            if self.polls.get() == self.plan.polls || !is_due {
                // Somebody else woke it, or it will be aborted before it is polled again.
                return Poll::Pending;
            }
            let poll = self.poll(Some(cx.waker()));
            // It looks whether that was the last poll.
            self.driver.wake_by_ref();
            if self.plan.drops == Drops::AfterStep {
                cx.waker().wake_by_ref();
            }
            poll
        }));
        poll_fn(|_| {
            let was_last = polls.get() == plan.polls && (!waits_for_wake || is_woken(&flags));
            if was_last || task.is_finished() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        task.abort();
        match task.await {
            Ok(output) => Some(output),
            Err(error) if error.is_cancelled() => None,
            Err(error) => resume_unwind(error.into_panic().expect("neither ready, aborted nor panicked")),
        }
    }
}

fn is_woken(flags: &RefCell<Vec<Arc<Flag>>>) -> bool {
    flags.borrow().last().is_some_and(|flag| flag.is_woken.load(Ordering::SeqCst))
}

/// A waker that keeps that it was woken.
struct Flag {
    is_woken: AtomicBool,
    /// The driver first: it can abort a task that was woken before that runs.
    wakes: [Option<Waker>; 2],
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.wakes.iter().flatten().for_each(Waker::wake_by_ref);
    }
}
