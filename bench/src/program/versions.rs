//! What was measured with what, and when.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

/// Of what is in this program.
#[derive(Serialize)]
pub struct Versions {
    /// Ours.
    pub carhop: &'static str,
    /// What `rustc --version` says.
    pub rustc: &'static str,
    /// Whether it is built for speed.
    pub optimized: bool,
}

impl Versions {
    /// Of this program.
    pub fn new() -> Self {
        let (carhop, rustc) = (env!("CARGO_PKG_VERSION"), env!("RUSTC_VERSION"));
        Self { carhop, rustc, optimized: !cfg!(debug_assertions) }
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optimized = if self.optimized { "" } else { ", without optimisation: these figures say nothing" };
        write!(f, "built by {}{optimized}", self.rustc)
    }
}

/// Date and time in UTC, to the minute.
pub fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The version of a package that this program was built with.
pub fn of_package(name: &str) -> Option<&'static str> {
    let package = format!("name = \"{name}\"\n");
    let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"));
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&package))?;
    let version = entry.lines().find_map(|line| line.strip_prefix("version = \""))?;
    Some(version.trim_end_matches('"'))
}
