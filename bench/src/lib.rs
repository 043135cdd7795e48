//! What benchmarks, tests and programs share.
#![forbid(unsafe_code)]

pub mod parts;
pub mod program;

use std::sync::LazyLock;

use carhop::{Backend, Builder, Runtime};

/// The backends that are linked and that this machine offers. What it refuses is a line on stderr, once.
pub fn backends() -> &'static [Backend] {
    static OFFERED: LazyLock<Vec<Backend>> = LazyLock::new(|| {
        let offered = |&backend: &Backend| match Builder::new().backend(backend).build() {
            Ok(_) => true,
            Err(error) => {
                eprintln!("skipped: {error}");
                false
            }
        };
        Backend::LINKED.iter().copied().filter(offered).collect()
    });
    &OFFERED
}

/// A runtime on `backend`.
///
/// # Panics
///
/// If the machine refuses it.
pub fn runtime(backend: Backend) -> Runtime {
    Builder::new().backend(backend).build().unwrap_or_else(|error| panic!("{error}"))
}
