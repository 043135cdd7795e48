//! How far it is, on stderr, if that is a terminal.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that moves between measurements, never during one: it would take part of a core.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar that is full after so many steps.
    pub fn new(steps: usize) -> Self {
        let style =
            ProgressStyle::with_template("{bar:32} {pos}/{len}  {elapsed} of about {duration}  {msg}");
        let style = style.expect("a valid template").progress_chars("━╸─");
        Self(ProgressBar::new(steps as u64).with_style(style))
    }

    /// What comes next.
    pub fn next(&self, what: impl Display) {
        self.0.set_message(what.to_string());
        self.0.tick();
    }

    /// So many steps further.
    pub fn done(&self, steps: usize) {
        self.0.inc(steps as u64);
    }

    /// Says something above the bar.
    pub fn complain(&self, line: impl Display) {
        self.0.suspend(|| complain(line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Prints a line. `println!` would panic if nobody reads any more, as in `compare | head`.
pub fn say(line: impl Display) {
    let _ = writeln!(stdout(), "{line}");
}

/// Prints a line on stderr, and does not panic either.
pub fn complain(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Complains of a program that is not built for speed.
pub fn warn_if_slow() {
    if cfg!(debug_assertions) {
        complain("built without optimisation: these figures say nothing (cargo run --release)");
    }
}
