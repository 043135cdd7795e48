//! How the tests run the program.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use carhop::Backend;
use serde_json::Value;

/// `compare` with `args`, for as short as it goes.
pub fn compare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compare"));
    for (option, value) in [("--secs", "0.05"), ("--rounds", "1")] {
        if !args.iter().any(|arg| arg.starts_with(option)) {
            command.args([option, value]);
        }
    }
    command.args(args);
    command.stdin(Stdio::null()).env_remove("CARHOP_BACKEND");
    command
}

/// The same with a scenario of little work.
pub fn short(args: &[&str]) -> Command {
    let mut command = compare(args);
    command.args(["--scenario", "4x64x2"]);
    command
}

/// The option that adds a server of [`crate::broken`], under the name of what it does.
pub fn server(kind: &str) -> String {
    let itself = env::current_exe().expect("a test knows where it is");
    format!("--server={kind}='{}' broken {kind} {{port}}", itself.display())
}

/// What came of it.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Outcome {
    outcome(command.output().expect("it can be started"))
}

pub fn outcome(output: Output) -> Outcome {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Outcome {
    /// Fails with all that was said, unless `fine`.
    #[track_caller]
    pub fn check(&self, fine: bool, what: &str) {
        let Self { code, stdout, stderr } = self;
        assert!(fine, "{what}\nexit code {code:?}\n{stdout}\n{stderr}");
    }
}

/// A directory that is gone when this is dropped.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("compare-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("there is room for temporary files");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it, as an argument.
    pub fn join(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("it was written")).expect("valid JSON")
}

/// A built-in server that works here, by its name.
pub fn a_good_one() -> String {
    name(bench::backends()[0])
}

/// What the table calls a backend's server.
pub fn name(backend: Backend) -> String {
    format!("carhop-{}", backend.name())
}
