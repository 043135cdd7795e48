//! How tasks come about: spawned here, or posted by other threads.

use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use crate::context;
use crate::core::Core;
use crate::mailbox::{Letter, Mailbox};
use crate::task::{Header, JoinHandle, Options, Origin};

impl Core {
    #[inline]
    pub(crate) fn spawn<F: Future + 'static>(
        &self,
        site: &'static Location<'static>,
        future: F,
    ) -> JoinHandle<F::Output> {
        let task = self.tasks.insert(&self.inbox, self.origin(site), true, future);
        if self.uses_locals.get() {
            self.inherit_locals(&task.header);
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
        let task = self.tasks.insert(&self.inbox, self.origin(site), !eager, future);
        if name.is_some() || priority != Options::DEFAULT_PRIORITY {
            task.header.set_extras(name, priority);
        }
        if inherit && self.uses_locals.get() {
            self.inherit_locals(&task.header);
        }
        if eager {
            self.run_within(Rc::clone(&task) as _);
        }
        JoinHandle::new(task)
    }

    /// Of a task that is about to be spawned.
    #[inline]
    fn origin(&self, site: &'static Location<'static>) -> Origin {
        Origin { parent: self.current.get(), site, born: self.time.get() }
    }

    #[cold]
    fn inherit_locals(&self, child: &Header) {
        let locals =
            self.tasks.with_header(self.current.get(), |parent| parent.with_locals(|own| own.clone()));
        child.with_locals(|own| *own = locals.flatten());
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
