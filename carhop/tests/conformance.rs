//! The suite of `conformance` against the public API, on each backend that is linked.

use carhop::Backend;

fn main() {
    conformance::main(Backend::LINKED.iter().map(|&backend| conformance::runtime::suite(backend)).collect())
}
