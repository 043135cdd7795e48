//! Files for results.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::Failure;

/// A file that the user wants, opened before the measurements: it would be a pity to find out afterwards that it
/// cannot be written.
pub struct Output<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Output<'a> {
    /// Creates it, if there is a path.
    pub fn create(path: Option<&'a Path>) -> Result<Option<Self>, Failure> {
        let create = |path| match File::create(path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(Self::failure(path, error)),
        };
        path.map(create).transpose()
    }

    /// Writes all that there is to be in it.
    pub fn write(mut self, text: &str) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| Self::failure(self.path, error))
    }

    /// Writes `value` as JSON.
    pub fn write_json(self, value: &impl Serialize) -> Result<(), Failure> {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.write(&(text + "\n")),
            Err(error) => Err(Self::failure(self.path, error)),
        }
    }

    /// What to say about a path that cannot be written to.
    pub fn failure(path: &Path, error: impl Display) -> Failure {
        Failure::Because(format!("{} cannot be written: {error}", path.display()))
    }
}
