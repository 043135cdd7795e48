//! Compares the parts of runtimes: what it takes to spawn a task, to wake one, to set a timer. carhop on each
//! backend, and with the feature `peers` others.
//!
//! ```text
//! cargo run --release -p bench --bin parts
//! cargo run --release -p bench --features peers --bin parts -- --markdown parts.md --json parts.json
//! cargo run --release -p bench --features peers --bin parts -- timer --only carhop-epoll --only tokio
//! ```
//!
//! The flow: [`options`] say what to do, [`runtimes`] who takes part. [`rounds`] has each do the same for a moment,
//! one after the other, in turns, so that a machine which gets slower or faster meanwhile does so for all. [`record`]
//! keeps what came out, and [`report`] makes a table of it.
//!
//! The exit code is 0; 1 if anything failed; 2 after a mistake on the command line; 130 after ctrl-C, with the
//! results until then.
#![forbid(unsafe_code)]

mod options;
mod record;
mod report;
mod rounds;
mod runtimes;

use std::process::ExitCode;

use bench::program::{self, Failure, Interrupt, complain, say, warn_if_slow};
use clap::Parser;

use options::Options;
use record::Record;
use runtimes::Runtimes;

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        report::list();
        return ExitCode::SUCCESS;
    }
    compare(&options).unwrap_or_else(|failure| {
        complain(format_args!("error: {failure}"));
        ExitCode::FAILURE
    })
}

fn compare(options: &Options) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::listen()?;
    let parts = options.parts();
    let runtimes =
        Runtimes::choose(&options.only).unwrap_or_else(|mistake| program::mistake::<Options>(mistake));
    for skipped in &runtimes.skipped {
        complain(format_args!("{} is skipped: {}", skipped.name, skipped.reason));
    }
    if runtimes.chosen.is_empty() {
        return Err(Failure::Because("there is no runtime to measure".to_owned()));
    }
    // Before anything takes time.
    let files = options.files.create()?;
    warn_if_slow();

    let mut record = Record::new(options, runtimes);
    say(format_args!("{}\n", report::heading(&record).join("\n")));
    let result = rounds::run(options, &parts, &interrupt, &mut record);
    report::table(&record);
    match result {
        Err(Failure::Interrupted) => say("interrupted: there would have been more"),
        Err(failure) => return Err(failure),
        Ok(()) => {}
    }
    files.write(&record, report::markdown)?;
    Ok(if result.is_err() { ExitCode::from(130) } else { ExitCode::SUCCESS })
}
