//! How many instructions a server takes for a request: its own in user space, not the kernel's.
//!
//! It runs twice under valgrind, and answers twice as many requests the second time. The difference is of these
//! requests: what starts the server, connects clients and ends is in both. It is slow then and finds requests of
//! all clients whenever it looks, so this is what they take under full load.

use std::time::Duration;

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
    Ok((twice.instructions as f64 - once.instructions as f64) / (twice.answers - once.answers) as f64)
}

/// What a whole process has done.
struct Count {
    instructions: u64,
    answers: u64,
}

/// One that answers so many requests, or a few more.
fn process(name: &str, core: Option<usize>, plan: &Plan<'_>, requests: u64) -> Result<Count, Failure> {
    const SOON: Duration = Duration::from_millis(200);
    const ENOUGH_TO_END: u64 = 100_000;
    let command = |port| BuiltIn::command_under(callgrind::command(), name, port);
    let mut process = Process::start(command, core, plan.patience, plan.interrupt)?;
    let mut load = Load::connect(process.port(), plan).map_err(|failure| process.explain(failure))?;
    let mut answers = 0;
    load.exchange(requests, &mut answers).map_err(|failure| process.explain(failure))?;
    process.tell_to_end();
    // Valgrind 3.19 takes no signal while a server waits for io_uring, but every 100,000 jumps of its code. The load
    // notices the end as a failure.
    if !process.ends_within(SOON)
        && let Err(Failure::Interrupted) = load.exchange(ENOUGH_TO_END, &mut answers)
    {
        return Err(Failure::Interrupted);
    }
    let said = process.end(plan.patience);
    let instructions = callgrind::collected(&said);
    let instructions = instructions.ok_or_else(|| Failure::Because(format!("there is no count{said}")))?;
    Ok(Count { instructions, answers })
}
