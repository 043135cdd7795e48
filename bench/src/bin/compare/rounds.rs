//! The measurements: each round has each server once (A B A B), so that a machine which gets slower or faster
//! meanwhile does so for all.

use std::time::Duration;

use bench::program::{Failure, Interrupt, Progress};
use hdrhistogram::Histogram;

use crate::environment::Environment;
use crate::instructions;
use crate::load::{Load, Plan};
use crate::options::Options;
use crate::record::{Comparison, Round, ScenarioRecord, ServerRecord};
use crate::scenario::Scenario;
use crate::servers::{Contender, Process, usage};
use crate::syscalls::{self, Syscalls};

/// What is to be measured.
pub struct Rounds<'a> {
    options: &'a Options,
    contenders: &'a [Contender],
    scenarios: &'a [Scenario],
    interrupt: &'a Interrupt,
    progress: Progress,
}

/// The user does not want to go on.
pub struct Interrupted;

impl<'a> Rounds<'a> {
    pub fn new(
        options: &'a Options,
        contenders: &'a [Contender],
        scenarios: &'a [Scenario],
        interrupt: &'a Interrupt,
    ) -> Self {
        let steps = scenarios.len() * contenders.len() * steps(options);
        Self { options, contenders, scenarios, interrupt, progress: Progress::new(steps) }
    }

    /// Measures. What fails is recorded, and the rest goes on.
    pub fn run(self, comparison: &mut Comparison) -> Result<(), Interrupted> {
        for &scenario in self.scenarios {
            let plan = Plan {
                scenario,
                pace: self.options.pace(),
                window: self.options.window(scenario),
                verify: self.options.verify,
                spin: comparison.environment.cores.apart(),
                patience: self.options.patience,
                interrupt: self.interrupt,
            };
            let mut record = ScenarioRecord::new(&plan, self.contenders);
            let result = self.scenario(&plan, &comparison.environment, &mut record);
            record.summarise(plan.pace);
            comparison.scenarios.push(record);
            result?;
        }
        Ok(())
    }

    fn scenario(
        &self,
        plan: &Plan<'_>,
        environment: &Environment,
        record: &mut ScenarioRecord,
    ) -> Result<(), Interrupted> {
        if let Err(why) = environment.prepare_for(plan.scenario) {
            self.progress.complain(format_args!("{}: {why}", record.name));
            self.progress.done(self.contenders.len() * steps(self.options));
            record.servers.iter_mut().for_each(|server| server.failure = Some(why.clone()));
            return Ok(());
        }
        let core = environment.cores.server;
        let start = |contender: &Contender| {
            Process::start(|port| contender.command_for(port), core, plan.patience, plan.interrupt)
        };
        for round in 1..=self.options.rounds() {
            self.each(record, &format!("round {round}"), |server| {
                let mut process = start(&server.contender)?;
                let result = measure(&process, plan);
                let (round, latency) = result.map_err(|failure| process.explain(failure))?;
                server.add(round, &latency);
                Ok(())
            })?;
        }
        self.each(record, "system calls", |server| {
            let mut process = start(&server.contender)?;
            let result = count_syscalls(&process, plan);
            server.syscalls = Some(result.map_err(|failure| process.explain(failure))?);
            Ok(())
        })?;
        if self.options.instructions {
            self.each(record, "instructions", |server| {
                // A given one may be a script, and valgrind would count what runs it.
                if server.contender.command.is_none() {
                    server.instructions = Some(instructions::count(&server.contender.name, core, plan)?);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Does something with each server that has not failed before.
    fn each(
        &self,
        record: &mut ScenarioRecord,
        what: &str,
        mut act: impl FnMut(&mut ServerRecord) -> Result<(), Failure>,
    ) -> Result<(), Interrupted> {
        for server in &mut record.servers {
            let name = &server.contender.name;
            if server.failure.is_none() {
                self.progress.next(format_args!("{}, {what}: {name}", record.name));
                match act(server) {
                    Ok(()) => {}
                    Err(Failure::Interrupted) => return Err(Interrupted),
                    Err(Failure::Because(why)) => {
                        let name = &server.contender.name;
                        self.progress.complain(format_args!("{name} failed at {}: {why}", record.name));
                        server.failure = Some(why);
                    }
                }
            }
            self.progress.done(1);
        }
        Ok(())
    }
}

/// How often each server runs in a scenario: system calls and instructions are counted apart from the rounds.
fn steps(options: &Options) -> usize {
    options.rounds() as usize + 1 + usize::from(options.instructions)
}

/// One server in one round.
fn measure(process: &Process, plan: &Plan<'_>) -> Result<(Round, Histogram<u64>), Failure> {
    let mut load = Load::connect(process.port(), plan)?;
    let processes = usage::processes(process.group());
    let mut cpu = Vec::with_capacity(2);
    let window = load.run(plan.warm_up(), plan.window, &mut || cpu.push(usage::cpu_ns(&processes)))?;
    let resident = usage::resident_bytes(&processes);
    load.finish()?;
    let cpu_ns = match cpu[..] {
        [Some(before), Some(after)] => after.checked_sub(before),
        _ => None,
    };
    Ok((Round::new(&window, cpu_ns, resident), window.latency))
}

/// Counts system calls apart from the rounds, because it slows the server down.
fn count_syscalls(process: &Process, plan: &Plan<'_>) -> Result<Syscalls, Failure> {
    const ENOUGH: Duration = Duration::from_millis(500);
    let mut load = Load::connect(process.port(), plan)?;
    // Every request between attaching and detaching is counted, so there is nothing to warm up for.
    syscalls::count(&usage::processes(process.group()), || {
        Ok(load.run(Duration::ZERO, plan.window.min(ENOUGH), &mut || {})?.all_answers)
    })
}
