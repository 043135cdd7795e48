//! What every reactor must do, on epoll.

use conformance::world::KernelWorld;
use reactor_epoll::EpollReactor;
use runtime_core::reactor::Reactor;

fn main() {
    conformance::main(vec![conformance::reactor::suite("epoll", || Ok(KernelWorld::shared(make)))])
}

fn make() -> Result<Box<dyn Reactor>, String> {
    match EpollReactor::new() {
        Ok(reactor) => Ok(Box::new(reactor)),
        Err(error) => Err(error.to_string()),
    }
}
