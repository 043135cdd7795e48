//! The end of a runtime.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Nanos;
use crate::contain::drop_contained;
use crate::context;
use crate::core::Core;
use crate::reactor::Wait;
use crate::registry;

/// How many tasks the drops of others may still spawn. They are dropped, too, but not without end.
const LATE_TASKS: usize = 10_000;

/// How long a runtime waits for the kernel to end what was in flight when the runtime was dropped.
const PATIENCE: Duration = Duration::from_secs(5);

impl Core {
    /// Drops all tasks and timers, ends all operations, and lets go of the reactor.
    pub(crate) fn shut_down(self: &Rc<Self>) {
        if !self.is_of_this_process() {
            // The ring, the descriptors and the tasks belong to the parent. Nothing is undone here.
            std::mem::forget(Rc::clone(self));
            return;
        }
        let _entered = context::enter(self);
        self.closing.set(true);
        self.drop_tasks_and_timers();
        let ended = self.end_operations();
        // The wakers of operations are users' code as well, and may have spawned.
        self.drop_tasks_and_timers();
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

    fn drop_tasks_and_timers(&self) {
        if !self.tasks.cancel_all(LATE_TASKS) {
            eprintln!("carhop: tasks whose drop spawns tasks without end are leaked");
            self.tasks.leak();
        }
        // One at a time: should two of them panic, one after the other.
        while let Some(waker) = self.pop_timer(Nanos::NEVER) {
            drop_contained(waker);
        }
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
