//! How tasks come about: spawned here, or posted by other threads.

use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use crate::context;
use crate::core::Core;
use crate::mailbox::{Letter, Mailbox};
use crate::task::{Header, JoinHandle, Options, Origin, Task, TaskCell, TaskId};

impl Core {
    #[inline]
    #[track_caller]
    pub(crate) fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let origin = self.origin(Location::caller());
        let make = |id, spare| TaskCell::new(Header::new(self.id, id), future, spare);
        let task = self.tasks.insert(&self.inbox, origin, true, make);
        if self.uses_locals.get() {
            self.inherit_locals(task.header().id);
        }
        JoinHandle::new(task)
    }

    pub(crate) fn spawn_with<F: Future + 'static>(
        &self,
        options: Options,
        future: F,
    ) -> JoinHandle<F::Output> {
        let Options { name, priority, eager, inherit, site } = options;
        // What is spawned while the runtime is being dropped is dropped, too, and never polled.
        let eager = eager && !self.closing.get();
        let make = |id, spare| TaskCell::new(Header::new(self.id, id), future, spare);
        let task = self.tasks.insert(&self.inbox, self.origin(site), !eager, make);
        let id = task.header().id;
        if name.is_some() || priority != Options::DEFAULT_PRIORITY {
            self.tasks.change_details(id, |details| details.set_extras(name, priority));
        }
        if inherit && self.uses_locals.get() {
            self.inherit_locals(id);
        }
        if eager {
            self.run_within(id, Rc::clone(&task) as Rc<dyn Task>);
        }
        JoinHandle::new(task)
    }

    /// Of a task that is about to be spawned.
    #[inline]
    fn origin(&self, site: &'static Location<'static>) -> Origin {
        Origin { parent: self.current.get(), site, born: self.time.get() }
    }

    #[cold]
    fn inherit_locals(&self, child: TaskId) {
        let locals = self.tasks.with_details(self.current.get(), |parent| parent.locals.clone()).flatten();
        if locals.is_some() {
            self.tasks.change_details(child, |child| child.locals = locals);
        }
    }

    /// Makes a task of each letter, so that each has a panic of its own.
    pub(crate) fn deliver(&self) {
        for letter in self.mailbox().take() {
            self.accept(letter);
        }
    }

    pub(crate) fn accept(&self, Letter { site, call }: Letter) {
        drop(self.spawn_with(Options { site, ..Options::here() }, async move { call() }));
    }

    /// Where other threads leave work.
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        self.mailbox.get_or_init(|| Arc::new(Mailbox::new(Arc::clone(&self.inbox))))
    }

    /// Brings the time up to date for what is spawned while no `block_on` runs.
    pub(crate) fn look_at_clock(&self) {
        if context::try_with(|core| core.serial == self.serial) != Some(true) {
            self.time.set(self.now());
        }
    }
}
