//! The end of a runtime, where the reactor does not do as it is told.

use std::env;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::reactor::Wait;
use runtime_core::sleep::Sleep;
use runtime_core::spawn;

use crate::script::{Manners, Script};
use crate::support::{counted, read, stream};

#[test]
fn everything_is_cancelled_and_closed_in_the_order_of_its_drops() {
    let script = Script::default();
    let runtime = script.runtime(2);
    runtime.block_on(async {
        let (one, other) = (stream(&script).await, stream(&script).await);
        spawn(async move { read(&one).await });
        spawn(async move { read(&other).await });
        spawn(Sleep::until(Nanos::NEVER));
    });
    while runtime.step() == Wait::No {}
    script.take_log();
    drop(runtime);
    let log = script.take_log();
    assert!(log.starts_with("turn that waits a while, cancel, close, cancel, close"), "{log}");
    assert!(log.ends_with("reactor dropped"), "{log}");
    assert_eq!(script.open_descriptors(), 0);
}

/// A runtime whose reactor ends nothing, with two streams that receive. Dropping it takes all its patience.
fn drop_one_that_hangs(script: &Script) {
    let (owned, owners) = counted();
    let runtime = script.runtime(2);
    runtime.block_on(async {
        let (one, other) = (stream(script).await, stream(script).await);
        for stream in [one, other] {
            let owned = owned.clone();
            spawn(async move {
                let _owned = owned;
                read(&stream).await
            });
        }
    });
    while runtime.step() == Wait::No {}
    drop(owned);
    assert_eq!((script.open_descriptors(), script.under_way().len()), (2, 2));
    script.behave(Manners::Deaf);
    let before = script.now();
    drop(runtime);
    assert_eq!(script.now().saturating_since(before), Duration::from_secs(5), "its patience");
    assert_eq!(owners(), 0, "all tasks are dropped");
    // What the reactor owns is for the reactor to end: it is dropped, and nothing keeps it.
    assert!(script.take_log().ends_with("reactor dropped"));
    assert_eq!(script.open_descriptors(), 0);
}

const CHILD: &str = "CARHOP_CHILD_OF_ENDS";

/// Runs `f` in a process of its own that has that for stderr: it runs this test once more. Returns what came there.
fn in_child(test: &str, stderr: impl Into<Stdio>, f: impl FnOnce()) -> Option<String> {
    if env::var_os(CHILD).is_some() {
        f();
        return None;
    }
    let mut child = Command::new(env::current_exe().expect("this program"));
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1").stderr(stderr);
    let output = child.output().expect("this program runs again");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn patience_has_an_end_and_a_line_says_what_did_not_end() {
    let test = "ends::patience_has_an_end_and_a_line_says_what_did_not_end";
    let said = in_child(test, Stdio::piped(), || drop_one_that_hangs(&Script::default()));
    if let Some(said) = said {
        let line = "carhop: the kernel did not end these operations within 5s; \
                    what they own is leaked: receive, receive, close, close\n";
        assert_eq!(said, line);
    }
}

#[test]
fn that_line_may_find_stderr_closed() {
    in_child("ends::that_line_may_find_stderr_closed", Stdio::null(), || {
        // SAFETY: it is a number, which nobody owns; whoever writes there is told so.
        assert_eq!(unsafe { libc::close(2) }, 0);
        drop_one_that_hangs(&Script::default());
    });
}

#[test]
fn that_line_may_find_stderr_full() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    in_child("ends::that_line_may_find_stderr_full", full, || drop_one_that_hangs(&Script::default()));
}
