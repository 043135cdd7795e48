//! Why there is no result.

use std::fmt;
use std::io;

/// What ended a measurement early.
#[derive(Debug)]
pub enum Failure {
    /// Ctrl-C or SIGTERM: nobody's fault, and the end of everything.
    Interrupted,
    /// What went wrong, in one line.
    Because(String),
}

impl Failure {
    /// With `context` in front, unless it was the user who wanted it.
    pub fn in_context(self, context: &str) -> Self {
        match self {
            Failure::Interrupted => Failure::Interrupted,
            Failure::Because(why) => Failure::Because(format!("{context}: {why}")),
        }
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Failure::Because(why)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Because(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Interrupted => f.write_str("interrupted"),
            Failure::Because(why) => f.write_str(why),
        }
    }
}
