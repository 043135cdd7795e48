//! What the tests of the example programs share.

use std::io::{Write, stderr};
use std::sync::LazyLock;
use std::time::Duration;

use carhop::{Backend, Builder};

pub mod clients;
pub mod program;

/// How long anything may take. Only a test that fails ever waits as long.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The backends that are linked and that this machine does not refuse, best first.
pub fn usable() -> &'static [Backend] {
    static USABLE: LazyLock<Vec<Backend>> = LazyLock::new(|| {
        let mut usable = Backend::LINKED.to_vec();
        usable.retain(|&backend| {
            // As many at once as tests may run: the memory of rings is limited per user.
            let built =
                (0..32).map(|_| Builder::new().backend(backend).build()).collect::<Result<Vec<_>, _>>();
            built.inspect_err(|error| note(&format!("tests on {backend} are skipped: {error}"))).is_ok()
        });
        usable
    });
    assert!(!USABLE.is_empty(), "there is no backend to test");
    &USABLE
}

/// Says something past the test harness, which swallows what `eprintln!` prints.
pub fn note(line: &str) {
    stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
