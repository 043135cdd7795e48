//! Runs suites as libtest would, one trial at a time.

use std::io;
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};

use crate::machine;

/// No trial takes seconds. One that takes this long waits for what will never come.
const HANG: Duration = Duration::from_secs(60);

/// How long a thread that nobody waits for may take to end what it is about.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the trial is at, if it has said so.
static AT: Mutex<String> = Mutex::new(String::new());

/// Trials that share what they test, or the reason why it cannot be tested here.
pub struct Suite {
    name: String,
    refused: Option<String>,
    trials: Vec<(String, Body)>,
}

enum Body {
    Runs(Box<dyn FnOnce() + Send>),
    /// And why.
    Skipped(&'static str),
}

impl Suite {
    /// A suite without trials yet. `usable` is the answer to whether this machine can run them, or why not.
    pub fn new(name: impl Into<String>, usable: Result<(), String>) -> Self {
        Self { name: name.into(), refused: usable.err(), trials: Vec::new() }
    }

    /// Adds a trial, which fails by panicking or by leaving descriptors open.
    pub fn add(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.trials.push((format!("{}::{name}", self.name), Body::Runs(Box::new(body))));
    }

    /// Adds a trial that cannot run here, which is listed with the reason.
    pub fn skip(&mut self, name: &str, why: &'static str) {
        self.trials.push((format!("{}::{name}", self.name), Body::Skipped(why)));
    }

    /// As libtest wants them: those that cannot run are listed as ignored.
    fn into_trials(self) -> impl Iterator<Item = Trial> {
        let Suite { name, refused, trials } = self;
        if let Some(why) = &refused {
            eprintln!("skipped: {name}: {why}");
        }
        trials.into_iter().map(move |(name, body)| match (body, &refused) {
            (Body::Skipped(why), _) => ignored(name, why.into()).with_kind(why),
            (Body::Runs(_), Some(why)) => ignored(name, why.clone()),
            (Body::Runs(body), None) => {
                Trial::test(name.clone(), move || run(&name, body, PATIENCE).map_err(Into::into))
            }
        })
    }
}

/// If it is run all the same, it fails.
fn ignored(name: String, why: String) -> Trial {
    Trial::test(name, move || Err(why.into())).with_ignored_flag(true)
}

/// Runs the suites as the arguments of this process say, and ends it.
pub fn main(suites: Vec<Suite>) -> ! {
    let mut arguments = Arguments::from_args();
    // Trials count the descriptors and change the limits of the whole process.
    arguments.test_threads = Some(1);
    if let Err(error) = machine::raise_descriptor_limit() {
        eprintln!("the limit of open descriptors stays low: {error}");
    }
    let trials = suites.into_iter().flat_map(Suite::into_trials).collect();
    libtest_mimic::run(&arguments, trials).exit()
}

/// Says where the trial is, in case that it hangs there. One that takes long is given more time with each new place.
pub(crate) fn note(place: String) {
    *AT.lock().unwrap_or_else(PoisonError::into_inner) = place;
}

fn noted() -> String {
    AT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn run(name: &str, body: Box<dyn FnOnce() + Send>, patience: Duration) -> Result<(), String> {
    note(String::new());
    let before = open_descriptors()?;
    let watchdog = Watchdog::start(name).map_err(|error| format!("no thread for a watchdog: {error}"))?;
    body();
    drop(watchdog);
    // A thread for blocking work, which nobody joins, may have woken the trial and not yet let go of the waker.
    let end = Instant::now() + patience;
    loop {
        let mut left_open = open_descriptors()?;
        left_open.retain(|fd| !before.contains(fd));
        if left_open.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("left open: {left_open:?}"));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn open_descriptors() -> Result<Vec<machine::Descriptor>, String> {
    machine::descriptors().map_err(|error| format!("/proc/self/fd: {error}"))
}

/// Ends the process if it is not dropped in time.
struct Watchdog {
    leash: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    fn start(name: &str) -> io::Result<Self> {
        let (leash, slack) = mpsc::channel::<()>();
        let name = name.to_owned();
        let thread = thread::Builder::new().name("watchdog".into()).spawn(move || {
            let mut place = noted();
            while slack.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
                let next = noted();
                if next == place {
                    eprintln!("\n{name} hangs: no end after {} s. {place}", HANG.as_secs());
                    process::abort();
                }
                place = next;
            }
        })?;
        Ok(Self { leash: Some(leash), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.leash = None;
        if let Some(thread) = self.thread.take() {
            // It only waits, so it has not panicked.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

    use super::*;

    // One test, for descriptors are counted in the whole process.
    #[test]
    fn a_trial_fails_if_it_leaves_a_descriptor_open() {
        let open = || File::open("/dev/null").expect("/dev/null");
        assert_eq!(run("tidy", Box::new(move || drop(open())), PATIENCE), Ok(()));

        let (leak, leaked) = mpsc::channel();
        let body = move || leak.send(open().into_raw_fd()).expect("a receiver");
        let outcome = run("untidy", Box::new(body), Duration::ZERO);
        assert!(outcome.is_err_and(|why| why.contains("/dev/null")));
        // SAFETY: the trial gave the descriptor up, and nobody else has its number.
        drop(unsafe { OwnedFd::from_raw_fd(leaked.recv().expect("it was sent")) });
    }
}
