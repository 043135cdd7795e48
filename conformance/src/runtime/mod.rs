//! Trials of what programs see, against the public API of `carhop`.

mod by_hand;
mod rude_waker;
mod support;

use carhop::{Backend, Builder, Runtime};

use crate::harness::Suite;
use crate::registry::{self, modules, trials};

modules![
    order,
    fairness,
    tasks,
    abort,
    chains,
    panics,
    join_sets,
    tokens,
    groups,
    group_ends,
    group_sockets,
    shields,
    policies,
    rude_policies,
    eager,
    incidents,
    locals,
    callbacks,
    remote,
    task_list,
    wakers,
    reentry,
    cloned_wakers,
    timers,
    intervals,
    events,
    mutexes,
    semaphores,
    permits,
    condvars,
    barriers,
    streams,
    chunks,
    halves,
    endings,
    listeners,
    connect,
    cancel,
    threads,
    spins,
    blocking,
    blocking_ends,
    blocking_threads,
    hostile,
    echo,
    signals,
    shutdown,
    outlive,
    misuse,
    attacks,
    attacks_on_writes,
    queue_order,
    queues,
    queue_hostile,
    channels,
    oneshots,
    broadcasts,
    watches,
    between_threads,
    (every_poll)
];

/// What a trial runs on.
#[derive(Clone, Copy)]
pub(crate) struct Env {
    backend: Backend,
}

/// Everything that the runtime must do on `backend`.
///
/// # Panics
///
/// If `backend` is not among those that the documentation speaks of.
pub fn suite(backend: Backend) -> Suite {
    registry::suite(registry::Backend::named(backend.name()), MODULES, move || Env::new(backend))
}

impl Env {
    /// On a backend that a runtime can be made on.
    fn new(backend: Backend) -> Result<Self, String> {
        let env = Self { backend };
        env.builder().build().map(|_| env).map_err(|error| error.to_string())
    }

    /// Whether there are other programs, descriptors, and time that passes by itself.
    fn has_kernel(&self) -> bool {
        self.backend != Backend::Sim
    }

    fn builder(&self) -> Builder {
        // Trials make tasks panic on purpose, which would be reported in the middle of the list of trials.
        Builder::new().backend(self.backend).on_incident(|_| ())
    }

    fn runtime(&self) -> Runtime {
        self.builder().build().expect("another runtime like the first")
    }

    fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }
}
