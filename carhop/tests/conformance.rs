//! The suite of `conformance` against the public API: on each backend that is linked, and in the simulator.

use carhop::Backend;

fn main() {
    let backends = Backend::LINKED.iter().copied().chain([Backend::Sim]);
    conformance::main(backends.map(conformance::runtime::suite).collect())
}
