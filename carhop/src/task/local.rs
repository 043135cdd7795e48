//! Values that travel with a task.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::rc::Rc;

use runtime_core::task_locals::{self as locals, Value};
use thiserror::Error;

/// Declares task-locals: `static`s of which each task has a value of its own, like asyncio's `contextvars`.
///
/// A task starts with the values of the task that spawned it. A value that it sets is seen by itself and by the tasks
/// that it spawns from then on. Reading a task-local that has neither a value nor a default is an error.
///
/// ```
/// carhop::task_local! {
///     /// The user who makes the request.
///     static USER: String;
///     static DEPTH: u32 = 0;
/// }
///
/// carhop::run(async {
///     USER.set("ada".to_owned());
///     let child = carhop::spawn(async {
///         DEPTH.set(DEPTH.get() + 1);
///         (USER.get(), DEPTH.get())
///     });
///     assert_eq!(child.await.unwrap(), ("ada".to_owned(), 1));
///     assert_eq!(DEPTH.get(), 0);
/// });
/// ```
///
/// [`TaskLocal`](crate::task::TaskLocal) has the methods.
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty $(= $default:expr)?; $($rest:tt)*) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::TaskLocal<$type> = $crate::__task_local!($($default)?);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty $(= $default:expr)?) => {
        $crate::task_local!($(#[$attribute])* $visibility static $name: $type $(= $default)?;);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __task_local {
    () => {
        $crate::task::TaskLocal::__new(None)
    };
    ($default:expr) => {
        $crate::task::TaskLocal::__new(Some(|| $default))
    };
}

/// A task-local, declared by [`task_local!`](crate::task_local). A task that uses none has no cost for them.
pub struct TaskLocal<T: 'static> {
    default: Option<fn() -> T>,
    /// Each thread has its own tasks, so a value never leaves its thread.
    _value: PhantomData<fn() -> T>,
}

impl<T: 'static> TaskLocal<T> {
    #[doc(hidden)]
    pub const fn __new(default: Option<fn() -> T>) -> Self {
        Self { default, _value: PhantomData }
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// Where [`TaskLocal::try_with`] is an error.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls `f` with the value. If none is set and the declaration has a default, the default becomes the task's
    /// value.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if there is neither value nor default, or if no task of a carhop runtime is running on this
    /// thread.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let value = match locals::get(self.key()).map_err(|_| AccessError::NoTask)? {
            Some(value) => value,
            None => {
                let value = Rc::new(self.default.ok_or(AccessError::NotSet)?());
                self.put(Some(Rc::clone(&value) as Value))?;
                value
            }
        };
        let value =
            value.downcast_ref().expect("a task-local's key is its own address, and so is its type its own");
        Ok(f(value))
    }

    /// A clone of the value.
    ///
    /// # Panics
    ///
    /// As [`TaskLocal::with`].
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Sets the value for this task, and for the tasks that it spawns from now on.
    ///
    /// # Panics
    ///
    /// If no task of a carhop runtime is running on this thread.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        if let Err(error) = self.put(Some(Rc::new(value))) {
            panic!("{error}");
        }
    }

    /// Runs `future` with the value set. When it is done, the former value is back. The value is not set between the
    /// polls of `future`, nor while it is dropped before it is done.
    ///
    /// # Panics
    ///
    /// Polling it panics if no task of a carhop runtime is running on this thread.
    pub async fn scope<F: Future>(&'static self, value: T, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut inside: Option<Value> = Some(Rc::new(value));
        poll_fn(|cx| {
            let outside = self.put(inside.take()).unwrap_or_else(|error| panic!("{error}"));
            let mut swapped = Swapped { key: self.key(), outside: Some(outside), inside: &mut inside };
            let poll = future.as_mut().poll(cx);
            swapped.back();
            poll
        })
        .await
    }

    fn put(&'static self, value: Option<Value>) -> Result<Option<Value>, AccessError> {
        locals::replace(self.key(), value).map_err(|_| AccessError::NoTask)
    }

    /// Its address, which no other static shares, since this type is not zero-sized.
    fn key(&'static self) -> locals::Key {
        std::ptr::from_ref(self).addr()
    }
}

impl<T: 'static> fmt::Debug for TaskLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskLocal")
    }
}

/// Puts the outer value back when it is dropped, also by a panic.
struct Swapped<'a> {
    key: locals::Key,
    /// `None` once it is back.
    outside: Option<Option<Rc<dyn Any>>>,
    inside: &'a mut Option<Rc<dyn Any>>,
}

impl Swapped<'_> {
    fn back(&mut self) {
        if let Some(outside) = self.outside.take() {
            // A task is running, since its value has been set.
            *self.inside = locals::replace(self.key, outside).unwrap_or_default();
        }
    }
}

impl Drop for Swapped<'_> {
    fn drop(&mut self) {
        self.back();
    }
}

/// Why a task-local has no value.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessError {
    /// Neither this task nor an ancestor has set it, and it has no default.
    #[error("this task-local is not set in this task, and has no default")]
    NotSet,
    /// No task of a carhop runtime is running on this thread.
    #[error("a task-local needs a running task of a carhop runtime on this thread")]
    NoTask,
}
