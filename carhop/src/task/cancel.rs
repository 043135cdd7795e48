//! Asking tasks to end.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Poll;

use slab::Slab;
use thiserror::Error;

use crate::sync::waiters::Waiters;

/// A request to end, which tasks can observe to finish in order.
///
/// This is the cooperative way: a task that observes the token may clean up, with awaits, and ends when it is done. In
/// contrast, [`JoinHandle::abort`](crate::JoinHandle::abort) drops the task's future at its await. asyncio's
/// `Task.cancel` is something of both.
///
/// Clones are the same token. Cancelling a token cancels its children, made by [`CancelToken::child_token`], and their
/// children, but not its parent. A token belongs to one thread.
///
/// ```
/// use carhop::task::CancelToken;
///
/// carhop::run(async {
///     let token = CancelToken::new();
///     let asked = token.clone();
///     let task = carhop::spawn(async move {
///         asked.cancelled().await;
///         "said goodbye"
///     });
///     token.cancel();
///     assert_eq!(task.await.unwrap(), "said goodbye");
/// });
/// ```
#[derive(Clone)]
pub struct CancelToken {
    node: Rc<Node>,
}

impl CancelToken {
    /// A token without a parent.
    pub fn new() -> Self {
        Self { node: Node::new(false) }
    }

    /// A token that is cancelled with this one, and can be cancelled alone. It is cancelled already if this one is.
    pub fn child_token(&self) -> CancelToken {
        let node = Node::new(self.is_cancelled());
        if !self.is_cancelled() {
            let place = self.node.children.borrow_mut().add(&node);
            node.parent.set(Some(Link { parent: Rc::clone(&self.node), place }));
        }
        Self { node }
    }

    /// Cancels the token and all its descendants. Then it wakes the tasks that wait for them: first those that wait for
    /// this token, then those of its children, then of theirs, each in the order of their arrival. A second call does
    /// nothing.
    pub fn cancel(&self) {
        let mut cancelled = Vec::new();
        if !self.node.cancelled.replace(true) {
            cancelled.push(Rc::clone(&self.node));
        }
        // A list rather than recursion, since the tree may be deep. All are cancelled before any task is woken.
        let mut next = 0;
        while let Some(node) = cancelled.get(next).cloned() {
            next += 1;
            for child in node.children.take().in_order() {
                child.parent.take();
                if !child.cancelled.replace(true) {
                    cancelled.push(child);
                }
            }
        }
        cancelled.into_iter().for_each(|node| node.waiters.grant_all(()));
    }

    /// Whether it has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.node.cancelled.get()
    }

    /// Waits until it is cancelled. Dropping the future loses nothing.
    pub async fn cancelled(&self) {
        if !self.is_cancelled() {
            let ready = || self.is_cancelled().then_some(());
            self.node.waiters.wait("CancelToken::cancelled", (), ready, |()| ()).await;
        }
    }

    /// Waits for `future`, but only until the token is cancelled: then `future` is dropped. Dropping the future that
    /// this returns drops `future`, too.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] if the token is cancelled first. `future` is polled before the token is looked at, so if it
    /// is ready it always wins.
    pub async fn run_until_cancelled<F: IntoFuture>(&self, future: F) -> Result<F::Output, Cancelled> {
        let mut future = pin!(future.into_future());
        let mut cancelled = pin!(self.cancelled());
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => cancelled.as_mut().poll(cx).map(|()| Err(Cancelled(()))),
        })
        .await
    }

    pub(super) fn is_same(&self, other: &CancelToken) -> bool {
        Rc::ptr_eq(&self.node, &other.node)
    }

    /// Cancels the token when the guard is dropped.
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelToken({})", if self.is_cancelled() { "cancelled" } else { "not cancelled" })
    }
}

/// Cancels a token when it is dropped. See [`CancelToken::drop_guard`].
///
/// ```
/// use carhop::task::CancelToken;
///
/// let token = CancelToken::new();
/// drop(token.child_token().drop_guard());
/// assert!(!token.is_cancelled());
/// drop(token.clone().drop_guard());
/// assert!(token.is_cancelled());
/// ```
#[derive(Debug)]
#[must_use = "the token is cancelled as soon as the guard is dropped"]
pub struct DropGuard {
    /// `None` only once it is disarmed.
    token: Option<CancelToken>,
}

impl DropGuard {
    /// Returns the token, without cancelling it.
    pub fn disarm(mut self) -> CancelToken {
        self.token.take().expect("taken only here")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            token.cancel();
        }
    }
}

/// The error of [`CancelToken::run_until_cancelled`]: the token was cancelled.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the token was cancelled")]
pub struct Cancelled(());

/// Of the kind `Other`: an `Interrupted` would be tried again.
impl From<Cancelled> for io::Error {
    fn from(cancelled: Cancelled) -> Self {
        io::Error::other(cancelled)
    }
}

/// A token. Children own their parent, so a token that the program drops still connects its children to its own parent.
/// The parent knows its children without owning them.
struct Node {
    cancelled: Cell<bool>,
    waiters: Waiters,
    /// `None` without a parent, and once the parent is cancelled.
    parent: Cell<Option<Link>>,
    children: RefCell<Children>,
}

struct Link {
    parent: Rc<Node>,
    /// Where the parent keeps the child.
    place: usize,
}

#[derive(Default)]
struct Children {
    places: Slab<(u64, Weak<Node>)>,
    /// How many were added so far.
    arrivals: u64,
}

impl Node {
    fn new(cancelled: bool) -> Rc<Self> {
        Rc::new(Self {
            cancelled: Cell::new(cancelled),
            waiters: Waiters::new(),
            parent: Cell::new(None),
            children: RefCell::default(),
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut link = self.parent.take();
        // If this was the parent's last owner, the parent is dropped here, rather than by nested drops: the chain may
        // be long.
        while let Some(Link { parent, place }) = link {
            parent.children.borrow_mut().places.remove(place);
            link = Rc::into_inner(parent).and_then(|parent| parent.parent.take());
        }
    }
}

impl Children {
    fn add(&mut self, child: &Rc<Node>) -> usize {
        self.arrivals += 1;
        self.places.insert((self.arrivals, Rc::downgrade(child)))
    }

    fn in_order(self) -> impl Iterator<Item = Rc<Node>> {
        let mut children: Vec<_> = self.places.into_iter().map(|(_, child)| child).collect();
        children.sort_unstable_by_key(|&(arrival, _)| arrival);
        children.into_iter().filter_map(|(_, child)| child.upgrade())
    }
}
