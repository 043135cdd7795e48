//! Where it is measured: cores, network, limits, and what to say about the machine.

mod cores;
mod limits;
mod network;

use std::fmt;

use bench::program::{Failure, Machine};
use serde::Serialize;

pub use cores::{Cores, pinned_to};
use limits::allow_descriptors;
pub use network::Network;

use crate::scenario::Scenario;

/// What holds for all measurements of a run.
#[derive(Serialize)]
pub struct Environment {
    pub machine: Machine,
    pub cores: Cores,
    pub network: Network,
}

impl Environment {
    /// Pins this thread to the core of the load, and moves it into a network namespace of its own if
    /// `own_network`. No other thread may run yet.
    pub fn prepare(own_network: bool) -> Result<Self, Failure> {
        let cores = Cores::choose();
        let network = Network::prepare(own_network, cores.server)?;
        Ok(Self { machine: Machine::look(), cores, network })
    }

    /// Makes it fit for a scenario, or says why it cannot.
    pub fn prepare_for(&self, scenario: Scenario) -> Result<(), String> {
        allow_descriptors(scenario.connections)?;
        self.network.receive(scenario).map_err(|error| format!("where receives are processed: {error}"))
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "{}", self.cores)?;
        write!(f, "{}", self.network)
    }
}
