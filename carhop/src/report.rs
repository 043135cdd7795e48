//! Which backend was chosen, and why.

use std::fmt;

use crate::backend::Backend;

/// Which backend a runtime uses, and why. `Display` prints it as one line.
#[derive(Clone, Debug)]
pub struct BackendReport {
    chosen: Backend,
    why: String,
    refusals: Vec<BackendRefusal>,
}

impl BackendReport {
    pub(crate) fn new(chosen: Backend, why: String, refusals: Vec<BackendRefusal>) -> Self {
        Self { chosen, why, refusals }
    }

    pub(crate) fn automatic(chosen: Backend, refusals: Vec<BackendRefusal>) -> Self {
        let why = match (Backend::LINKED.len(), refusals.is_empty()) {
            (1, _) => "the only one that is linked",
            (_, true) => "the first choice, and available",
            (_, false) => "available",
        };
        Self::new(chosen, why.to_owned(), refusals)
    }

    /// The backend in use; never [`Backend::Auto`].
    pub fn chosen(&self) -> Backend {
        self.chosen
    }

    /// Why it was chosen.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The backends that were tried before and are unavailable.
    pub fn refusals(&self) -> &[BackendRefusal] {
        &self.refusals
    }

    /// The version of the running kernel, as `uname -r` prints it.
    pub fn kernel(&self) -> String {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        release.map_or_else(|_| "unknown".to_owned(), |release| release.trim().to_owned())
    }
}

impl fmt::Display for BackendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (Linux {}; {})", self.chosen, self.kernel(), self.why)?;
        for refusal in &self.refusals {
            write!(f, "; not {}: {refusal}", refusal.backend)?;
        }
        Ok(())
    }
}

/// Why a backend cannot be used.
#[derive(Clone, Debug)]
pub struct BackendRefusal {
    backend: Backend,
    errno: Option<i32>,
    text: String,
}

impl BackendRefusal {
    #[cfg(feature = "epoll")]
    pub(crate) fn of_epoll(error: &std::io::Error) -> Self {
        Self {
            backend: Backend::Epoll,
            errno: error.raw_os_error(),
            text: format!("epoll_create1 failed with {error}."),
        }
    }

    #[cfg(feature = "uring")]
    pub(crate) fn of_uring(error: &reactor_uring::SetupError) -> Self {
        Self { backend: Backend::Uring, errno: error.errno(), text: error.to_string() }
    }

    pub(crate) fn not_linked(backend: Backend) -> Self {
        let text = match backend {
            Backend::Custom => "only Builder::reactor can bring one.".to_owned(),
            linked => format!("this program was built without carhop's feature `{}`.", linked.name()),
        };
        Self { backend, errno: None, text }
    }

    /// The backend that was refused.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The kernel's error number, if the kernel refused.
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }
}

/// What failed with which error number, the likely cause, and what to do about it.
impl fmt::Display for BackendRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
