//! The servers that this program can be: it starts itself as `compare serve NAME PORT`.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{self, Command, ExitCode, Stdio};

use bench::program::{self, complain};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use super::carhop_echo;

/// A server that is built in.
pub struct BuiltIn {
    pub name: &'static str,
    pub kind: Kind,
    /// A word on what it is.
    pub about: &'static str,
    /// Whose version to report.
    pub package: Option<&'static str>,
    pub takes_part: TakesPart,
    pub serve: Serve,
}

/// Who is measured if nobody is named by `--only`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TakesPart {
    Always,
    /// It keeps its core busy.
    WithSpin,
    Never,
}

/// Serves until the process is ended, or returns why it cannot. What the machine refuses is an error of a kind that
/// [`is_refusal`] knows.
pub type Serve = fn(SocketAddr) -> io::Result<()>;

/// Whose a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// carhop's.
    Ours,
    /// Another runtime's.
    Peer,
    /// A loop on bare system calls: what an echo server can be at most.
    HandWritten,
    /// The user's, by `--server`.
    Given,
}

impl Kind {
    /// In the order of the table.
    pub const ALL: [Self; 4] = [Self::Ours, Self::Peer, Self::HandWritten, Self::Given];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Ours => "carhop",
            Kind::Peer => "other runtimes",
            Kind::HandWritten => "written by hand",
            Kind::Given => "given",
        })
    }
}

/// What it ends with if the machine refuses what it needs (`EX_UNAVAILABLE` of `sysexits.h`).
const UNAVAILABLE: u8 = 69;
/// What it says then, before the reason.
const REFUSED: &str = " cannot run on this machine: ";

/// All of them, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static BuiltIn> + Clone {
    const GROUPS: &[&[BuiltIn]] = &[
        carhop_echo::SERVERS,
        #[cfg(feature = "peers")]
        super::peers::SERVERS,
    ];
    GROUPS.iter().copied().flatten()
}

/// How the command line names one.
pub fn parser() -> impl TypedValueParser<Value = &'static BuiltIn> {
    let find = |name: String| all().find(|server| server.name == name).expect("clap knows the names");
    PossibleValuesParser::new(all().map(|server| server.name)).map(find)
}

impl BuiltIn {
    /// The command that is this server, in a process of its own.
    pub fn command(name: &str, port: u16) -> Command {
        // Whatever became of the file since: this is the program that runs.
        Self::serving(Command::new("/proc/self/exe"), name, port)
    }

    /// The same, run by `tool`.
    pub fn command_under(mut tool: Command, name: &str, port: u16) -> Command {
        // For the tool, `self` would be the tool.
        tool.arg(format!("/proc/{}/exe", process::id()));
        Self::serving(tool, name, port)
    }

    fn serving(mut program: Command, name: &str, port: u16) -> Command {
        // It would say that it listens, and that is mostly no news.
        program.arg("serve").arg(name).arg(port.to_string()).stdout(Stdio::null());
        program
    }

    /// Serves until it is killed, or says why it cannot.
    pub fn run(&self, port: u16) -> ExitCode {
        raise_descriptor_limit();
        match (self.serve)((Ipv4Addr::LOCALHOST, port).into()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if is_refusal(&error) => {
                complain(format_args!("error: {}{REFUSED}{error}", self.name));
                ExitCode::from(UNAVAILABLE)
            }
            Err(error) => {
                complain(format_args!("error: {}: {error}", self.name));
                ExitCode::FAILURE
            }
        }
    }

    /// Why the machine refuses it, if it does: it is started for a moment. Whatever else keeps it from serving
    /// will show when it is measured.
    pub fn refused(&self) -> Option<String> {
        let mut command = Self::command(self.name, 0);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
        let mut listening = String::new();
        // An error leaves it empty.
        let _ = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut listening);
        if !listening.is_empty() {
            // One that has ended meanwhile needs no end.
            let _ = child.kill();
        }
        let output = child.wait_with_output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.lines().find_map(|line| Some(line.split_once(REFUSED)?.1.to_owned()));
        reason.filter(|_| output.status.code() == Some(UNAVAILABLE.into()))
    }

    /// The version of its package that this program was built with.
    pub fn version(&self) -> Option<&'static str> {
        program::of_package(self.package?)
    }
}

/// Whether `error` says that the machine does not let a server be, rather than that something went wrong.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported | ErrorKind::OutOfMemory)
}

/// Tells whoever started the server that it can be connected to.
pub fn ready(addr: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {addr}")?;
    stdout.flush()
}

/// To what this process is allowed: the usual limit is 1024, which is a limit of connections. If that fails, there
/// are fewer.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn packages_have_versions() {
        for server in all().filter(|server| server.package.is_some()) {
            assert!(server.version().is_some_and(|version| version.contains('.')), "{}", server.name);
        }
    }
}
