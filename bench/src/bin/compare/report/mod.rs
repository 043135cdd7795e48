//! What the user gets: a table, and JSON, Markdown and plots on request.

mod markdown;
mod svg;
mod table;

use std::fs;
use std::path::Path;

use bench::program::{Failure, OpenFiles, say, unwritable, warn_if_slow};

pub use table::table;

use crate::environment::Environment;
use crate::options::Options;
use crate::record::Comparison;
use crate::scenario::SETS;
use crate::servers::{self, BuiltIn, Kind};

/// `--list`.
pub fn list() {
    for kind in Kind::ALL {
        let servers: Vec<&BuiltIn> = servers::all().filter(|server| server.kind == kind).collect();
        if !servers.is_empty() {
            say(format_args!("servers, {kind}:"));
        }
        for server in servers {
            let version = server.version().unwrap_or("-");
            let reason = server.refused().map(|reason| format!("  (not here: {reason})"));
            let BuiltIn { name, about, .. } = server;
            say(format_args!("  {name:<17} {version:<7} {about}{}", reason.unwrap_or_default()));
        }
    }
    if servers::all().all(|server| server.kind == Kind::Ours) {
        say("  (others are there if it is built with `--features peers`)");
    }
    say("\nsets of scenarios (CONNECTIONSxBYTES[xPIPELINE]):");
    for (name, scenarios, about) in SETS {
        let scenarios: Vec<String> = scenarios.iter().map(ToString::to_string).collect();
        say(format_args!("  {name:<10} {:<36} {about}", scenarios.join(" ")));
    }
}

/// What is known before anything is measured.
pub fn heading(options: &Options, environment: &Environment) {
    warn_if_slow();
    say(environment);
    say(format_args!("{}\n", options.about_rounds()));
}

/// What the user wants beside the table.
pub struct Outputs<'a> {
    files: OpenFiles<'a>,
    svg: Option<&'a Path>,
}

impl<'a> Outputs<'a> {
    pub fn prepare(options: &'a Options) -> Result<Self, Failure> {
        let files = options.files.create()?;
        let svg = options.svg.as_deref();
        if let Some(directory) = svg {
            fs::create_dir_all(directory).map_err(|error| unwritable(directory, error))?;
        }
        Ok(Self { files, svg })
    }

    pub fn write(self, comparison: &Comparison) -> Result<(), Failure> {
        self.files.write(comparison, markdown::markdown)?;
        for scenario in self.svg.map_or(&[][..], |_| &comparison.scenarios) {
            let directory = self.svg.expect("there are none without it");
            svg::draw(directory, scenario, comparison.settings.rate)
                .map_err(|error| unwritable(directory, error))?;
        }
        Ok(())
    }
}
