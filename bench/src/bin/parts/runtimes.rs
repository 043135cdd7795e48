//! Who takes part.

use bench::parts::{self, Contender};
use bench::program;
use serde::Serialize;

/// The runtimes that are wanted.
pub struct Runtimes {
    pub chosen: Vec<Runtime>,
    pub skipped: Vec<Skipped>,
}

/// One that takes part.
#[derive(Serialize)]
pub struct Runtime {
    pub name: &'static str,
    pub is_ours: bool,
    pub version: Option<&'static str>,
}

/// One that does not, and why.
#[derive(Serialize)]
pub struct Skipped {
    pub name: &'static str,
    pub reason: String,
}

/// All that this program knows, as one of their parts, in the order of the tables.
pub fn all() -> Vec<&'static Contender> {
    let mut all: Vec<&Contender> = Vec::new();
    for contender in parts::all().flat_map(|part| part.contenders) {
        if all.iter().all(|known| known.name != contender.name) {
            all.push(contender);
        }
    }
    all
}

impl Runtimes {
    /// `only` these, or all that the machine offers. An error if a name is nobody's.
    pub fn choose(only: &[String]) -> Result<Self, String> {
        let all = all();
        if let Some(unknown) = only.iter().find(|name| all.iter().all(|known| known.name != **name)) {
            let known: Vec<&str> = all.iter().map(|known| known.name).collect();
            return Err(format!("there is no runtime `{unknown}`; there are {}", known.join(", ")));
        }
        let mut runtimes = Self { chosen: Vec::new(), skipped: Vec::new() };
        for &&Contender { name, is_ours, start, .. } in &all {
            if !only.is_empty() && !only.iter().any(|only| only == name) {
                continue;
            }
            match start() {
                Ok(()) => runtimes.chosen.push(Runtime { name, is_ours, version: version(name, is_ours) }),
                Err(error) => runtimes.skipped.push(Skipped { name, reason: error.to_string() }),
            }
        }
        Ok(runtimes)
    }
}

fn version(name: &str, is_ours: bool) -> Option<&'static str> {
    program::of_package(if is_ours { "carhop" } else { name })
}
