//! Compares echo servers under load: carhop on each backend, other runtimes and loops
//! written by hand (with the feature `peers`), and any other.
//!
//! ```text
//! cargo run --release -p bench --bin compare -- --quick
//! cargo run --release -p bench --bin compare -- --scenario 50x64 --rate 20000 --svg plots --json all.json
//! cargo run --release -p bench --bin compare -- --server mine='./my-server --port {port}'
//! cargo run --release -p bench --features peers --bin compare -- --markdown all.md
//! cargo run --release -p bench --features peers --bin compare -- --instructions --rounds 1
//! cargo run --release -p bench --features peers --bin compare -- serve tokio 7000
//! ```
//!
//! The flow: [`options`] and [`scenario`] say what to do. [`environment`] gives server and load a core each
//! and, as root, a network of their own. [`rounds`] starts [`servers`], one after the other, in turns, has
//! [`load`] send requests, and [`syscalls`] and on request [`instructions`] counted apart from that. [`record`] keeps
//! what came out, with each server's [`standing`] among the others, and [`report`] makes a table of it, JSON and plots.
//!
//! The exit code is 0; 1 if anything failed, with the other results printed; 2 after a mistake on the command
//! line; 130 after ctrl-C, with the results until then.
// One file may: a loop by hand, on io_uring.
#![deny(unsafe_code)]

mod environment;
mod instructions;
mod load;
mod options;
mod record;
mod report;
mod rounds;
mod scenario;
mod servers;
mod standing;
mod syscalls;

use std::process::ExitCode;

use bench::program::{self, Failure, Interrupt, complain, say};
use clap::Parser;

use environment::Environment;
use options::{Options, Role};
use record::Comparison;
use report::Outputs;
use rounds::Rounds;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match &options.role {
        Some(Role::Serve { server, port }) => Ok(server.run(*port)),
        None if options.list => {
            report::list();
            Ok(ExitCode::SUCCESS)
        }
        None => compare(&options),
    };
    result.unwrap_or_else(|failure| {
        complain(format_args!("error: {failure}"));
        ExitCode::FAILURE
    })
}

fn compare(options: &Options) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::listen()?;
    let scenarios = options.scenarios();
    let (contenders, skipped) = servers::choose(&options.server, &options.only, options.spin)
        .unwrap_or_else(|mistake| program::mistake::<Options>(mistake));
    for skipped in &skipped {
        complain(format_args!("{} is skipped: {}", skipped.name, skipped.reason));
    }
    if contenders.is_empty() {
        return Err(Failure::Because("there is no server to measure".to_owned()));
    }
    // Before anything takes time.
    let outputs = Outputs::prepare(options)?;
    let environment = Environment::prepare(!options.no_netns)?;
    report::heading(options, &environment);

    let mut comparison = Comparison::new(options, environment, skipped);
    let rounds = Rounds::new(options, &contenders, &scenarios, &interrupt);
    let interrupted = rounds.run(&mut comparison).is_err();
    report::table(&comparison);
    if interrupted {
        say("interrupted: there would have been more");
    }
    outputs.write(&comparison)?;
    Ok(match (interrupted, comparison.anything_failed()) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}
