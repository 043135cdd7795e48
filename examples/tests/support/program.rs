//! The example programs as their tests see them: started, heard line by line, sent signals, and killed when
//! the test is over, whatever happened.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, kill_process};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::LIMIT;

/// A command that runs the example `name`.
///
/// Cargo has no `CARGO_BIN_EXE_` for examples, but `cargo test` builds those of the package, and puts them
/// beside the directory of the tests.
pub fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a test knows where it is");
    let path: PathBuf =
        test.ancestors().nth(2).expect("it is in target/PROFILE/deps").join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} is missing; `cargo test -p examples` builds it, `--test` alone does not"
    );
    let mut command = Command::new(path);
    // A panic would say so, and at length.
    command.env("RUST_BACKTRACE", "1").env_remove("CARHOP_BACKEND");
    command
}

/// `command`, run by a program that ends with replacing itself, such as `setpriv`.
pub fn within(wrapper: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(wrapper[0]);
    wrapped.args(&wrapper[1..]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    wrapped
}

/// A running program. Dropping it kills it.
pub struct Program {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// How a program ended, and what it had said that nobody had heard by then.
#[derive(Debug)]
pub struct End {
    /// `None` if a signal killed it.
    pub code: Option<i32>,
    /// Lines of its stdout.
    pub stdout: Vec<String>,
    /// Lines of its stderr.
    pub stderr: Vec<String>,
}

impl Program {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        Self::start_and_hear(usize::MAX, command)
    }

    /// Starts it, and closes the reading end of its stdout after so many lines, as `head` does.
    pub fn start_and_hear(lines: usize, command: &mut Command) -> Self {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = hear(lines, child.stdout.take().expect("piped"));
        let stderr = hear(usize::MAX, child.stderr.take().expect("piped"));
        Self { child, stdout, stderr }
    }

    /// Waits for the next line on stdout; `None` if it is closed.
    pub fn try_line(&self) -> Option<String> {
        match self.stdout.recv_timeout(LIMIT) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line on stdout, and no end of it"),
        }
    }

    /// Waits for the next line on stdout.
    pub fn line(&self) -> String {
        self.try_line()
            .unwrap_or_else(|| panic!("no more lines on stdout; on stderr: {:?}", rest(&self.stderr)))
    }

    /// Waits for the next line on stderr.
    pub fn complaint(&self) -> String {
        self.stderr.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("no line on stderr ({error})"))
    }

    /// Writes a line to its stdin.
    pub fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{line}").expect("it reads");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits until it ends by itself.
    pub fn end(mut self) -> End {
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        let status = self.child.wait().expect("nobody else has waited for it");
        End { code: status.code(), stdout, stderr }
    }

    /// The CPU time that it has used until now, in steps of 10 ms.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        // The name, in parentheses, may contain anything. After it come state, ppid, ...; see proc_pid_stat(5).
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Does nothing to one that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls `start` where the kernel answers each system call of io_uring with `errno`: on a thread with a
/// seccomp filter, which a program that is started there inherits.
pub fn without_io_uring<T: Send>(errno: i32, start: impl FnOnce() -> T + Send) -> T {
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    let filter = SeccompFilter::new(
        calls.map(|call| (call, Vec::new())).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        env::consts::ARCH.try_into().expect("an architecture that seccompiler knows"),
    );
    let filter: BpfProgram = filter.and_then(SeccompFilter::try_into).expect("a valid filter");
    thread::scope(|scope| {
        let filtered = scope.spawn(|| {
            apply_filter(&filter).expect("the kernel takes the filter");
            start()
        });
        filtered.join().unwrap()
    })
}

/// The first lines that come out of `pipe`.
fn hear(lines: usize, pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe).lines().map_while(Result::ok).take(lines);
        lines.try_for_each(|line| sender.send(line))
    });
    receiver
}

/// Waits until there are no more lines.
fn rest(lines: &Receiver<String>) -> Vec<String> {
    let mut rest = Vec::new();
    loop {
        match lines.recv_timeout(LIMIT) {
            Ok(line) => rest.push(line),
            Err(RecvTimeoutError::Disconnected) => return rest,
            Err(RecvTimeoutError::Timeout) => panic!("it does not end; until now it said {rest:?}"),
        }
    }
}
