//! Tasks that are joined as they end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use runtime_core::contain::{drop_contained, wake_contained};
use runtime_core::task::{Awaits, note};
use slab::Slab;

use super::{AbortHandle, Builder, JoinError, JoinHandle};

/// Tasks whose outputs are taken in the order in which they end: asyncio's `wait` and `as_completed`.
///
/// Dropping the set aborts the tasks that are still in it. A task stays in the set until its output is taken.
///
/// ```
/// use carhop::task::JoinSet;
/// use carhop::time::sleep;
/// use std::time::Duration;
///
/// carhop::run(async {
///     let mut set = JoinSet::new();
///     for ms in [3, 1, 2] {
///         set.spawn(async move {
///             sleep(Duration::from_millis(ms)).await;
///             ms
///         });
///     }
///     let mut ended = Vec::new();
///     while let Some(output) = set.join_next().await {
///         ended.push(output.unwrap());
///     }
///     assert_eq!(ended, [1, 2, 3]);
/// });
/// ```
pub struct JoinSet<T> {
    tasks: Slab<Member<T>>,
    ended: Rc<Ended>,
    /// Tasks spawned so far.
    spawned: u64,
}

struct Member<T> {
    handle: JoinHandle<T>,
    /// Index in order of spawning.
    number: u64,
}

impl<T: 'static> JoinSet<T> {
    /// Adds a task to the runtime of this thread and to the set.
    ///
    /// # Panics
    ///
    /// As [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + 'static>(&mut self, future: F) -> AbortHandle {
        self.spawn_with(Builder::new(), future)
    }

    /// As [`JoinSet::spawn`], with a name and the other options of a [`Builder`].
    ///
    /// # Panics
    ///
    /// As [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn_with<F>(&mut self, builder: Builder, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let number = self.spawned;
        self.spawned += 1;
        let entry = self.tasks.vacant_entry();
        let place = Place { key: entry.key(), number };
        let leaves = Leaves { ended: Rc::clone(&self.ended), place };
        let handle = builder.spawn(Child { future, _leaves: leaves });
        let abort_handle = handle.abort_handle();
        entry.insert(Member { handle, number });
        abort_handle
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self { tasks: Slab::new(), ended: Rc::default(), spawned: 0 }
    }

    /// How many tasks are in the set, including those that have ended and were not joined yet.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no task in the set.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next task to end and takes its output. Tasks that have ended already come first, in the order in
    /// which they ended. `None` if the set is empty.
    ///
    /// Dropping the future loses nothing: the task stays in the set.
    ///
    /// # Errors
    ///
    /// The inner [`JoinError`] says that the task panicked or was aborted.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`JoinSet::join_next`], for hand-written futures. The task that polls last is woken.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_next_member(cx).map(|ended| ended.map(|(_, output)| output))
    }

    /// Takes the output of the task that ended first, if one has.
    ///
    /// # Errors
    ///
    /// As [`JoinSet::join_next`].
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        match self.poll_first_ended(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => ended.map(|(_, output)| output),
            Poll::Pending => None,
        }
    }

    /// Waits for all tasks and returns their outputs in the order in which they were spawned: asyncio's
    /// `gather(..., return_exceptions=True)`.
    ///
    /// Dropping the future aborts the tasks that are left, and loses the outputs.
    ///
    /// # Errors
    ///
    /// An inner [`JoinError`] says that this task panicked or was aborted. The others are waited for all the same.
    pub async fn join_all(mut self) -> Vec<Result<T, JoinError>> {
        let mut ended = Vec::with_capacity(self.len());
        while let Some(member) = poll_fn(|cx| self.poll_next_member(cx)).await {
            ended.push(member);
        }
        ended.sort_unstable_by_key(|&(number, _)| number);
        ended.into_iter().map(|(_, output)| output).collect()
    }

    /// Aborts all tasks of the set, in the order in which they were spawned. They stay in the set, to be joined.
    pub fn abort_all(&mut self) {
        self.in_order().into_iter().for_each(|member| member.handle.abort());
    }

    /// Lets the tasks go: they run on, and the set is empty.
    pub fn detach_all(&mut self) {
        // Their ends go to the old list.
        self.ended = Rc::default();
        self.tasks.drain().for_each(drop);
    }

    /// Aborts all tasks of the set, and waits until they have ended. Their outputs are dropped.
    ///
    /// When the future is dropped, the tasks are aborted nevertheless.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    fn in_order(&self) -> Vec<&Member<T>> {
        let mut members: Vec<_> = self.tasks.iter().map(|(_, member)| member).collect();
        members.sort_unstable_by_key(|member| member.number);
        members
    }

    fn poll_next_member(&mut self, cx: &mut Context<'_>) -> Poll<Option<(u64, Result<T, JoinError>)>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        // Cloned before the state is looked at: cloning may run users' code.
        let waker = cx.waker().clone();
        if let Some(ended) = ready!(self.poll_first_ended(cx)) {
            drop_contained(waker);
            return Poll::Ready(Some(ended));
        }
        drop_contained(self.ended.waiter.replace(Some(waker)));
        note(Awaits::Named("JoinSet::join_next"));
        Poll::Pending
    }

    /// `None`: no task has ended. Pending: one is about to, and will wake the waker of `cx`.
    fn poll_first_ended(&mut self, cx: &mut Context<'_>) -> Poll<Option<(u64, Result<T, JoinError>)>> {
        let Some(key) = self.first_ended() else { return Poll::Ready(None) };
        // A task gives notice in the drop of its future, a moment before its output is available.
        let output = ready!(Pin::new(&mut self.tasks[key].handle).poll(cx));
        self.ended.places.borrow_mut().pop_front();
        Poll::Ready(Some((self.tasks.remove(key).number, output)))
    }

    fn first_ended(&self) -> Option<usize> {
        let mut places = self.ended.places.borrow_mut();
        loop {
            let Place { key, number } = *places.front()?;
            if self.tasks.get(key).is_some_and(|member| member.number == number) {
                return Some(key);
            }
            // It never became a member: its spawning panicked, outside of a runtime.
            places.pop_front();
        }
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        // Its tasks end later, and no task waits for that.
        drop_contained(self.ended.waiter.take());
        self.abort_all();
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinSet({} tasks)", self.len())
    }
}

/// Spawns all the futures.
impl<T: 'static, F: Future<Output = T> + 'static> FromIterator<F> for JoinSet<T> {
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        futures.into_iter().for_each(|future| drop(set.spawn(future)));
        set
    }
}

/// What the tasks of a set share with it.
#[derive(Default)]
struct Ended {
    /// Members that have ended and were not joined yet.
    places: RefCell<VecDeque<Place>>,
    waiter: Cell<Option<Waker>>,
}

/// Where in the set a member is, and its number, since places are used again.
#[derive(Clone, Copy)]
struct Place {
    key: usize,
    number: u64,
}

pin_project! {
    /// A future that gives notice when it is dropped, which is its end whether it is ready, panics or is aborted.
    struct Child<F> {
        #[pin]
        future: F,
        // After the future, so dropped after it.
        _leaves: Leaves,
    }
}

impl<F: Future> Future for Child<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

struct Leaves {
    ended: Rc<Ended>,
    place: Place,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.ended.places.borrow_mut().push_back(self.place);
        if let Some(waiter) = self.ended.waiter.take() {
            wake_contained(waiter);
        }
    }
}
