//! Trials of the contract in `runtime_core::reactor`, against `dyn Reactor`.

mod accept;
mod bulk;
mod cancel;
mod close;
mod congestion;
mod connect;
mod lifetime;
mod loopback;
mod order;
mod pool;
mod receive;
mod send;
mod wait;
mod walk;
mod writable;

use runtime_core::reactor::Reactor;

use crate::harness::Suite;

/// Makes a reactor, or says why this machine cannot run it.
pub type MakeReactor = fn() -> Result<Box<dyn Reactor>, String>;

type Trials = &'static [(&'static str, fn(MakeReactor))];

/// Names functions as trials.
macro_rules! trials {
    ($($trial:ident),+ $(,)?) => {
        pub(super) const TRIALS: super::Trials = &[$((stringify!($trial), $trial)),+];
    };
}
use trials;

const MODULES: &[(&str, Trials)] = &[
    ("accept", accept::TRIALS),
    ("connect", connect::TRIALS),
    ("receive", receive::TRIALS),
    ("pool", pool::TRIALS),
    ("writable", writable::TRIALS),
    ("send", send::TRIALS),
    ("cancel", cancel::TRIALS),
    ("close", close::TRIALS),
    ("wait", wait::TRIALS),
    ("order", order::TRIALS),
    ("bulk", bulk::TRIALS),
    ("walk", walk::TRIALS),
    ("lifetime", lifetime::TRIALS),
    ("congestion", congestion::TRIALS),
];

/// Everything that a reactor must do.
pub fn suite(backend: &str, make: MakeReactor) -> Suite {
    let mut suite = Suite::new(backend, make().map(drop));
    for (module, trials) in MODULES {
        for &(name, trial) in *trials {
            suite.add(&format!("{module}::{name}"), move || trial(make));
        }
    }
    suite
}
