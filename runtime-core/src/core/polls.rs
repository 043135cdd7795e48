//! Polls of tasks: which is next, what holds while a task runs, and what is kept afterwards.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Nanos;
use crate::incident::{self, Incident};
use crate::task::{self, Header};

use super::{Activity, Core, Locals, Task, TaskId, TaskInfo};

/// The coop budget: how many times a task may succeed in one poll before it must give way to others.
const BUDGET_PER_POLL: u32 = 64;

/// The poll that is under way, and those that it is in the middle of.
pub(super) struct Polls {
    /// The task that is being polled, or [`TaskId::NONE`].
    current: Cell<TaskId>,
    /// Those in the middle of whose polls it was spawned, eagerly.
    outer: RefCell<Vec<TaskId>>,
    /// What is left of the coop budget.
    budget: Cell<u32>,
    /// When the step began.
    time: Cell<Nanos>,
    /// Any task has ever set a task-local.
    uses_locals: Cell<bool>,
    /// A poll that takes longer is an incident.
    slow_poll: Option<Duration>,
}

impl Polls {
    pub(super) fn new(start: Nanos, slow_poll: Option<Duration>) -> Self {
        Self {
            current: Cell::new(TaskId::NONE),
            outer: RefCell::default(),
            budget: Cell::new(0),
            time: Cell::new(start),
            uses_locals: Cell::new(false),
            slow_poll,
        }
    }

    pub(super) fn begin_step(&self, time: Nanos) {
        self.time.set(time);
    }

    pub(super) fn end_step(&self) {
        self.current.set(TaskId::NONE);
    }

    /// The time to the step.
    #[inline]
    pub(super) fn time(&self) -> Nanos {
        self.time.get()
    }

    #[inline]
    pub(super) fn current(&self) -> TaskId {
        self.current.get()
    }

    #[inline]
    pub(super) fn set_current(&self, id: TaskId) {
        self.current.set(id);
    }

    /// Whether a task is being polled.
    pub(super) fn is_polled(&self, id: TaskId) -> bool {
        self.current.get() == id || self.outer.borrow().contains(&id)
    }

    #[inline]
    pub(super) fn uses_locals(&self) -> bool {
        self.uses_locals.get()
    }

    #[inline]
    fn begin(&self, header: &Header) {
        self.budget.set(BUDGET_PER_POLL);
        self.current.set(header.id);
        header.stop_waiting();
    }
}

impl Core {
    /// The task that is to be polled next.
    #[inline]
    pub(super) fn next(&self) -> Option<Rc<Task>> {
        if !self.tasks.has_policy() {
            return self.tasks.next_in_line();
        }
        // What the policy spawns has no parent.
        self.polls.set_current(TaskId::NONE);
        self.tasks.chosen()
    }

    /// Polls a task, and forgets it when it has finished.
    // In the loop itself: as a function of its own it is a tenth dearer.
    #[inline(always)]
    pub(super) fn run(&self, task: Rc<Task>) {
        self.polls.begin(&task.header);
        // Its drop does nothing, but takes a call to do it.
        let waker = ManuallyDrop::new(task::waker(self.identity.number, task.header.id));
        let finished = self.watch(task.header.id, || task.poll(&waker, &|header| self.describe(header)));
        if finished {
            self.tasks.forget(task);
            task::take_noted();
        } else {
            end_poll(&task.header);
        }
    }

    /// Runs a task in the middle of another's poll.
    pub(super) fn run_within(&self, task: Rc<Task>) {
        let Polls { current, outer, budget, .. } = &self.polls;
        let (running, left, noted) = (current.get(), budget.get(), task::take_noted());
        outer.borrow_mut().push(running);
        self.run(task);
        outer.borrow_mut().pop();
        current.set(running);
        budget.set(left);
        task::put_back_noted(noted);
    }

    /// Runs the future of `block_on`, which `poll` polls. Whether it is ready.
    pub(super) fn run_root(&self, task: &Task, poll: &mut dyn FnMut() -> bool) -> bool {
        self.polls.begin(&task.header);
        let result = self.watch(task.header.id, poll);
        end_poll(&task.header);
        result
    }

    /// Calls `poll`, and reports it if it took too long.
    #[inline]
    fn watch<T>(&self, id: TaskId, poll: impl FnOnce() -> T) -> T {
        match self.polls.slow_poll {
            None => poll(),
            Some(limit) => self.watch_closely(id, limit, poll),
        }
    }

    #[cold]
    fn watch_closely<T>(&self, id: TaskId, limit: Duration, poll: impl FnOnce() -> T) -> T {
        let start = self.now();
        let result = poll();
        let took = self.now().saturating_since(start);
        if took > limit
            && let Some(task) = &self.info(id)
        {
            incident::report(&Incident::SlowPoll { task, took });
        }
        result
    }

    /// What there is to say of a task that is being polled.
    pub(super) fn describe(&self, header: &Header) -> TaskInfo {
        header.info(Activity::Running, self.now())
    }

    /// What there is to say of the task that is being polled, or was until now.
    fn info(&self, id: TaskId) -> Option<TaskInfo> {
        self.tasks.with_header(id, |header| self.describe(header))
    }

    /// The task that is being polled, if one is.
    pub(crate) fn current_task(&self) -> Option<TaskId> {
        Some(self.polls.current()).filter(|&id| id != TaskId::NONE)
    }

    /// What there is to say of it.
    pub(crate) fn current_info(&self) -> Option<TaskInfo> {
        self.info(self.current_task()?)
    }

    /// Calls `f` with the task-locals of the task that is being polled, if one is. `f` must not run user code.
    pub(crate) fn with_current_locals<T>(&self, f: impl FnOnce(&mut Locals) -> T) -> Option<T> {
        self.polls.uses_locals.set(true);
        self.tasks.with_header(self.polls.current(), |header| header.with_locals(f))
    }

    /// Takes one from the coop budget of the task that is being polled. When none is left the task is woken, to go on after
    /// the others have had their turn.
    #[inline]
    pub(crate) fn poll_budget(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.polls.budget.get().checked_sub(1) {
            Some(left) => {
                self.polls.budget.set(left);
                Poll::Ready(())
            }
            None => {
                // Refused once, not for good: the caller may be another executor, which never comes back here.
                self.polls.budget.set(BUDGET_PER_POLL);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// The task has not finished.
#[inline]
fn end_poll(header: &Header) {
    if let Some(noted) = task::take_noted() {
        header.wait_for(noted);
    }
}
