//! Runs the programs of the tour beside their Python originals: the same lines in the same order, each in the
//! same second. Where there is no Python, what it printed once is on record.
//!
//! `RECORD=1 cargo test -p examples --test asyncio_tour on_record` records it anew.
#![forbid(unsafe_code)]

// Not all of it is used here.
pub mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use carhop::Backend;
use support::program::{Program, example, without_io_uring};
use support::{note, usable};

#[test]
fn twins_print_what_the_originals_print() {
    let twins = || in_parallel(runs_of_twins(), |(name, backend)| in_time(name, *backend));
    // The originals run meanwhile.
    let (twins, originals) = thread::scope(|scope| {
        let originals = scope.spawn(|| ORIGINALS.as_ref());
        (twins(), originals.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    for ((name, backend), twin) in twins {
        let Some(original) = originals.map(|originals| &originals[name]) else { continue };
        assert_eq!(twin.without_clocks(), original.without_clocks(), "{name} on {backend}");
        for (twin, original) in twin.clocks().into_iter().zip(original.clocks()) {
            // In the same time zone.
            let apart = later(original, twin).min(later(twin, original));
            assert!(apart < 600, "{name} on {backend}: {apart} s apart");
        }
    }
}

#[test]
fn what_is_on_record_is_what_python_prints() {
    let Some(originals) = &*ORIGINALS else { return };
    for (name, original) in originals {
        let path = tour().join("recorded").join(name).with_extension("txt");
        if recording() {
            fs::write(&path, original.to_record()).unwrap();
        }
        let recorded = recorded(name);
        assert_eq!(original.without_clocks(), recorded.without_clocks(), "{name}; RECORD=1 records it anew");
        // Python takes its time to start, and more on a busy machine.
        for (now, then) in original.seconds.iter().zip(&recorded.seconds) {
            assert!(now >= then, "{name}: {:?} now, {:?} on record", original.seconds, recorded.seconds);
        }
        if let [started, finished] = original.clocks()[..] {
            assert!(later(started, finished) >= 3, "{name}: {original:?}");
        }
    }
}

#[test]
fn gather_takes_the_longest() {
    for (name, seconds) in [("two_tasks", 1), ("cook", 2), ("fetch_data", 3), ("say_after", 3)] {
        assert_eq!(recorded(name).seconds.last(), Some(&seconds), "{name}");
    }
}

#[test]
fn the_list_names_the_programs_that_have_an_original() {
    let end = Program::start(&mut tour_with(&["--list"])).end();
    assert_eq!((end.code, end.stderr), (Some(0), vec![]));
    let listed: Vec<_> =
        end.stdout.iter().map(|line| line.split_once(' ').expect("a name and more")).collect();
    assert!(listed.iter().all(|(_, about)| !about.trim().is_empty()), "{listed:?}");
    let listed: BTreeSet<_> = listed.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed.len(), end.stdout.len(), "each once");

    assert_eq!(listed, names("python", "py"));
    assert_eq!(listed, names("recorded", "txt"));
    let mut twins = names("twins", "rs");
    assert!(twins.remove("mod"));
    assert_eq!(listed, twins);
}

#[test]
fn all_run_in_the_order_of_the_list_and_on_the_backend_that_is_asked_for() {
    let list = Program::start(&mut tour_with(&["--list"])).end().stdout;
    let sum: u64 = names("python", "py").iter().map(|name| *recorded(name).seconds.last().unwrap()).sum();
    for backend in usable() {
        let mut command = tour_with(&["--speed", "100", "--backend", backend.name()]);
        // `carhop::run` would panic if the program did not put its own choice in the place of this one.
        let tour = Program::start(command.env("CARHOP_BACKEND", "nonsense"));
        let started = Instant::now();
        let first = tour.line();
        assert!(first.starts_with(&format!("# {backend} (Linux ")), "{first}");
        for line in &list {
            let (name, about) = line.split_once(' ').unwrap();
            assert_eq!((tour.line(), tour.line()), (String::new(), format!("# {name}: {}", about.trim())));
            // In hundredths of seconds a busy machine may confuse who is first.
            let mut expected = recorded(name).without_clocks();
            let mut lines: Vec<_> = expected.iter().map(|_| mask(&tour.line())).collect();
            lines.sort();
            expected.sort();
            assert_eq!(lines, expected, "{name}");
            let took = tour.line();
            assert!(took.starts_with("# ") && took.ends_with(" s"), "{name}: {took}");
        }
        assert!(started.elapsed().as_secs() < sum, "it is not faster");
        let end = tour.end();
        assert_eq!((end.code, end.stdout, end.stderr), (Some(0), vec![], vec![]));
    }
}

#[test]
fn two_names_have_headings_and_a_timeline_has_times() {
    let mut command = tour_with(&["create_task", "callback", "--timeline", "--speed", "10"]);
    let end = Program::start(&mut command).end();
    assert_eq!((end.code, end.stderr), (Some(0), vec![]));
    let headings: Vec<_> = end.stdout.iter().filter(|line| line.starts_with("# ")).collect();
    assert_eq!(headings.len(), 5, "{headings:?}");
    assert!(headings[1].starts_with("# create_task: ") && headings[3].starts_with("# callback: "));

    let timed = end.stdout.iter().filter_map(|line| line.strip_prefix("[+")?.split_once(" s] "));
    let (times, lines): (Vec<_>, Vec<_>) =
        timed.map(|(time, line)| (time.parse::<f64>().unwrap(), line)).unzip();
    let (first, second) = (recorded("create_task"), recorded("callback"));
    for (time, original) in times.iter().zip(&first.seconds[..first.lines.len()]) {
        assert!(*time >= *original as f64 / 10.0, "{times:?}");
    }
    assert_eq!(lines, [first.lines, second.lines].concat());
}

#[test]
fn mistakes_are_one_line_and_exit_code_2() {
    for (arguments, named) in [
        (&["nope"][..], "'nope'"),
        (&["callback", "nope"], "'nope'"),
        (&["Callback"], "'Callback'"),
        (&["callback", "--backend", "iocp"], "`iocp`"),
        (&["callback", "--speed", "0"], "'0'"),
        (&["--lsit"], "'--lsit'"),
    ] {
        let end = Program::start(&mut tour_with(arguments)).end();
        assert_eq!((end.code, end.stdout.len(), end.stderr.len()), (Some(2), 0, 1), "{arguments:?}: {end:?}");
        assert!(end.stderr[0].starts_with("error: ") && end.stderr[0].contains(named), "{:?}", end.stderr);
    }
}

#[test]
fn a_backend_that_cannot_be_had_is_one_line_and_exit_code_1() {
    let end = without_io_uring(libc::EPERM, || {
        Program::start(&mut tour_with(&["callback", "two_yields", "--backend", "uring"])).end()
    });
    assert_eq!((end.code, end.stdout.len(), end.stderr.len()), (Some(1), 0, 1), "{end:?}");
    assert!(end.stderr[0].starts_with("error: io_uring cannot be used: "), "{:?}", end.stderr);
}

#[test]
fn it_ends_quietly_when_nobody_reads_any_more() {
    let end = Program::start_and_hear(1, &mut tour_with(&["--speed", "1000"])).end();
    assert_eq!((end.code, end.stdout.len(), end.stderr), (Some(1), 1, vec![]));
}

/// What a program printed, and when.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    lines: Vec<String>,
    /// In which second after its start each line came, and the end.
    seconds: Vec<u64>,
}

impl Run {
    /// Runs it to its end. A time is never too small, as it counts from before the start.
    fn of(command: &mut Command) -> Self {
        let started = Instant::now();
        let second = || started.elapsed().as_secs();
        let program = Program::start(command);
        let (mut lines, mut seconds) = (Vec::new(), Vec::new());
        while let Some(line) = program.try_line() {
            lines.push(line);
            seconds.push(second());
        }
        let end = program.end();
        seconds.push(second());
        assert_eq!(end.code, Some(0), "{command:?}: {:?}", end.stderr);
        Self { lines, seconds }
    }

    /// As it is kept: `[+3 s] TEXT` for each line, and at last `[+3 s]` alone.
    fn to_record(&self) -> String {
        let texts = self.lines.iter().map(|line| format!(" {line}")).chain([String::new()]);
        texts.zip(&self.seconds).map(|(text, second)| format!("[+{second} s]{text}\n")).collect()
    }

    /// Its lines without times of day.
    fn without_clocks(&self) -> Vec<String> {
        self.lines.iter().map(|line| mask(line)).collect()
    }

    /// The times of day with which lines end, in seconds.
    fn clocks(&self) -> Vec<u32> {
        self.lines.iter().filter_map(|line| clock(line)).collect()
    }
}

fn recording() -> bool {
    env::var_os("RECORD").is_some()
}

/// What is on record for the original `name`.
fn recorded(name: &str) -> Run {
    let record = fs::read_to_string(tour().join("recorded").join(name).with_extension("txt")).unwrap();
    let entries = record.lines().map(|line| line.strip_prefix("[+").unwrap().split_once(" s]").unwrap());
    let (seconds, mut lines): (Vec<_>, Vec<_>) = entries
        .map(|(second, line)| {
            (second.parse::<u64>().unwrap(), line.strip_prefix(' ').unwrap_or(line).to_owned())
        })
        .unzip();
    assert_eq!(lines.pop().as_deref(), Some(""), "{name} ends");
    Run { lines, seconds }
}

/// Runs a twin until it prints what is on record, each line in its second. Nothing may be early; what is late may
/// be so because the machine is busy, but not each time.
fn in_time(name: &str, backend: Backend) -> Run {
    let expected = recorded(name);
    let mut late = Vec::new();
    while late.len() < 5 {
        let run = Run::of(&mut tour_with(&[name, "--backend", backend.name()]));
        if run.seconds == expected.seconds || run.lines.len() != expected.lines.len() {
            assert_eq!(run.without_clocks(), expected.without_clocks(), "{name} on {backend}");
            if let [started, finished] = run.clocks()[..] {
                assert!((3..=4).contains(&later(started, finished)), "{name} on {backend}: {run:?}");
            }
            return run;
        }
        let early = run.seconds.iter().zip(&expected.seconds).any(|(now, then)| now < then);
        assert!(!early, "{name} on {backend}: {:?} instead of {:?}", run.seconds, expected.seconds);
        late.push(run.seconds);
    }
    panic!("{name} on {backend}: {late:?} instead of {:?}", expected.seconds);
}

/// What the originals print, if there is a Python that runs them.
static ORIGINALS: LazyLock<Option<BTreeMap<String, Run>>> = LazyLock::new(|| {
    let python = python()?;
    let run = |name: &String| {
        let mut command = Command::new(&python);
        command.arg("-u").arg(tour().join("python").join(name).with_extension("py")).env("TZ", ZONE);
        Run::of(&mut command)
    };
    let names = names("python", "py").into_iter();
    Some(if recording() {
        // On an idle machine, so to speak.
        names.map(|name| (name.clone(), run(&name))).collect()
    } else {
        in_parallel(names.collect(), run).into_iter().collect()
    })
});

/// The interpreter itself, if it is new enough: `python3` may be a script that looks for it.
fn python() -> Option<PathBuf> {
    let script = "import sys; assert sys.version_info >= (3, 11); print(sys.executable)";
    let answer = Command::new("python3").args(["-c", script]).output();
    let found = answer.ok().filter(|answer| answer.status.success());
    if found.is_none() {
        note("there is no python3 of version 3.11 or newer: the tour is compared with what is on record");
    }
    Some(String::from_utf8(found?.stdout).unwrap().trim_end().into())
}

/// Each program on each backend.
fn runs_of_twins() -> Vec<(&'static str, Backend)> {
    static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| names("python", "py"));
    NAMES.iter().flat_map(|name| usable().iter().map(move |&backend| (name.as_str(), backend))).collect()
}

/// Calls `run` for all at once.
fn in_parallel<T: Sync, R: Send>(all: Vec<T>, run: impl Fn(&T) -> R + Sync) -> Vec<(T, R)> {
    let results: Vec<R> = thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(|| run(one))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    all.into_iter().zip(results).collect()
}

/// Where `time.strftime` and its twin are, so that it shows if one of them is not.
const ZONE: &str = "TOUR-05:30";

fn tour_with(arguments: &[&str]) -> Command {
    let mut command = example("asyncio_tour");
    command.args(arguments).env("TZ", ZONE);
    command
}

fn tour() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("asyncio_tour")
}

/// The names of the files in a directory of the tour, all of which have that extension.
fn names(directory: &str, extension: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(tour().join(directory)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let name = |path: PathBuf| {
        assert_eq!(path.extension(), Some(OsStr::new(extension)), "{path:?}");
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    };
    paths.map(name).collect()
}

/// The time of day, like 23:59:59, with which `line` ends.
fn clock(line: &str) -> Option<u32> {
    let fields: Vec<_> = line.rsplit(' ').next()?.split(':').collect();
    let [hours, minutes, seconds] = fields[..] else { return None };
    let [hours, minutes, seconds] = [hours, minutes, seconds].map(|field| field.parse::<u32>().ok());
    Some(hours? * 3600 + minutes? * 60 + seconds?)
}

/// `line` with such a time replaced.
fn mask(line: &str) -> String {
    match clock(line) {
        Some(_) => format!("{} HH:MM:SS", line.rsplit_once(' ').map_or("", |(text, _)| text)),
        None => line.to_owned(),
    }
}

/// How many seconds after `one` time of day another is.
fn later(one: u32, another: u32) -> u32 {
    const DAY: u32 = Duration::from_secs(24 * 3600).as_secs() as u32;
    (DAY + another - one) % DAY
}
