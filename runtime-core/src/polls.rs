//! Polls of tasks: who is next, what holds while a task runs, and what is kept afterwards.

use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::core::Core;
use crate::incident::{self, Incident};
use crate::task::{self, Activity, Header, Task, TaskId, TaskInfo};

/// How many times a task may succeed in one poll before it must give way to others.
const TRIES_PER_POLL: u32 = 64;

impl Core {
    /// What is to be polled next.
    #[inline]
    pub(crate) fn next(&self) -> Option<Rc<Task>> {
        if !self.tasks.has_policy() {
            return self.tasks.next_in_line();
        }
        // What the policy spawns is nobody's child.
        self.current.set(TaskId::NONE);
        self.tasks.chosen()
    }

    #[inline]
    pub(crate) fn run(&self, task: Rc<Task>) {
        self.begin_poll(&task.header);
        // Its drop does nothing, but takes a call to do it.
        let waker = ManuallyDrop::new(task::waker(self.id, task.header.id));
        let finished = self.watch(task.header.id, || task.poll(&waker));
        if finished {
            self.tasks.forget(task);
            task::take_noted();
        } else {
            end_poll(&task.header);
        }
    }

    /// Whether a task is being polled.
    pub(crate) fn is_polled(&self, id: TaskId) -> bool {
        self.current.get() == id || self.outer.borrow().contains(&id)
    }

    /// Runs a task in the middle of another's poll.
    pub(crate) fn run_within(&self, task: Rc<Task>) {
        let (current, tries_left, noted) = (self.current.get(), self.tries_left.get(), task::take_noted());
        self.outer.borrow_mut().push(current);
        self.run(task);
        self.outer.borrow_mut().pop();
        self.current.set(current);
        self.tries_left.set(tries_left);
        task::put_back_noted(noted);
    }

    /// Runs the future of `block_on`, which `poll` polls.
    pub(crate) fn run_root<T>(&self, task: &Task, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        self.begin_poll(&task.header);
        let result = self.watch(task.header.id, poll);
        end_poll(&task.header);
        result
    }

    #[inline]
    fn begin_poll(&self, header: &Header) {
        self.tries_left.set(TRIES_PER_POLL);
        self.current.set(header.id);
        header.stop_waiting();
    }

    /// Calls `poll`, and reports it if it took too long.
    #[inline]
    fn watch<T>(&self, id: TaskId, poll: impl FnOnce() -> T) -> T {
        match self.slow_poll {
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

    /// What there is to say of the task that is being polled, or was until now.
    pub(crate) fn info(&self, id: TaskId) -> Option<TaskInfo> {
        let now = self.now();
        self.tasks.with_header(id, |header| header.info(Activity::Running, now))
    }

    /// Takes from the task that is being polled one of the successes it may have in one poll. When none is
    /// left it is woken, to go on after the others have had their turn.
    pub(crate) fn poll_try(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.tries_left.get().checked_sub(1) {
            Some(left) => {
                self.tries_left.set(left);
                Poll::Ready(())
            }
            None => {
                // Refused once, not for good: whoever polls may be another executor, which never comes back here.
                self.tries_left.set(TRIES_PER_POLL);
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
