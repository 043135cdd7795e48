//! How the twins print, and how fast they live.

use std::cell::Cell;
use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};
use std::process::exit;
use std::time::{Duration, Instant};

use examples::complain;

/// Prints a line like `println!`, with the time before it if that is asked for.
macro_rules! say {
    ($($text:tt)*) => { $crate::show::print(format_args!($($text)*)) };
}
pub(crate) use say;

/// So many seconds of the original, which `--speed` makes shorter.
pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds) / NOW.get().0.speed
}

/// A list of strings as Python prints it.
pub fn python_list(strings: &[String]) -> String {
    let quoted: Vec<_> = strings.iter().map(|string| format!("'{string}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// What the command line says about it.
#[derive(Clone, Copy)]
pub struct Show {
    pub timeline: bool,
    pub speed: u32,
}

thread_local! {
    /// How to show the program that runs now, and when it started.
    static NOW: Cell<(Show, Instant)> = Cell::new((Show { timeline: false, speed: 1 }, Instant::now()));
}

impl Show {
    /// Shows what comes next like this. Returns the time from which its timeline counts.
    pub fn begin(self) -> Instant {
        let started = Instant::now();
        NOW.set((self, started));
        started
    }
}

/// What [`say`] does.
pub fn print(line: Arguments<'_>) {
    let (show, started) = NOW.get();
    let written = if show.timeline {
        writeln!(stdout(), "[+{:.1} s] {line}", started.elapsed().as_secs_f64())
    } else {
        writeln!(stdout(), "{line}")
    };
    // `println!` would panic where nobody reads any more, as in `asyncio_tour | head -1`.
    if let Err(error) = written {
        if error.kind() != ErrorKind::BrokenPipe {
            complain(format_args!("error: cannot print: {error}"));
        }
        exit(1);
    }
}
