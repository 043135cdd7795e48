//! How many instructions a server takes for a request: its own in user space, not the kernel's.
//!
//! It runs twice under valgrind, and answers twice as many requests the second time. The difference is of the
//! requests: what starts the server, connects clients and ends is in both. It is slow then and finds requests of
//! all clients whenever it looks, so this is what they take under full load.

use bench::program::{Failure, callgrind};
use serde::Serialize;

use crate::load::{Load, Plan};
use crate::servers::{BuiltIn, Process};

/// Instructions for each request, or why they are not known.
#[derive(Serialize)]
pub struct Instructions {
    pub per_request: Option<f64>,
    pub note: Option<String>,
}

/// Counts what the built-in server `name` takes on `core`.
pub fn count(name: &str, core: Option<usize>, plan: &Plan<'_>) -> Result<Instructions, Failure> {
    let unknown = |note| Instructions { per_request: None, note: Some(note) };
    if let Some(why) = callgrind::missing() {
        return Ok(unknown(why));
    }
    match per_request(name, core, plan) {
        Ok(instructions) => Ok(Instructions { per_request: Some(instructions), note: None }),
        Err(Failure::Because(why)) => Ok(unknown(format!("{name} under valgrind: {why}"))),
        Err(Failure::Interrupted) => Err(Failure::Interrupted),
    }
}

fn per_request(name: &str, core: Option<usize>, plan: &Plan<'_>) -> Result<f64, Failure> {
    const ENOUGH: u64 = 10_000;
    const FOR_EACH_CONNECTION: u64 = 10;
    let requests = ENOUGH.max(FOR_EACH_CONNECTION * plan.scenario.connections as u64);
    let (once, twice) = (process(name, core, plan, requests)?, process(name, core, plan, 2 * requests)?);
    Ok((twice as f64 - once as f64) / requests as f64)
}

/// Of a whole process, which answers so many requests.
fn process(name: &str, core: Option<usize>, plan: &Plan<'_>, requests: u64) -> Result<u64, Failure> {
    let command = |port| BuiltIn::command_under(callgrind::command(), name, port);
    let mut process = Process::start(command, core, plan.patience, plan.interrupt)?;
    let mut load = Load::connect(process.port(), plan).map_err(|failure| process.explain(failure))?;
    load.exchange(requests).map_err(|failure| process.explain(failure))?;
    let said = process.end(plan.patience);
    // Only now: the server does not see its clients leave.
    drop(load);
    callgrind::collected(&said).ok_or_else(|| Failure::Because(format!("there is no count{said}")))
}
