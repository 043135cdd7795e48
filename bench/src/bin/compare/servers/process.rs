//! A running server: started on its core, awaited until it listens, stopped with all that it started.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bench::program::{Failure, Interrupt};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::environment::pinned_to;
use crate::load::connect;

/// The processes of one server. Dropping it stops them.
pub struct Process {
    child: Child,
    port: u16,
    said: Said,
}

/// How often to look whether something has happened.
const STEP: Duration = Duration::from_millis(5);

impl Process {
    /// Starts a server on a free port, by the command for it, and waits until it lets clients in.
    pub fn start(
        command: impl FnOnce(u16) -> Command,
        core: Option<usize>,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = command(port);
        // A group of its own: ctrl-C does not reach it, and it can be stopped as a whole.
        command.process_group(0).stdin(Stdio::null()).stderr(Stdio::piped());
        let child = pinned_to(core, || command.spawn());
        let mut child = child.map_err(|error| format!("it cannot be started: {error}"))?;
        let said = Said::default();
        said.listen(child.stdout.take());
        said.listen(child.stderr.take());
        let mut process = Self { child, port, said };
        process.wait_until_it_listens(patience, interrupt)?;
        Ok(process)
    }

    fn wait_until_it_listens(&mut self, patience: Duration, interrupt: &Interrupt) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        loop {
            interrupt.check()?;
            let Err(error) = connect(self.port, patience) else { return Ok(()) };
            if let Some(status) = self.child.try_wait()? {
                return Err(Failure::Because(self.ended(status, "before it listened")));
            }
            if Instant::now() > deadline {
                let (port, patience) = (self.port, patience.as_secs_f64());
                let why = format!(
                    "after {patience} s it still does not listen on port {port} ({error}){}",
                    self.said
                );
                return Err(Failure::Because(why));
            }
            thread::sleep(STEP);
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process group: its number is that of the first process.
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// Adds to what the load has noticed whether the server has ended, and what it said.
    pub fn explain(&mut self, failure: Failure) -> Failure {
        let Failure::Because(why) = failure else { return failure };
        // Its connections end a moment before it does.
        let deadline = Instant::now() + Duration::from_millis(100);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Failure::Because(self.ended(status, &why)),
                Ok(None) if Instant::now() < deadline => thread::sleep(STEP),
                _ => return Failure::Because(format!("{why}{}", self.said)),
            }
        }
    }

    /// Tells all of its processes to end, and does not wait.
    pub fn tell_to_end(&self) {
        // An error says that there is nobody left.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::TERM);
    }

    /// Waits for the end of the first process, but no longer than that. Whether it has ended.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(STEP),
                Ok(None) => return false,
                _ => return true,
            }
        }
    }

    /// Ends it, and returns the last that it said. It has `patience` to end in good order.
    pub fn end(mut self, patience: Duration) -> String {
        self.stop(patience);
        self.said.wait_for_the_end();
        self.said.to_string()
    }

    fn stop(&mut self, grace: Duration) {
        self.tell_to_end();
        self.ends_within(grace);
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }

    fn ended(&self, status: ExitStatus, when: &str) -> String {
        self.said.wait_for_the_end();
        format!("the server ended ({status}): {when}{}", self.said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        const GRACE: Duration = Duration::from_millis(500);
        self.stop(GRACE);
    }
}

/// The last lines that a server wrote, for a message about its end.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    last: VecDeque<String>,
    /// Pipes from which more may come.
    open: usize,
}

impl Said {
    fn listen(&self, pipe: Option<impl Read + Send + 'static>) {
        const LINES: usize = 5;
        let (Some(pipe), said) = (pipe, self.clone()) else { return };
        self.lines().open += 1;
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(io::Result::ok) {
                let mut lines = said.lines();
                lines.last.push_back(String::from_utf8_lossy(&line).trim().to_owned());
                if lines.last.len() > LINES {
                    lines.last.pop_front();
                }
            }
            said.lines().open -= 1;
        });
    }

    /// Waits until all is read, but not long: what the server has started may hold the pipes.
    fn wait_for_the_end(&self) {
        const LONG: Duration = Duration::from_secs(1);
        let deadline = Instant::now() + LONG;
        while self.lines().open > 0 && Instant::now() < deadline {
            thread::sleep(STEP);
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last: Vec<String> = self.lines().last.iter().cloned().collect();
        if last.is_empty() { Ok(()) } else { write!(f, "; it said: {}", last.join(" / ")) }
    }
}
