//! What the attributes `#[carhop::main]` and `#[carhop::test]` expand to. Not for direct use.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, Termination, exit};

use crate::{Backend, Builder};

/// Runs `future` on `backend`; if that cannot be had, says why and ends the process with code 1.
pub fn block_on_main<F: Future>(backend: Backend, future: F) -> F::Output {
    match Builder::new().backend(backend).build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => {
            eprintln!("error: {error}");
            exit(1);
        }
    }
}

/// Runs `body` on each backend that is linked and to be had here, or on `only`. The value of the last run
/// is returned; a former one that reports failure fails the test.
pub fn test<F>(only: Option<Backend>, body: impl Fn() -> F) -> F::Output
where
    F: Future,
    F::Output: Termination,
{
    let (last, others) = backends(only);
    for backend in others {
        assert!(block_on_test(backend, body()).report() == ExitCode::SUCCESS, "the test failed on {backend}");
    }
    block_on_test(last, body())
}

/// As [`test`], for a body that must panic on each backend. The first that does not ends the test, which
/// then fails.
pub fn test_should_panic<F: Future>(only: Option<Backend>, body: impl Fn() -> F) -> F::Output {
    let (last, others) = backends(only);
    for backend in others {
        if let Ok(output) = catch_unwind(AssertUnwindSafe(|| block_on_test(backend, body()))) {
            return output;
        }
    }
    block_on_test(last, body())
}

fn backends(only: Option<Backend>) -> (Backend, Vec<Backend>) {
    let mut backends = match only {
        Some(backend) => vec![backend],
        None => Backend::LINKED.iter().copied().filter(|&backend| can_be_had(backend)).collect(),
    };
    let last = backends.pop().expect("a test needs a backend, and this machine refuses each that is linked");
    (last, backends)
}

fn can_be_had(backend: Backend) -> bool {
    let started = backend.start(1);
    if let Err(refusal) = &started {
        eprintln!("skipped: {backend}: {refusal}");
    }
    started.is_ok()
}

fn block_on_test<F: Future>(backend: Backend, future: F) -> F::Output {
    // Shown if the test fails, so that the last such line says where.
    eprintln!("backend: {backend}");
    match Builder::new().backend(backend).build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("{error}"),
    }
}
