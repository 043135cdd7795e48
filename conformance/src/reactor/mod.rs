//! Trials of the contract in `runtime_core::reactor`, against `dyn Reactor`.

mod loopback;

use std::rc::Rc;

use crate::harness::Suite;
use crate::registry::{self, Backend, Difference, modules, trials};
use crate::world::World;

modules![
    accept, connect, receive, pool, writable, send, cancel, close, unix, names, ownership, calls, files,
    wait, host, order, bulk, fuzz, lifetime, congestion,
];

const A_SECOND_ONE_WAITS: &str = "it waits beside the first";

/// What the contract leaves to the backends.
const DIFFERENCES: &[Difference] = &[
    Difference { trial: "accept::a_second_one_is_refused", backend: "uring", what: A_SECOND_ONE_WAITS },
    Difference { trial: "receive::a_second_one_is_refused", backend: "uring", what: A_SECOND_ONE_WAITS },
    Difference { trial: "writable::a_second_one_is_refused", backend: "uring", what: A_SECOND_ONE_WAITS },
];

/// Makes a world, or says why this machine has none.
pub type MakeWorld = fn() -> Result<Rc<dyn World>, String>;

/// What a trial runs in.
pub(crate) struct Env {
    backend: &'static Backend,
    make: MakeWorld,
    world: Rc<dyn World>,
}

/// Everything that a reactor must do. Each trial has a world to itself. For one on a kernel:
///
/// ```text
/// fn main() {
///     conformance::main(vec![conformance::reactor::suite("epoll", || Ok(KernelWorld::shared(make)))])
/// }
///
/// fn make() -> Result<Box<dyn Reactor>, String> { ... }
/// ```
///
/// # Panics
///
/// If `backend` is not among those that the documentation speaks of.
pub fn suite(backend: &str, make: MakeWorld) -> Suite {
    let backend = Backend::named(backend);
    registry::suite(backend, MODULES, move || Env::new(backend, make))
}

impl Env {
    /// In a world where a reactor can be made.
    fn new(backend: &'static Backend, make: MakeWorld) -> Result<Self, String> {
        let world = make()?;
        world.reactor()?;
        Ok(Self { backend, make, world })
    }

    /// The same, in another world.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.backend, self.make).expect("another world like the first")
    }

    /// What the backend does instead of what the trial is about, if the contract leaves that to it.
    pub(crate) fn otherwise(&self, trial: &str) -> Option<&'static str> {
        let mut all = DIFFERENCES.iter();
        all.find(|own| (own.trial, own.backend) == (trial, self.backend.name)).map(|own| own.what)
    }

    /// Whether descriptors can be imported, and run short.
    pub(crate) fn has_kernel(&self) -> bool {
        self.backend.has_kernel
    }

    pub(crate) fn world(&self) -> &Rc<dyn World> {
        &self.world
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::divergences::Section;

    #[test]
    fn divergences_are_documented() {
        Section { title: "Reactors", features: "", modules: MODULES, differences: DIFFERENCES }.check();
    }
}
