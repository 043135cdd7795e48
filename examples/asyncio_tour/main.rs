//! A tour of asyncio's event loop: programs from tutorials on asyncio, and for each a twin on carhop that
//! prints the same.
//!
//! ```text
//! cargo run --release --example asyncio_tour                      # all of them, 40 seconds
//! cargo run --release --example asyncio_tour -- --list
//! cargo run --release --example asyncio_tour -- fetch_data --timeline
//! python3 examples/asyncio_tour/python/fetch_data.py
//! ```
//!
//! The originals are the tutorials' own text. Where one shows a part or only describes what a program does,
//! the least was added that makes it run.
//!
//! Read `twins/NAME.rs` beside `python/NAME.py`: the functions have the same names and the same order. What
//! differs by nature is said at the top of the twin. `recorded/NAME.txt` is what CPython printed, and in which second.
//!
//! A single program prints what the original prints and nothing else. Several have headings, and after each
//! the time that it took. The exit code is 1 if no backend can be had, and 2 after a mistake on the command line.
#![forbid(unsafe_code)]

mod show;
mod twins;

use std::env;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use carhop::{Backend, Builder};
use examples::complain;
use show::{Show, say};
use twins::{TOUR, Twin};

/// Runs programs from tutorials on asyncio, rewritten for carhop.
#[derive(clap::Parser)]
struct Options {
    /// Which programs to run; all of them, in the order of --list, if none is named.
    #[arg(value_name = "NAME", value_parser = find)]
    names: Vec<&'static Twin>,

    /// Print the names of the programs, and what each shows.
    #[arg(long)]
    list: bool,

    /// Print before each line how many seconds after the program's start it came.
    #[arg(long)]
    timeline: bool,

    /// Sleep so many times shorter than the originals do, 1 to 1000.
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: u32,

    /// auto, epoll or uring; auto asks the environment variable CARHOP_BACKEND, then the machine.
    #[arg(long, default_value = "auto")]
    backend: Backend,
}

fn main() -> ExitCode {
    let options: Options = examples::parse_or_exit();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let show = Show { timeline: options.timeline, speed: options.speed };
    if options.list {
        show.begin();
        TOUR.iter().for_each(|twin| say!("{:<26} {}", twin.name, twin.about));
        return Ok(());
    }
    let backend = Builder::new().backend(options.backend).build()?.backend().to_string();
    choose(options.backend)?;
    if let [twin] = options.names[..] {
        show.begin();
        (twin.run)();
        return Ok(());
    }
    let plain = Show { timeline: false, ..show };
    plain.begin();
    say!("# {backend}");
    let all = if options.names.is_empty() { TOUR.iter().collect() } else { options.names.clone() };
    for twin in all {
        plain.begin();
        say!("\n# {}: {}", twin.name, twin.about);
        let started = show.begin();
        (twin.run)();
        let took = started.elapsed().as_secs_f64();
        plain.begin();
        say!("# {took:.1} s");
    }
    Ok(())
}

/// Lets the twins run on `backend`. They call `carhop::run`, as anyone would, which leaves the choice to the
/// environment; and the environment of a process is best set from outside.
fn choose(backend: Backend) -> Result<(), Box<dyn Error>> {
    const VARIABLE: &str = "CARHOP_BACKEND";
    if backend == Backend::Auto || env::var_os(VARIABLE).is_some_and(|chosen| chosen == backend.name()) {
        return Ok(());
    }
    let mut again = Command::new(env::current_exe()?);
    Err(again.args(env::args_os().skip(1)).env(VARIABLE, backend.name()).exec().into())
}

/// Accepts the name of a program as clap's `value_parser`.
fn find(name: &str) -> Result<&'static Twin, String> {
    let found = TOUR.iter().find(|twin| twin.name == name);
    found.ok_or_else(|| "there is no such program, --list names them all".to_owned())
}
