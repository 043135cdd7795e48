//! The end of a runtime.

use std::io;
use std::time::Duration;

use crate::clock::Nanos;
use crate::contain::{contain, drop_contained, forget_payload};
use crate::incident::{self, say};
use crate::remote::registry;

use super::{Core, Wait};

/// How many tasks the drops of others may still spawn. They are dropped, too, but not without end.
const LATE_TASKS: usize = 10_000;

/// How many times the drops of tasks and of timers may still bring about one another.
const LATE_ROUNDS: usize = 100;

/// How long a runtime waits for the kernel to end what was in flight when the runtime was dropped.
const PATIENCE: Duration = Duration::from_secs(5);

impl Core {
    /// Drops all tasks and timers, and ends all operations. The runtime is the one that runs on this thread.
    pub(crate) fn shut_down(&self) {
        self.io.begin_closing();
        for posted in self.injector.close() {
            drop_contained(posted);
        }
        self.tasks.drop_policy();
        self.drop_tasks_and_timers();
        let deadline = self.now().saturating_add(PATIENCE);
        let ended = self.end_operations(deadline);
        // The wakers of operations are users' code as well, and may have spawned. What they spawned may own sockets,
        // whose closes are all that is left to perform then.
        self.drop_tasks_and_timers();
        let ended = ended.and_then(|()| self.end_operations(deadline));
        self.io.end();
        registry::unregister(self.identity.number);
        incident::remove_hook(self.identity.serial);
        if self.io.operations().any_in_flight() {
            let why =
                ended.err().map_or_else(|| format!("within {PATIENCE:?}"), |error| format!("({error})"));
            let names = self.io.operations().names().join(", ");
            self.io.operations().abandon();
            say(format_args!(
                "the kernel did not end these operations {why}; what they own is leaked: {names}"
            ));
        }
    }

    fn drop_tasks_and_timers(&self) {
        // A timer's waker may spawn when it is dropped, and a task may set timers.
        for _ in 0..LATE_ROUNDS {
            let enter = |id| self.polls.set_current(id);
            if !self.tasks.cancel_all(LATE_TASKS, enter, &|header| self.describe(header)) {
                break;
            }
            if !self.timers.drop_all() {
                return;
            }
        }
        say(format_args!("tasks and timers whose drops bring forth others without end are leaked"));
        self.tasks.leak();
        self.timers.leak();
    }

    fn end_operations(&self, deadline: Nanos) -> io::Result<()> {
        self.io.operations().settle();
        self.io.operations().cancel_all();
        while self.io.operations().any_in_flight() && self.now() < deadline {
            // Wakes of tasks that are gone must not keep the turn from waiting.
            self.wakes.drain(|_| ());
            self.last_turn(deadline)?;
            self.io.operations().settle();
        }
        Ok(())
    }

    /// A turn of the reactor, whose panic is an error like any other: a runtime may be dropped by a panic already.
    fn last_turn(&self, deadline: Nanos) -> io::Result<()> {
        contain(|| self.turn_reactor(Wait::Until(deadline))).unwrap_or_else(|payload| {
            let error = io::Error::other(format!("it panicked: {}", incident::text(&*payload)));
            forget_payload(payload);
            Err(error)
        })
    }
}
