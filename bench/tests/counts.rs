//! How many instructions the runtime's operations take. Unlike time, the number is the same on a busy machine, so a
//! change that makes one dearer is found out.
//!
//! ```text
//! cargo test --release -p bench --test counts                 # compares with the limits below
//! cargo test --release -p bench --test counts -- --print      # prints new figures for them
//! ```
//!
//! Each operation runs in a process of its own under valgrind, a number of times, and in another twice as often: the
//! difference is of the operations, without what starts and ends a process. What the kernel does is not in it, nor the
//! clock, which valgrind has the kernel read.
//!
//! Another compiler counts a little differently, and so does another libc, which chooses its `memcpy` by the
//! processor. If a new one goes past a limit without a change here, it is time for new figures.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Mutex;

use bench::parts::{self, Contender, Part, Size};
use bench::program::callgrind;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, LineStyle, Table};
use libtest_mimic::{Arguments, Trial};

/// The limits are so much above what was measured.
const TOLERANCE: f64 = 1.1;

/// What was measured: rustc 1.95, x86-64, glibc 2.36. Where the kernel has no part in it, on one backend.
#[rustfmt::skip]
const MEASURED: &[Measured] = &[
    measured("spawn and join, 1000 at once", "carhop-epoll", 573.6),
    measured("spawn and join, one by one", "carhop-epoll", 892.2),
    measured("yield", "carhop-epoll", 228.5),
    measured("wake", "carhop-epoll", 234.5),
    measured("channel, round trip", "carhop-epoll", 1209.2),
    measured("timer, insert and cancel, by deadline", "carhop-epoll", 334.0),
    measured("timer, insert and cancel, by duration", "carhop-epoll", 405.0),
    measured("echo, round trip, 64 B", "carhop-epoll", 3998.0),
    measured("echo, round trip, 64 B", "carhop-uring", 4666.3),
];

struct Measured {
    part: &'static str,
    runtime: &'static str,
    instructions: f64,
}

const fn measured(part: &'static str, runtime: &'static str, instructions: f64) -> Measured {
    Measured { part, runtime, instructions }
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [WORK, part, runtime, iters] => work(part, runtime, iters.parse().expect("a number")),
        ["--print"] => print(),
        _ => compare(&Arguments::from_args()),
    }
}

/// How this program is called where it is the one whose instructions are counted.
const WORK: &str = "work";

fn work(part: &str, runtime: &str, iters: u64) -> ExitCode {
    let (_, contender) = find(part, runtime);
    (contender.prepare)(Size::Small).expect("it could be started before")(iters);
    ExitCode::SUCCESS
}

fn find(part: &str, runtime: &str) -> (&'static Part, &'static Contender) {
    let part = parts::all().find(|known| known.name == part).expect("the name of a part");
    let contender = part.contenders.iter().find(|known| known.name == runtime);
    (part, contender.expect("the name of a runtime"))
}

fn print() -> ExitCode {
    for Measured { part, runtime, .. } in MEASURED {
        match count(part, runtime) {
            Ok(instructions) => println!("    measured({part:?}, {runtime:?}, {instructions:.1}),"),
            Err(error) => {
                eprintln!("error: {part}, {runtime}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn compare(args: &Arguments) -> ExitCode {
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return ExitCode::SUCCESS;
    }
    let counted: &Mutex<Vec<(&Measured, f64)>> = Box::leak(Box::default());
    let mut trials = Vec::new();
    for measured in MEASURED {
        let Measured { part, runtime, .. } = measured;
        if let Err(error) = (find(part, runtime).1.start)() {
            println!("skipped: {part}, {runtime}: {error}");
            continue;
        }
        trials.push(Trial::test(format!("{part}, {runtime}"), || {
            let instructions = count(measured.part, measured.runtime)?;
            counted.lock().unwrap().push((measured, instructions));
            if instructions > measured.limit() {
                return Err("it takes more instructions than it did".into());
            }
            Ok(())
        }));
    }
    let conclusion = libtest_mimic::run(args, trials);
    println!("{}\n", table(&counted.lock().unwrap()));
    conclusion.exit_code()
}

impl Measured {
    fn limit(&self) -> f64 {
        self.instructions * TOLERANCE
    }
}

/// What it takes to count, and is not there.
fn missing() -> Option<String> {
    if cfg!(debug_assertions) {
        let command = "cargo test --release -p bench --test counts";
        return Some(format!("instructions are counted in what is built for speed ({command})"));
    }
    callgrind::missing().map(|why| format!("instructions are not counted: {why}"))
}

fn table(counted: &[(&Measured, f64)]) -> Table {
    const COLUMNS: [&str; 5] = ["operation", "runtime", "instructions", "limit", ""];
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none())).set_header(COLUMNS);
    for measured in MEASURED {
        // Not all, if only some are wanted.
        if let Some((_, instructions)) = counted.iter().find(|(of, _)| std::ptr::eq(*of, measured)) {
            table.add_row([
                measured.part,
                measured.runtime,
                &format!("{instructions:.1}"),
                &format!("{:.1}", measured.limit()),
                if *instructions > measured.limit() { "TOO MANY" } else { "" },
            ]);
        }
    }
    for column in table.column_iter_mut().skip(2).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The instructions of one operation.
fn count(part: &str, runtime: &str) -> Result<f64, Box<dyn Error>> {
    const OPERATIONS: u64 = 10_000;
    let batch = find(part, runtime).0.batch;
    let iters = OPERATIONS / batch;
    let (once, twice) = (instructions(part, runtime, iters)?, instructions(part, runtime, 2 * iters)?);
    Ok((twice as f64 - once as f64) / (iters * batch) as f64)
}

/// Of a whole process, which does it `iters` times.
fn instructions(part: &str, runtime: &str, iters: u64) -> Result<u64, Box<dyn Error>> {
    let output = callgrind::command()
        .arg(env::current_exe()?)
        .args([WORK, part, runtime, &iters.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    callgrind::collected(&said)
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("{}\n{said}", output.status).into())
}
