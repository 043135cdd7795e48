//! The command line.

use std::num::NonZeroU32;
use std::time::Duration;

use bench::parts::{self, Part, Size};
use bench::program::{Files, mistake};
use clap::Parser;

/// Compares the parts of runtimes: carhop's on each backend, and others.
///
/// In each round each runtime does the same for a moment, in turns. The table has the medians of the rounds.
#[derive(Parser)]
pub struct Options {
    /// Only parts that have this in their names. May be given several times.
    #[arg(value_name = "PART")]
    parts: Vec<String>,

    /// How many rounds; five at most of what takes a second each time.
    #[arg(long, default_value = "15")]
    pub rounds: NonZeroU32,

    /// How long to measure a runtime in each round.
    #[arg(long, value_name = "MILLISECONDS", default_value = "30", value_parser = millis)]
    pub millis: Duration,

    /// Only this runtime. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    #[command(flatten)]
    pub files: Files,

    /// Lists parts and runtimes.
    #[arg(long)]
    pub list: bool,

    /// For tests of this program: fewer timers and sleeps than the names say.
    #[arg(long, hide = true)]
    small: bool,
}

impl Options {
    /// What is wanted, in order.
    pub fn parts(&self) -> Vec<&'static Part> {
        let wanted = |part: &&Part| {
            self.parts.is_empty() || self.parts.iter().any(|pattern| part.name.contains(&**pattern))
        };
        if let Some(unknown) =
            self.parts.iter().find(|it| !parts::all().any(|part| part.name.contains(&***it)))
        {
            mistake::<Self>(format_args!("no part has `{unknown}` in its name (see --list)"));
        }
        parts::all().filter(wanted).collect()
    }

    pub fn size(&self) -> Size {
        if self.small { Size::Small } else { Size::Full }
    }

    /// How many rounds of `part`.
    pub fn rounds_of(&self, part: &Part) -> u32 {
        if part.takes_a_second { self.rounds.get().min(5) } else { self.rounds.get() }
    }
}

/// More than nothing, and not so much that nobody would live to see the end.
fn millis(text: &str) -> Result<Duration, String> {
    let millis = text.parse().ok().filter(|millis| (0.001..=60_000.0).contains(millis));
    millis
        .map(|millis: f64| Duration::from_secs_f64(millis / 1e3))
        .ok_or_else(|| "it is not a number of milliseconds, up to a minute".to_owned())
}
