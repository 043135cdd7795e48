//! `compare` as its users meet it. Figures are not looked at, only that they are there: the machine may be busy.
//!
//! Called as `compare broken KIND PORT` this is one of the servers that `compare` is tested with.

mod broken;
mod failures;
mod instructions;
mod reports;
mod support;

use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::{env, fs, thread};

use carhop::Backend;
use failures::*;
use instructions::*;
use libtest_mimic::{Arguments, Trial};
use reports::*;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use serde_json::Value;
use support::{Directory, a_good_one, compare, json, name, outcome, run, server, short};

macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        vec![$(Trial::test(stringify!($name), || { $name(); Ok(()) })),*]
    };
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().collect();
    if let [_, "broken", kind, port] = args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        broken::serve(kind, port.parse().expect("a port"));
    }
    let trials = trials![
        all_columns_are_there_for_each_backend,
        kinds_and_versions_are_told,
        a_page_has_a_table_for_each_scenario,
        plots_show_who_is_of_what_kind,
        a_fixed_rate_is_measured_from_when_requests_were_due,
        a_good_server_passes_verification,
        a_server_that_changes_bytes_is_found_out,
        only_verification_finds_changed_bytes,
        a_server_that_fails_leaves_the_others_their_results,
        patience_has_an_end,
        mistakes_are_a_line,
        files_that_cannot_be_written_are_noticed_first,
        system_calls_are_a_dash_without_tools,
        strace_counts_where_perf_is_missing,
        instructions_of_what_is_built_in_are_counted,
        instructions_are_a_dash_without_valgrind,
        instructions_are_those_of_fifty_clients_unless_told,
        the_unprivileged_stay_in_the_network,
        without_io_uring_epoll_is_measured,
        ctrl_c_stops_the_servers_and_prints_what_there_is,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn all_columns_are_there_for_each_backend() {
    const SCENARIOS: [&str; 2] = ["4x64x2", "2x16k"];
    let directory = Directory::new();
    let (file, plots) = (directory.join("all.json"), directory.join("plots"));
    let outcome = run(compare(&["--rounds=2", "--json", &file, "--svg", &plots])
        .args(SCENARIOS.map(|scenario| format!("--scenario={scenario}"))));
    outcome.check(outcome.code == Some(0), "it goes well");

    let record = json(&file);
    for (pointer, kind) in [
        ("/date", "string"),
        ("/versions/carhop", "string"),
        ("/versions/rustc", "string"),
        ("/environment/machine/cpu", "string"),
        ("/environment/machine/kernel", "string"),
        ("/settings/rounds", "number"),
    ] {
        assert_eq!(kind_of(record.pointer(pointer)), kind, "{pointer}");
    }
    let scenarios = record["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.len(), SCENARIOS.len());
    for scenario in scenarios {
        assert_eq!(scenario["seconds"], 0.05);
        let servers = scenario["servers"].as_array().unwrap();
        for backend in bench::backends() {
            let server = servers.iter().find(|server| server["name"] == name(*backend).as_str()).unwrap();
            has_columns(&server["summary"], &["ratio", "ratio_error"]);
            // Where they cannot be counted, the reason is there.
            let syscalls = (&server["summary"]["syscalls_per_request"], &server["syscalls"]["note"]);
            assert_ne!(syscalls.0.is_number(), syscalls.1.is_string(), "{server}");
            assert_eq!(server["rounds"].as_array().unwrap().len(), 2);
            for round in server["rounds"].as_array().unwrap() {
                has_columns(round, &["requests", "seconds", "load_idle"]);
            }
            assert!(!server["distribution"].as_array().unwrap().is_empty());
            assert!(server["failure"].is_null());
            outcome.check(outcome.stdout.contains(&name(*backend)), "the table has a line for it");
        }
        for plot in ["latency", "throughput"] {
            let path = format!("{plots}/{}-{plot}.svg", scenario["name"].as_str().unwrap());
            let svg = fs::read_to_string(&path).unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{path}");
            assert!(svg.contains(&a_good_one()), "{path} says whose is what");
        }
    }
    for column in ["req/s", "of best", "p50", "p90", "p99", "p99.9", "max", "CPU", "syscalls", "resident"] {
        outcome.check(outcome.stdout.contains(column), column);
    }
}

#[track_caller]
fn has_columns(row: &Value, more: &[&str]) {
    let columns = ["requests_per_second", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"];
    for column in columns.iter().chain(&["cpu_us_per_request", "resident_bytes"]).chain(more) {
        assert_eq!(kind_of(row.get(column)), "number", "{column} in {row}");
    }
    assert!(row["p50_us"].as_f64() > Some(0.0) && row["p50_us"].as_f64() <= row["max_us"].as_f64(), "{row}");
}

fn kind_of(value: Option<&Value>) -> &'static str {
    match value {
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        _ => "something else",
    }
}

fn a_fixed_rate_is_measured_from_when_requests_were_due() {
    // A server that sleeps for 50 ms after every 50 requests of a connection. In a closed loop, one of those 50 would
    // notice. At this rate 50 are due while it sleeps, and wait.
    let directory = Directory::new();
    let file = directory.join("rate.json");
    let naps = server("naps");
    let args = ["--scenario=2x64", "--rate=2000", "--secs=0.2", "--only=naps", &naps, "--json", &file];
    let outcome = run(&mut compare(&args));
    outcome.check(outcome.code == Some(0), "it goes well");
    let record = json(&file);
    assert_eq!(record["settings"]["rate"], 2000);
    let summary = &record["scenarios"][0]["servers"][0]["summary"];
    assert!(summary["p50_us"].as_f64() > Some(1000.0), "{summary}");
}

fn system_calls_are_a_dash_without_tools() {
    let directory = Directory::new();
    let outcome = run(short(&["--only", &a_good_one()]).env("PATH", directory.path()));
    outcome.check(outcome.code == Some(0), "nothing else is missing");
    let said = "syscalls are not counted: perf: ";
    outcome.check(outcome.stdout.contains(said) && outcome.stdout.contains("; strace: "), "it says why");
}

fn strace_counts_where_perf_is_missing() {
    let Some(strace) = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|directory| directory.join("strace"))
        .find(|path| path.exists())
    else {
        return;
    };
    let directory = Directory::new();
    std::os::unix::fs::symlink(strace, directory.join("strace")).unwrap();
    let file = directory.join("all.json");
    let outcome = run(short(&["--only", &a_good_one(), "--json", &file]).env("PATH", directory.path()));
    outcome.check(outcome.code == Some(0), "it goes well");
    let syscalls = json(&file)["scenarios"][0]["servers"][0]["syscalls"].clone();
    let refused = syscalls["note"].as_str().is_some_and(|note| note.contains("strace"));
    let counted = syscalls["counted_by"] == "strace" && syscalls["per_request"].as_f64() > Some(0.0);
    assert!(counted || refused, "{syscalls}");
}

fn the_unprivileged_stay_in_the_network() {
    const NOBODY: u32 = 65534;
    let mut command = short(&["--only", &a_good_one()]);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    // Somebody else may not be allowed to where the program is.
    let Ok(output) = command.output() else { return };
    let outcome = outcome(output);
    outcome.check(outcome.code == Some(0), "it works");
    outcome.check(
        outcome.stdout.contains("note: no network namespace of its own"),
        "it says what is not as it should",
    );
}

fn without_io_uring_epoll_is_measured() {
    if Backend::LINKED.len() < 2 {
        return;
    }
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    let filter = SeccompFilter::new(
        calls.map(|call| (call, Vec::new())).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        env::consts::ARCH.try_into().expect("an architecture that seccompiler knows"),
    );
    let filter: BpfProgram = filter.and_then(SeccompFilter::try_into).expect("a valid filter");
    // What a thread with a filter starts has it too.
    let run = |args: &[&str]| {
        thread::scope(|scope| {
            let filtered = scope.spawn(|| {
                apply_filter(&filter).expect("the kernel takes the filter");
                run(&mut short(args))
            });
            filtered.join().unwrap()
        })
    };
    let outcome = run(&[]);
    outcome.check(outcome.code == Some(0), "the rest is measured");
    let of_peers = |names: &[&'static str]| if cfg!(feature = "peers") { names.to_vec() } else { Vec::new() };
    for name in
        [vec!["carhop-uring"], of_peers(&["monoio", "compio", "glommio", "tokio-uring", "multishot-uring"])]
            .concat()
    {
        let said = format!("{name} is skipped: ");
        outcome.check(outcome.stderr.contains(&said), "it says so at first");
        outcome.check(outcome.stdout.contains(&said), "and below the table");
    }
    for name in [vec!["carhop-epoll"], of_peers(&["tokio", "smol", "naive-epoll", "phased-epoll"])].concat() {
        outcome.check(outcome.stdout.contains(&format!("  {name} ")), "it has a line");
    }

    let outcome = run(&["--only=carhop-uring"]);
    outcome
        .check(outcome.code == Some(1) && outcome.stderr.contains("no server to measure"), "nobody is left");
}
