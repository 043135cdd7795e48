//! What drives a loop: `block_on`, or a host step by step; and its end.

use std::mem;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::context;
use crate::core::Core;
use crate::reactor::Wait;

/// Runs the loop until `future` is ready.
#[track_caller]
pub(crate) fn block_on<F: Future>(core: &Rc<Core>, future: F) -> F::Output {
    let site = Location::caller();
    assert_may_run(core, "block_on");
    let _entered = context::enter(core);
    let _ended = EndOnDrop(core);
    let waker = core.begin_root(site);
    let mut future = pin!(future);
    let mut output = None;
    let mut poll = || match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(ready) => {
            output = Some(ready);
            true
        }
        Poll::Pending => false,
    };
    while !core.step(true, &mut poll) {}
    output.expect("the last step had it")
}

/// One step, which does not wait.
#[track_caller]
pub(crate) fn step(core: &Rc<Core>) -> Wait {
    assert_may_run(core, "Runtime::step");
    let _entered = context::enter(core);
    core.step(false, &mut || unreachable!("there is no block_on"));
    core.rest()
}

/// Ends a runtime.
pub(crate) fn shut_down(core: &Rc<Core>) {
    if !core.io().is_of_this_process() {
        // The ring, the descriptors and the tasks belong to the parent. Nothing is undone here.
        mem::forget(Rc::clone(core));
        return;
    }
    let _entered = context::enter(core);
    core.shut_down();
}

#[track_caller]
fn assert_may_run(core: &Core, what: &str) {
    core.io().assert_same_process();
    if context::try_with(|_| ()).is_some() {
        panic!(
            "{what} inside of a running carhop runtime: it would stop every task of that runtime; \
             await the future instead, or spawn it"
        );
    }
}

/// The end of a `block_on`, however it ends.
struct EndOnDrop<'a>(&'a Core);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end_root();
    }
}
