//! The end of a runtime.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use timers::Wheel;

use crate::clock::Nanos;
use crate::contain::drop_contained;
use crate::context;
use crate::core::Core;
use crate::reactor::Wait;
use crate::registry;

/// How many tasks the drops of others may still spawn. They are dropped, too, but not without end.
const LATE_TASKS: usize = 10_000;

/// How many times the drops of tasks and of timers may still bring about one another.
const LATE_ROUNDS: usize = 100;

/// How long a runtime waits for the kernel to end what was in flight when the runtime was dropped.
const PATIENCE: Duration = Duration::from_secs(5);

impl Core {
    /// Drops all blocking work that has not begun, all tasks and timers, ends all operations, and lets go of the
    /// reactor.
    pub(crate) fn shut_down(self: &Rc<Self>) {
        if !self.is_of_this_process() {
            // The ring, the descriptors and the tasks belong to the parent. Nothing is undone here.
            std::mem::forget(Rc::clone(self));
            return;
        }
        let _entered = context::enter(self);
        self.closing.set(true);
        self.close_mailbox();
        self.threads.close();
        self.tasks.drop_policy();
        self.drop_tasks_and_timers();
        let ended = self.end_operations();
        // The wakers of operations are users' code as well, and may have spawned. What they spawned may own sockets,
        // whose closes are all that is left to perform then.
        self.drop_tasks_and_timers();
        let ended = ended.and_then(|()| self.end_operations());
        let reactor = self.reactor.take();
        if self.operations.any_in_flight() {
            let why =
                ended.err().map_or_else(|| format!("within {PATIENCE:?}"), |error| format!("({error})"));
            eprintln!(
                "carhop: the kernel did not end these operations {why}, so their memory is leaked: {}",
                self.operations.names().join(", ")
            );
            self.operations.leak();
            std::mem::forget(reactor);
        }
        registry::unregister(self.id);
    }

    fn close_mailbox(&self) {
        // Even if there is no handle yet: one may be made by the drop of a task.
        for letter in self.mailbox().close() {
            drop_contained(letter);
        }
    }

    fn drop_tasks_and_timers(&self) {
        // A timer's waker may spawn when it is dropped, and a task may set timers.
        for _ in 0..LATE_ROUNDS {
            if !self.tasks.cancel_all(LATE_TASKS, |id| self.current.set(id)) {
                break;
            }
            if self.timers.borrow().is_empty() {
                return;
            }
            self.drop_timers();
        }
        eprintln!("carhop: tasks and timers whose drops bring forth others without end are leaked");
        self.tasks.leak();
        std::mem::forget(self.timers.replace(Wheel::new(self.now().0)));
    }

    /// Drops the wakers of all timers that are set now.
    fn drop_timers(&self) {
        let mut wakers = Vec::new();
        while let Some(waker) = self.pop_timer(Nanos::NEVER) {
            wakers.push(waker);
        }
        // One at a time: should two of them panic, one after the other.
        wakers.into_iter().for_each(drop_contained);
    }

    fn end_operations(&self) -> io::Result<()> {
        let deadline = self.now().saturating_add(PATIENCE);
        self.operations.settle();
        self.operations.cancel_all();
        while self.operations.any_in_flight() && self.now() < deadline {
            // Wakes of tasks that are gone must not keep the turn from waiting.
            self.inbox.drain(|_| ());
            self.turn_reactor(Wait::Until(deadline))?;
            self.operations.settle();
        }
        Ok(())
    }
}
