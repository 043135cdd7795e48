//! What the user gets: a table, and JSON, Markdown and plots on request.

mod markdown;
mod svg;
mod table;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

pub use table::table;

use crate::environment::Environment;
use crate::failure::Failure;
use crate::options::Options;
use crate::progress::{complain, say};
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
            say(format_args!("  {name:<16} {version:<7} {about}{}", reason.unwrap_or_default()));
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
    if cfg!(debug_assertions) {
        complain("built without optimisation: these figures say nothing (cargo run --release)");
    }
    say(environment);
    let (rounds, seconds) = (options.rounds(), options.window().as_secs_f64());
    say(format_args!("{rounds} rounds of {seconds} s for each server, interleaved\n"));
}

/// The files that the user wants, opened before the measurements: it would be a pity to find out afterwards that
/// they cannot be written.
pub struct Outputs<'a> {
    json: Option<(&'a Path, File)>,
    markdown: Option<(&'a Path, File)>,
    svg: Option<&'a Path>,
}

impl<'a> Outputs<'a> {
    pub fn prepare(options: &'a Options) -> Result<Self, Failure> {
        let create = |path: Option<&'a Path>| match path.map(|path| (path, File::create(path))) {
            Some((path, Ok(file))) => Ok(Some((path, file))),
            Some((path, Err(error))) => Err(cannot_write(path, error)),
            None => Ok(None),
        };
        let json = create(options.json.as_deref())?;
        let markdown = create(options.markdown.as_deref())?;
        let svg = options.svg.as_deref();
        if let Some(directory) = svg {
            fs::create_dir_all(directory).map_err(|error| cannot_write(directory, error))?;
        }
        Ok(Self { json, markdown, svg })
    }

    pub fn write(self, comparison: &Comparison) -> Result<(), Failure> {
        if let Some((path, file)) = self.json {
            let mut file = BufWriter::new(file);
            serde_json::to_writer_pretty(&mut file, comparison)
                .map_err(Into::into)
                .and_then(|()| file.write_all(b"\n"))
                .and_then(|()| file.flush())
                .map_err(|error| cannot_write(path, error))?;
        }
        if let Some((path, mut file)) = self.markdown {
            let text = markdown::markdown(comparison);
            file.write_all(text.as_bytes()).map_err(|error| cannot_write(path, error))?;
        }
        for scenario in self.svg.map_or(&[][..], |_| &comparison.scenarios) {
            let directory = self.svg.expect("there are none without it");
            svg::draw(directory, scenario, comparison.settings.rate)
                .map_err(|error| cannot_write(directory, error))?;
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::Because(format!("{} cannot be written: {error}", path.display()))
}
