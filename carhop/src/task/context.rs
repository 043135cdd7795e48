//! What a task belongs to: the token that it should observe, and the group that waits for it.

use std::future::pending;
use std::rc::Rc;

use runtime_core::current_task;

use super::CancelToken;

crate::task_local! {
    static CONTEXT: Context;
}

#[derive(Clone)]
pub(super) struct Context {
    pub(super) token: CancelToken,
    pub(super) group: Option<Rc<dyn Enclosing>>,
}

/// A group around other groups, which run in one of its tasks.
pub(super) trait Enclosing {
    /// The scope of an inner group was dropped before its children had ended: this group waits for them instead.
    fn adopt(&self);
    /// The children of an adopted group have ended. If this group was adopted, too, and has ended by that, returns the
    /// group that has adopted it.
    fn release(&self) -> Option<Rc<dyn Enclosing>>;
    /// Drops one owner. If that was the last, the group is dropped, and its own share of the group around it is
    /// returned, for the caller to drop.
    fn let_go(self: Rc<Self>) -> Option<Rc<dyn Enclosing>>;
}

impl Context {
    /// The context of the running task, if it has one.
    pub(super) fn current() -> Option<Self> {
        CONTEXT.try_with(Self::clone).ok()
    }

    /// Makes this the context of the running task, for good, unless the task has inherited it.
    pub(super) fn enter(self) {
        if !Self::current().is_some_and(|current| current.is_same(&self)) {
            CONTEXT.set(self);
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let address = |context: &Self| context.group.as_ref().map(|group| Rc::as_ptr(group).addr());
        self.token.is_same(&other.token) && address(self) == address(other)
    }

    /// Runs `future` with this context.
    pub(super) async fn scope<F: Future>(self, future: F) -> F::Output {
        CONTEXT.scope(self, future).await
    }
}

/// # Panics
///
/// If no task of a runtime is running on this thread; `what` is named in the text.
pub(super) fn assert_runtime(what: &str) {
    assert!(
        current_task().is_some(),
        "{what} needs a running carhop runtime on this thread, and there is none: await it within carhop::run, \
         Runtime::block_on, #[carhop::main] or #[carhop::test]"
    );
}

/// Takes the current token ([`CancelToken::current`]) at the first poll, and waits until it is cancelled. Without a
/// current token it waits for ever. Dropping the future loses nothing.
pub async fn cancelled() {
    match CancelToken::current() {
        Some(token) => token.cancelled().await,
        None => pending().await,
    }
}

/// Whether there is a current token, and it is cancelled.
pub fn is_cancelled() -> bool {
    CancelToken::current().is_some_and(|token| token.is_cancelled())
}

impl CancelToken {
    /// The token that the running code should observe. It is that of the innermost [`CancelToken::scope`] or
    /// [`TaskGroup`](super::TaskGroup) around the code in this task. Without one in this task, it is the token that was
    /// current where the task was spawned.
    pub fn current() -> Option<CancelToken> {
        Context::current().map(|context| context.token)
    }

    /// A child of the current token or, without one, a token without a parent.
    pub fn child_of_current() -> CancelToken {
        Self::current().map_or_else(Self::new, |token| token.child_token())
    }

    /// Runs `future` with this token as the current one. Tasks that it spawns inherit the token. Dropping the returned
    /// future drops `future`.
    ///
    /// A task that should clean up before it ends is spawned with a token, and cancelled by that rather than aborted:
    ///
    /// ```
    /// use carhop::task::{self, CancelToken};
    ///
    /// async fn serve() -> &'static str {
    ///     while !task::is_cancelled() {
    ///         task::yield_now().await;
    ///     }
    ///     // Here is time for awaits.
    ///     task::yield_now().await;
    ///     "in order"
    /// }
    ///
    /// carhop::run(async {
    ///     let token = CancelToken::new();
    ///     let server = carhop::spawn(token.scope(serve()));
    ///     task::yield_now().await;
    ///     token.cancel();
    ///     assert_eq!(server.await.unwrap(), "in order");
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Polling it panics outside of a running runtime.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let token = self.clone();
        async move {
            assert_runtime("CancelToken::scope");
            let group = Context::current().and_then(|context| context.group);
            Context { token, group }.scope(future).await
        }
    }
}
