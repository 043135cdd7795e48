//! The state that a scope and its children share.

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
    /// Something failed: the children that are left, and the body, have been asked to end.
    Ending,
    /// The children that are left, and the body, have been aborted.
    Aborted,
    /// The scope is over.
    Closed,
}

pub(super) struct Shared<E> {
    pub(super) phase: Cell<Phase>,
    /// There is a drain deadline: children are asked to end before they are aborted.
    drains: bool,
    pub(super) token: CancelToken,
    /// The group around this one, which adopts it if the scope is dropped before its children have ended.
    enclosing: Option<Rc<dyn Enclosing>>,
    /// That has happened, and `enclosing` has yet to be released.
    adopted: Cell<bool>,
    children: RefCell<Children>,
    /// How many groups it has adopted.
    guests: Cell<usize>,
    failures: RefCell<Vec<Failure<E>>>,
    blockers: RefCell<Vec<Blocker>>,
    /// Wakes the scope.
    pub(super) waiter: Cell<Option<Waker>>,
}

#[derive(Default)]
struct Children {
    places: Slab<Entry>,
    /// How many were spawned so far.
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

    /// The context of the children and the body.
    pub(super) fn context(self: &Rc<Self>) -> Context {
        Context { token: self.token.clone(), group: Some(Rc::clone(self) as Rc<dyn Enclosing>) }
    }
}

impl<E> Shared<E> {
    pub(super) fn len(&self) -> usize {
        self.children.borrow().places.len()
    }

    /// Neither children nor adopted groups are left.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.guests.get() == 0
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.phase.get() >= Phase::Aborted
    }

    /// Something failed.
    pub(super) fn fail(&self, failure: Failure<E>) {
        if self.phase.get() == Phase::Closed {
            // The scope does not report any more.
            return drop_contained(failure);
        }
        self.failures.borrow_mut().push(failure);
        self.end();
    }

    /// Ends the children that are left, and the body: asks them if there is a drain deadline, else aborts them.
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

    /// The scope has ended or was dropped.
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
        // Here rather than with the group, since an error may own the group.
        drop_contained(self.take_error());
    }

    /// The error of the scope, if anything went wrong.
    pub(super) fn take_error(&self) -> Option<GroupError<E>> {
        let (failures, blockers) = (self.failures.take(), self.blockers.take());
        (!failures.is_empty() || !blockers.is_empty()).then_some(GroupError { failures, blockers })
    }

    /// A child has ended.
    pub(super) fn leave(&self, place: usize) {
        self.children.borrow_mut().places.remove(place);
        let mut next = self.ended();
        // A loop rather than recursion, since groups may be nested deeply.
        while let Some(enclosing) = next {
            next = enclosing.release();
        }
    }

    /// If neither children nor adopted groups are left, wakes the scope. If this group was adopted, returns the group
    /// that waits instead.
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
        // If this was the last owner of the group around, that is dropped here, rather than by nested drops: the chain
        // may be long.
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
