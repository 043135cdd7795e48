//! What a scope and its children have in common.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Waker;

use runtime_core::contain::{drop_contained, wake_contained};
use runtime_core::tasks;
use slab::Slab;

use crate::task::context::{Context, Enclosing};
use crate::task::{AbortHandle, Builder, CancelToken, JoinHandle, TaskId};

use super::child::Child;
use super::error::{Blocker, Failure, GroupClosed, GroupError};

/// How far a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Takes children.
    Open,
    /// Something failed: whoever is left has been asked to end.
    Ending,
    /// Whoever is left has been aborted.
    Aborted,
    /// The scope is over.
    Closed,
}

pub(super) struct Shared<E> {
    pub(super) phase: Cell<Phase>,
    /// Asks before it aborts.
    drains: bool,
    pub(super) token: CancelToken,
    /// The group around it, for the case that the scope does not wait to the end.
    enclosing: Option<Rc<dyn Enclosing>>,
    /// The scope has not waited to the end, and that group does.
    adopted: Cell<bool>,
    children: RefCell<Children>,
    /// How many groups within it have been adopted.
    guests: Cell<usize>,
    failures: RefCell<Vec<Failure<E>>>,
    blockers: RefCell<Vec<Blocker>>,
    /// The scope.
    pub(super) waiter: Cell<Option<Waker>>,
}

#[derive(Default)]
struct Children {
    places: Slab<Entry>,
    /// Counts those that ever were.
    spawned: u64,
}

struct Entry {
    number: u64,
    /// `None` while it is being spawned.
    task: Option<(TaskId, AbortHandle)>,
}

impl<E: 'static> Shared<E> {
    pub(super) fn new(drains: bool) -> Rc<Self> {
        let around = Context::current();
        Rc::new(Self {
            phase: Cell::new(Phase::Open),
            drains,
            token: CancelToken::child_of_current(),
            enclosing: around.and_then(|context| context.group),
            adopted: Cell::new(false),
            children: RefCell::default(),
            guests: Cell::new(0),
            failures: RefCell::default(),
            blockers: RefCell::default(),
            waiter: Cell::default(),
        })
    }

    #[track_caller]
    pub(super) fn spawn<T, F>(
        self: &Rc<Self>,
        builder: Builder,
        future: F,
    ) -> Result<JoinHandle<Option<T>>, GroupClosed>
    where
        T: 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        if self.phase.get() != Phase::Open {
            return Err(GroupClosed(()));
        }
        let (place, number) = self.children.borrow_mut().add();
        let handle = builder.spawn(Child::new(future, self, place));
        // An eager child may have run by now, and ended or failed.
        if let Some(entry) = self.children.borrow_mut().get_mut(place, number) {
            entry.task = Some((handle.id(), handle.abort_handle()));
        }
        if self.is_aborted() {
            handle.abort();
        }
        Ok(handle)
    }

    /// What children and the body are part of.
    pub(super) fn context(self: &Rc<Self>) -> Context {
        Context { token: self.token.clone(), group: Some(Rc::clone(self) as Rc<dyn Enclosing>) }
    }
}

impl<E> Shared<E> {
    pub(super) fn len(&self) -> usize {
        self.children.borrow().places.len()
    }

    /// Neither children nor their like are left.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.guests.get() == 0
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.phase.get() >= Phase::Aborted
    }

    /// Something failed.
    pub(super) fn fail(&self, failure: Failure<E>) {
        if self.phase.get() == Phase::Closed {
            // Nobody asks for it any more.
            return drop_contained(failure);
        }
        self.failures.borrow_mut().push(failure);
        self.end();
    }

    /// Ends whoever is left: politely, if there is a drain deadline.
    pub(super) fn end(&self) {
        if self.phase.get() != Phase::Open {
            return;
        }
        self.phase.set(Phase::Ending);
        if !self.drains {
            self.abort();
        }
        self.token.cancel();
        self.wake();
    }

    /// The drain deadline has passed.
    pub(super) fn abort_blockers(&self, body_blocks: bool) {
        let all = tasks();
        let mut infos: HashMap<_, _> = all.tasks().iter().map(|info| (info.id, info)).collect();
        let info = |(id, _): (TaskId, AbortHandle)| infos.remove(&id).cloned();
        let blockers = self.children.borrow().in_order().into_iter().filter_map(info).map(Blocker::Task);
        self.blockers.borrow_mut().extend(body_blocks.then_some(Blocker::Body).into_iter().chain(blockers));
        self.abort();
    }

    /// Aborts the children, in the order in which they were spawned.
    fn abort(&self) {
        self.phase.set(Phase::Aborted);
        let children = self.children.borrow().in_order();
        children.into_iter().for_each(|(_, child)| child.abort());
    }

    /// The scope is over, perhaps before its time.
    pub(super) fn close(&self) {
        if !self.is_empty() {
            self.abort();
            if let Some(enclosing) = &self.enclosing {
                self.adopted.set(true);
                enclosing.adopt();
            }
        }
        self.phase.set(Phase::Closed);
        drop_contained(self.waiter.take());
        // Here, for an error may own the group.
        drop_contained(self.take_error());
    }

    /// What went wrong, if anything did.
    pub(super) fn take_error(&self) -> Option<GroupError<E>> {
        let (failures, blockers) = (self.failures.take(), self.blockers.take());
        (!failures.is_empty() || !blockers.is_empty()).then_some(GroupError { failures, blockers })
    }

    /// A child has ended.
    pub(super) fn leave(&self, place: usize) {
        self.children.borrow_mut().places.remove(place);
        let mut next = self.ended();
        // A loop, for groups may be deep within one another.
        while let Some(enclosing) = next {
            next = enclosing.release();
        }
    }

    /// If nobody is left, wakes the scope, or returns who waits in its stead.
    fn ended(&self) -> Option<Rc<dyn Enclosing>> {
        if !self.is_empty() {
            return None;
        }
        self.wake();
        if self.adopted.take() { self.enclosing.clone() } else { None }
    }

    fn wake(&self) {
        if let Some(waiter) = self.waiter.take() {
            wake_contained(waiter);
        }
    }
}

impl<E> Enclosing for Shared<E> {
    fn adopt(&self) {
        self.guests.set(self.guests.get() + 1);
    }

    fn release(&self) -> Option<Rc<dyn Enclosing>> {
        self.guests.set(self.guests.get() - 1);
        self.ended()
    }

    fn let_go(self: Rc<Self>) -> Option<Rc<dyn Enclosing>> {
        Rc::into_inner(self).and_then(|mut group| group.enclosing.take())
    }
}

impl<E> Drop for Shared<E> {
    fn drop(&mut self) {
        let mut next = self.enclosing.take();
        // If this was its last owner, the group around goes as well: here, rather than within a drop within a drop.
        while let Some(enclosing) = next {
            next = enclosing.let_go();
        }
    }
}

impl Children {
    fn add(&mut self) -> (usize, u64) {
        self.spawned += 1;
        (self.places.insert(Entry { number: self.spawned, task: None }), self.spawned)
    }

    fn get_mut(&mut self, place: usize, number: u64) -> Option<&mut Entry> {
        self.places.get_mut(place).filter(|entry| entry.number == number)
    }

    fn in_order(&self) -> Vec<(TaskId, AbortHandle)> {
        let mut entries: Vec<_> = self.places.iter().map(|(_, entry)| entry).collect();
        entries.sort_unstable_by_key(|entry| entry.number);
        entries.into_iter().filter_map(|entry| entry.task.clone()).collect()
    }
}
