//! What every reactor must do, on io_uring.

use conformance::world::KernelWorld;
use reactor_uring::UringReactor;
use runtime_core::reactor::Reactor;

fn main() {
    conformance::main(vec![conformance::reactor::suite("uring", || Ok(KernelWorld::shared(make)))])
}

fn make() -> Result<Box<dyn Reactor>, String> {
    match UringReactor::new() {
        Ok(reactor) => Ok(Box::new(reactor)),
        Err(error) => Err(error.to_string()),
    }
}
