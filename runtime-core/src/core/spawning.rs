//! How tasks come about: spawned here, or posted by other threads.

use std::panic::Location;
use std::rc::Rc;

use crate::remote::injector::Posted;
use crate::task::{Header, JoinHandle, Options};

use super::{Core, Origin};

impl Core {
    #[inline]
    pub(crate) fn spawn<F: Future + 'static>(
        &self,
        site: &'static Location<'static>,
        future: F,
    ) -> JoinHandle<F::Output> {
        let task = self.tasks.insert(&self.wakes, self.origin(site), true, future);
        if self.polls.uses_locals() {
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
        let eager = eager && self.io.is_open();
        let task = self.tasks.insert(&self.wakes, self.origin(site), !eager, future);
        if name.is_some() || priority != Options::DEFAULT_PRIORITY {
            task.header.set_extras(name, priority);
        }
        if inherit && self.polls.uses_locals() {
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
        Origin { parent: self.polls.current(), site, born: self.polls.time() }
    }

    #[cold]
    fn inherit_locals(&self, child: &Header) {
        let locals =
            self.tasks.with_header(self.polls.current(), |parent| parent.with_locals(|own| own.clone()));
        child.with_locals(|own| *own = locals.flatten());
    }

    /// Makes a task of each closure that was posted, so that each has a panic of its own.
    pub(super) fn spawn_posted(&self) {
        for posted in self.injector.take() {
            self.accept(posted);
        }
    }

    /// Makes a task of a closure.
    pub(crate) fn accept(&self, Posted { site, call }: Posted) {
        drop(self.spawn_with(Options { site, ..Options::here() }, async move { call() }));
    }

    /// Brings the time up to date for what is spawned while no step is under way.
    pub(crate) fn look_at_clock(&self) {
        if !self.io.is_running() {
            self.polls.begin_step(self.now());
        }
    }
}
