//! The backends that are linked, and how to start one.

use std::fmt;
use std::str::FromStr;

use runtime_core::Reactor;

use crate::report::BackendRefusal;

/// What the event loop stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// io_uring where it is linked and the machine offers it, else epoll.
    #[default]
    Auto,
    /// `epoll(7)`.
    Epoll,
    /// `io_uring(7)`.
    Uring,
    /// No kernel: virtual time, and a network in memory. Never chosen by `Auto`.
    Sim,
    /// A reactor that the program brought ([`Builder::reactor`](crate::Builder::reactor)).
    Custom,
}

impl Backend {
    /// The backends that this program was linked with and [`Backend::Auto`] chooses from, best first: those on a kernel.
    pub const LINKED: &'static [Backend] = &[
        #[cfg(feature = "uring")]
        Backend::Uring,
        #[cfg(feature = "epoll")]
        Backend::Epoll,
    ];

    /// Its command-line name: `auto`, or the feature that links it.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Auto => "auto",
            Backend::Epoll => "epoll",
            Backend::Uring => "uring",
            Backend::Sim => "sim",
            Backend::Custom => "custom",
        }
    }

    /// Starts the backend, unless it is `Auto`.
    // Without any backend the build fails, and this would be a second complaint.
    #[cfg_attr(not(any(feature = "epoll", feature = "uring", feature = "sim")), expect(unused_variables))]
    pub(crate) fn start(self, blocking_threads: usize) -> Result<Box<dyn Reactor>, BackendRefusal> {
        match self {
            #[cfg(feature = "epoll")]
            Backend::Epoll => match reactor_epoll::EpollReactor::with_workers(blocking_threads) {
                Ok(reactor) => Ok(Box::new(reactor)),
                Err(error) => Err(BackendRefusal::of_epoll(&error)),
            },
            #[cfg(feature = "uring")]
            Backend::Uring => match reactor_uring::UringReactor::with_workers(blocking_threads) {
                Ok(reactor) => Ok(Box::new(reactor)),
                Err(error) => Err(BackendRefusal::of_uring(&error)),
            },
            #[cfg(feature = "sim")]
            Backend::Sim => {
                let network = reactor_sim::Network::new();
                Ok(Box::new(reactor_sim::SimReactor::with_workers(&network, blocking_threads)))
            }
            other => Err(BackendRefusal::not_linked(other)),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Auto => "auto",
            Backend::Epoll => "epoll",
            Backend::Uring => "io_uring",
            Backend::Sim => "the simulator",
            Backend::Custom => "a reactor of the program's own",
        })
    }
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        match name {
            "auto" => Ok(Backend::Auto),
            "epoll" => Ok(Backend::Epoll),
            "uring" | "io_uring" => Ok(Backend::Uring),
            "sim" => Ok(Backend::Sim),
            _ => Err(UnknownBackend { name: name.to_owned() }),
        }
    }
}

/// The error of parsing a [`Backend`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBackend {
    name: String,
}

impl fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown backend `{}`: expected `auto`, `epoll`, `uring` or `sim`", self.name)
    }
}

impl std::error::Error for UnknownBackend {}
