//! One task, in one allocation.

use std::any::{Any, TypeId};
use std::rc::Rc;
use std::task::Waker;

use crate::contain::{contain, contain_drop, drop_contained, forget_payload, wake_contained};
use crate::remote::registry::Identity;

use super::body::{Body, Content};
use super::error::JoinError;
use super::header::{Header, Origin};
use super::id::TaskId;
use super::info::TaskInfo;

/// A task. It exists only inside the `Rc` that `new` makes, and so does not move.
pub(crate) struct Task<B: ?Sized = dyn Body> {
    pub(crate) header: Header,
    pub(super) body: B,
}

impl<F: Future + 'static> Task<Content<F>> {
    /// A task, in the memory of `spare` if that had a future of the same type, and nobody has a handle of it.
    #[inline]
    pub(super) fn new(
        runtime: Identity,
        id: TaskId,
        origin: Origin,
        future: F,
        spare: Option<Rc<Task>>,
    ) -> Rc<Self> {
        if let Some(spare) = spare
            && spare.body.future_type() == TypeId::of::<F>()
        {
            // SAFETY: as its future is an `F`, its body is a `Content<F>`, there is no other: the type is the one that
            // the allocation was made for.
            let mut task = unsafe { Rc::from_raw(Rc::into_raw(spare).cast::<Self>()) };
            if let Some(this) = Rc::get_mut(&mut task) {
                this.header.restart(id, origin);
                this.body.restart(future);
                return task;
            }
        }
        // Written where it stays: `Rc::new` would make it on the stack first.
        let mut task = Rc::new_uninit();
        // SAFETY: what is in an `Rc` does not move, and nobody takes it out: there is no `Rc<Self>` but those of here.
        let body = unsafe { Content::new(future) };
        let header = Header::new(runtime, id, origin);
        Rc::get_mut(&mut task).expect("nobody else has it").write(Self { header, body });
        // SAFETY: the line before wrote all of it.
        unsafe { task.assume_init() }
    }
}

impl Task {
    /// Polls the future once; `true` when the task has finished. Contains panics, of which `describe` says whose they
    /// are.
    #[inline(always)]
    pub(crate) fn poll(&self, waker: &Waker, describe: &dyn Fn(&Header) -> TaskInfo) -> bool {
        if self.header.abort.get() {
            self.fail(JoinError::cancelled(), describe);
            return true;
        }
        match contain(|| self.body.advance(waker)) {
            Ok(false) => return false,
            Ok(true) => self.finish(),
            Err(payload) => self.fail(self.panicked(payload, describe), describe),
        }
        true
    }

    /// The future is to be dropped instead of polled. Whether the task is to be woken for that.
    pub(super) fn abort(&self) -> bool {
        !self.header.finished.get() && !self.header.abort.replace(true)
    }

    /// Drops the future, if it is still there. Contains panics.
    pub(super) fn cancel(&self, describe: &dyn Fn(&Header) -> TaskInfo) {
        if !self.header.finished.get() {
            self.fail(JoinError::cancelled(), describe);
        }
    }

    /// The handle is gone: forgets who waits for the output.
    pub(super) fn detach(&self) {
        self.header.detached.set(true);
        drop_contained(self.header.joiner.take());
        if self.header.finished.get() {
            self.report_unseen_panic();
        }
    }

    /// Drops the output, if it is still there. Contains panics.
    pub(super) fn drop_output(&self) {
        self.header.has_output.set(false);
        contain_drop(|| self.body.drop_output());
    }

    /// Puts `error` in the place of the future, or of its output if that future's drop panicked. Should the drop of
    /// a cancelled future panic, that is the error.
    #[cold]
    fn fail(&self, error: JoinError, describe: &dyn Fn(&Header) -> TaskInfo) {
        let error = match contain(|| self.body.drop_future()) {
            Err(payload) if error.is_cancelled() => self.panicked(payload, describe),
            Err(payload) => {
                forget_payload(payload);
                error
            }
            Ok(()) => error,
        };
        self.body.set_error(error);
        self.finish();
    }

    #[cold]
    fn panicked(&self, payload: Box<dyn Any + Send>, describe: &dyn Fn(&Header) -> TaskInfo) -> JoinError {
        JoinError::panic(payload, Some(describe(&self.header)))
    }

    #[inline]
    fn finish(&self) {
        self.header.finished.set(true);
        self.header.has_output.set(true);
        if let Some(joiner) = self.header.joiner.take() {
            wake_contained(joiner);
        }
        if self.header.detached.get() {
            self.report_unseen_panic();
        }
    }

    /// There is no handle, and so nobody who will take the output.
    fn report_unseen_panic(&self) {
        if let Some(error) = self.body.take_panic() {
            self.header.has_output.set(false);
            error.report_to(self.header.runtime.serial);
        }
    }
}
