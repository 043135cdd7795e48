//! Blocking work, whose handle is used in the middle of everything: all that is done to it is done under a lock, so what can
//! come in between comes while the closure is called, or dropped.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use runtime_core::errno::Errno;
use runtime_core::{BlockingHandle, JoinError, spawn_blocking};

use crate::script::Script;

/// What is done to the handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Nothing,
    Look,
    Poll,
    Abort,
    AbortTwice,
    Drop,
}

const ACTS: [Act; 6] = [Act::Nothing, Act::Look, Act::Poll, Act::Abort, Act::AbortTwice, Act::Drop];

/// What happens to the closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Returns,
    Panics,
    /// It is aborted before a thread takes it.
    Aborted,
    /// The reactor says that it was cancelled.
    Cancelled,
    /// The reactor has no thread for it.
    Refused,
    /// The runtime ends first.
    RuntimeEnds,
}

const FATES: [Fate; 6] =
    [Fate::Returns, Fate::Panics, Fate::Aborted, Fate::Cancelled, Fate::Refused, Fate::RuntimeEnds];

type Handle = Arc<Mutex<Option<BlockingHandle<u32>>>>;

fn poll(handle: &mut BlockingHandle<u32>) -> Poll<Result<u32, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(Waker::noop()))
}

fn act(handle: &Handle, act: Act) {
    // Taken out, so that nothing is locked meanwhile.
    let Some(mut own) = handle.lock().unwrap().take() else { return };
    match act {
        Act::Nothing => {}
        Act::Look => assert!(!own.is_finished()),
        Act::Poll => assert!(poll(&mut own).is_pending()),
        Act::Abort => own.abort(),
        Act::AbortTwice => (own.abort(), own.abort()).0,
        Act::Drop => return drop(own),
    }
    *handle.lock().unwrap() = Some(own);
}

/// Does something when it is dropped, and counts that.
struct Guard {
    handle: Handle,
    act: Act,
    drops: Arc<AtomicUsize>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        act(&self.handle, self.act);
    }
}

/// Runs one of them, with one act before anything, one while the closure is called, and one while it is dropped.
fn run(fate: Fate, [before, called, dropped]: [Act; 3]) {
    let what = format!("{fate:?}, with {before:?}, {called:?}, {dropped:?}");
    let script = Script::default();
    let runtime = script.runtime(1);
    let handle = Handle::default();
    let (calls, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let guard = Guard { handle: Arc::clone(&handle), act: dropped, drops: Arc::clone(&drops) };
    let count = Arc::clone(&calls);
    let spawned = runtime.block_on(async {
        Some(spawn_blocking(move || {
            count.fetch_add(1, Ordering::Relaxed);
            act(&guard.handle, called);
            if fate == Fate::Panics {
                std::panic::resume_unwind(Box::new("a panic of the closure"));
            }
            7
        }))
    });
    *handle.lock().unwrap() = spawned;
    act(&handle, before);
    let mut runtime = Some(runtime);
    match fate {
        Fate::Returns | Fate::Panics => script.run_job(),
        Fate::Aborted => {
            act(&handle, Act::Abort);
            script.run_job();
        }
        Fate::Cancelled => script.end("blocking work", Err(Errno::ECANCELED)),
        Fate::Refused => script.end("blocking work", Err(Errno::EAGAIN)),
        Fate::RuntimeEnds => runtime = None,
    }
    if let Some(runtime) = &runtime {
        runtime.step();
    }

    let was_aborted =
        [Act::Abort, Act::AbortTwice].contains(&before) || (fate == Fate::Aborted && before != Act::Drop);
    let is_called = !was_aborted && [Fate::Returns, Fate::Panics, Fate::Aborted].contains(&fate);
    assert_eq!(calls.load(Ordering::Relaxed), usize::from(is_called), "{what}");
    assert_eq!(drops.load(Ordering::Relaxed), 1, "{what}");
    let answer = handle.lock().unwrap().take().map(|mut handle| match poll(&mut handle) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("{what}: there is no answer"),
    });
    match answer {
        None => assert!([before, called, dropped].contains(&Act::Drop), "{what}"),
        Some(Ok(value)) => assert!(value == 7 && is_called && fate != Fate::Panics, "{what}"),
        Some(Err(error)) if error.is_panic() => assert!(is_called && fate == Fate::Panics, "{what}"),
        Some(Err(error)) if error.is_refused() => assert!(!was_aborted && fate == Fate::Refused, "{what}"),
        Some(Err(error)) => assert!(error.is_cancelled() && !is_called, "{what}"),
    }
    drop(runtime);
}

#[test]
fn whatever_is_done_to_its_handle_a_closure_is_called_once_or_dropped_and_answered() {
    for fate in FATES {
        for before in ACTS {
            for called in ACTS {
                for dropped in ACTS {
                    run(fate, [before, called, dropped]);
                }
            }
        }
    }
}
