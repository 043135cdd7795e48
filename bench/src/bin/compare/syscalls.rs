//! How many system calls a server makes, counted by `perf` or, where that cannot be, by `strace`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

use bench::program::Failure;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

/// System calls for each request, or why they are not known.
#[derive(Serialize)]
pub struct Syscalls {
    pub per_request: Option<f64>,
    pub counted_by: Option<&'static str>,
    pub note: Option<String>,
}

/// Counts what `processes` do while `work` is done, which returns how many requests were answered.
pub fn count(processes: &[u32], work: impl FnOnce() -> Result<u64, Failure>) -> Result<Syscalls, Failure> {
    let unknown = |note| Syscalls { per_request: None, counted_by: None, note: Some(note) };
    let perf = match Perf::attach(processes) {
        Ok(perf) => Ok(perf),
        Err(why) => Err(format!("perf: {why}")),
    };
    let (name, requests, counted): (_, _, Result<u64, String>) = match perf {
        Ok(perf) => ("perf", work()?, perf.detach()),
        Err(of_perf) => match Strace::attach(processes) {
            Ok(strace) => ("strace", work()?, strace.detach()),
            Err(of_strace) => return Ok(unknown(format!("{of_perf}; strace: {of_strace}"))),
        },
    };
    Ok(match counted {
        Ok(calls) if requests > 0 => {
            let per_request = Some(calls as f64 / requests as f64);
            Syscalls { per_request, counted_by: Some(name), note: None }
        }
        Ok(_) => unknown("no request was answered".to_owned()),
        Err(why) => unknown(format!("{name}: {why}")),
    })
}

/// `perf stat`, which counts the kernel's tracepoint at the entry of each call: the server hardly notices.
struct Perf {
    tool: Tool,
    stdin: ChildStdin,
}

impl Perf {
    fn attach(processes: &[u32]) -> Result<Self, String> {
        const EVENT: &str = "raw_syscalls:sys_enter";
        // perf counts for as long as a command of ours runs. That it runs says that perf has attached.
        let command = ["/bin/sh", "-c", "echo; read line"];
        let ids = processes.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let mut perf = Command::new("perf");
        perf.args(["stat", "-x,", "-e", EVENT, "-p", &ids, "--"]).args(command);
        let mut tool = Tool::start(&mut perf)?;
        let stdin = tool.child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(tool.child.stdout.take().expect("piped"));
        match stdout.read_line(&mut String::new()) {
            Ok(length) if length > 0 => Ok(Self { tool, stdin }),
            _ => Err(tool.complaint()),
        }
    }

    fn detach(mut self) -> Result<u64, String> {
        // The command's `read` returns.
        self.stdin.write_all(b"\n").map_err(|error| error.to_string())?;
        let said = self.tool.rest();
        // COUNT,,EVENT,...
        let counts: Vec<u64> = said.lines().filter_map(|line| line.split(',').next()?.parse().ok()).collect();
        if counts.is_empty() { Err(first_line(&said)) } else { Ok(counts.iter().sum()) }
    }
}

/// `strace`, which stops the server at each call. That slows it down, so that it finds more to do each time it
/// looks: the count is too low for a busy server.
struct Strace(Tool);

impl Strace {
    fn attach(processes: &[u32]) -> Result<Self, String> {
        let ids = processes.iter().flat_map(|id| ["-p".to_owned(), id.to_string()]);
        let mut tool = Tool::start(Command::new("strace").args(["-c", "-f"]).args(ids))?;
        // A line for each process: `strace: Process 1234 attached`.
        for _ in processes {
            let mut line = String::new();
            match tool.stderr.read_line(&mut line) {
                Ok(_) if line.contains("attached") => {}
                _ => return Err(first_line(&line)),
            }
        }
        Ok(Self(tool))
    }

    fn detach(mut self) -> Result<u64, String> {
        kill_process(Pid::from_child(&self.0.child), Signal::INT).map_err(|error| error.to_string())?;
        Ok(calls(&self.0.rest()))
    }
}

/// The sum of the column `calls` of what `strace -c` prints: `% time, seconds, usecs/call, calls, errors, syscall`.
fn calls(table: &str) -> u64 {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows =
        rows.filter(|row| row.len() >= 5 && row[0].parse::<f64>().is_ok() && row.last() != Some(&"total"));
    rows.filter_map(|row| row[3].parse::<u64>().ok()).sum()
}

/// A program that counts. Dropping it stops it.
struct Tool {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Tool {
    fn start(command: &mut Command) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("LC_ALL", "C");
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        Ok(Self { child, stderr })
    }

    /// What it says until it ends.
    fn rest(&mut self) -> String {
        let mut said = Vec::new();
        // An error would leave fewer lines, and that shows.
        let _ = self.stderr.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    }

    fn complaint(&mut self) -> String {
        first_line(&self.rest())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn calls_are_summed_up() {
        let table = "strace: Process 7 detached\n\
            % time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
             60.00    0.000300           3       100           sendto\n\
             40.00    0.000200           2       101         1 recvfrom\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.000500           2       201         1 total\n";
        assert_eq!(calls(table), 201);
        assert_eq!(calls("strace: Process 7 detached\n"), 0);
    }
}
