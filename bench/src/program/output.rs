//! Files for results.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Failure;

/// Options for files.
#[derive(Args)]
pub struct Files {
    /// Writes everything that was measured, round by round.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Writes the table as Markdown, with what one has to know of the machine and of how it was measured.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Files {
    /// Creates those that are wanted.
    pub fn create(&self) -> Result<OpenFiles<'_>, Failure> {
        let json = Output::create(self.json.as_deref())?;
        Ok(OpenFiles { json, markdown: Output::create(self.markdown.as_deref())? })
    }
}

/// Those that are wanted.
pub struct OpenFiles<'a> {
    json: Option<Output<'a>>,
    markdown: Option<Output<'a>>,
}

impl OpenFiles<'_> {
    /// Writes `record` as JSON, and what `page` makes of it.
    pub fn write<T: Serialize>(self, record: &T, page: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if let Some(output) = self.json {
            output.write_json(record)?;
        }
        self.markdown.map_or(Ok(()), |output| output.write(&page(record)))
    }
}

/// A file that the user wants, opened before the measurements: it would be a pity to find out afterwards that it
/// cannot be written.
struct Output<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Output<'a> {
    /// Creates it, if there is a path.
    fn create(path: Option<&'a Path>) -> Result<Option<Self>, Failure> {
        let create = |path| match File::create(path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(unwritable(path, error)),
        };
        path.map(create).transpose()
    }

    /// Writes all that there is to be in it.
    fn write(mut self, text: &str) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| unwritable(self.path, error))
    }

    /// Writes `value` as JSON.
    fn write_json(self, value: &impl Serialize) -> Result<(), Failure> {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.write(&(text + "\n")),
            Err(error) => Err(unwritable(self.path, error)),
        }
    }
}

/// What to say about a path that cannot be written to.
pub fn unwritable(path: &Path, error: impl Display) -> Failure {
    Failure::Because(format!("{} cannot be written: {error}", path.display()))
}
