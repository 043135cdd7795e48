//! Mistakes on the command line that clap does not know.

use std::fmt::Display;

use clap::CommandFactory;
use clap::error::ErrorKind;

/// Ends a program with these options as clap does.
pub fn mistake<Options: CommandFactory>(what: impl Display) -> ! {
    Options::command().error(ErrorKind::ValueValidation, what).exit()
}
