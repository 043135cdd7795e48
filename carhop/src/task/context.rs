//! What a task is part of: the token that it is to observe, and the group that waits for it.

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

/// A group, as groups see it that run in one of its tasks.
pub(super) trait Enclosing {
    /// The scope of a group within was dropped before its children had ended: waits for them in its stead.
    fn adopt(&self);
    /// They have ended. Returns who else waits for that, if this one was adopted itself and has ended with it.
    fn release(&self) -> Option<Rc<dyn Enclosing>>;
    /// Drops one owner. With the last one goes the group; returns the one around it then, which lost an owner by that.
    fn let_go(self: Rc<Self>) -> Option<Rc<dyn Enclosing>>;
}

impl Context {
    /// Of the task that is running, if it is part of anything.
    pub(super) fn current() -> Option<Self> {
        CONTEXT.try_with(Self::clone).ok()
    }

    /// Becomes that of the task that is running, for good, unless that has inherited it.
    pub(super) fn enter(self) {
        if !Self::current().is_some_and(|current| current.is_same(&self)) {
            CONTEXT.set(self);
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let address = |context: &Self| context.group.as_ref().map(|group| Rc::as_ptr(group).addr());
        self.token.is_same(&other.token) && address(self) == address(other)
    }

    /// Is that of `future`.
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

/// Waits until the token is cancelled that is the current one at the first poll ([`CancelToken::current`]). Without one
/// it waits for ever. Dropping the future loses nothing.
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
    /// The token that whoever asks is to observe: that of the innermost [`CancelToken::scope`] or group around it, in
    /// this task or, when this one was spawned, in the task that spawned it.
    pub fn current() -> Option<CancelToken> {
        Context::current().map(|context| context.token)
    }

    /// A child of the current token or, where there is none, a token of its own.
    pub fn child_of_current() -> CancelToken {
        Self::current().map_or_else(Self::new, |token| token.child_token())
    }

    /// Runs `future` with this token as the current one. Tasks that it spawns have it as theirs, too. Dropping what this
    /// returns drops `future`.
    ///
    /// So a task that is to clean up before it ends is spawned with a token, and asked rather than aborted:
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
