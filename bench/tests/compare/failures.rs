//! What goes wrong: servers, users, and an end that comes early.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{Directory, a_good_one, compare, json, run, server, short};

pub fn a_good_server_passes_verification() {
    // Requests that go in pieces, and many in one piece; in turns and at a fixed rate.
    let good = server("good");
    let names = ["--verify", "--only=good", &good];
    for args in [&["--scenario=3x1000x7", "--scenario=2x300k"][..], &["--scenario=3x1000", "--rate=500"]] {
        let outcome = run(compare(&names).args(args));
        outcome.check(outcome.code == Some(0), "nothing is wrong with it");
    }
    let outcome = run(&mut compare(&["--verify", "--scenario=3x1000x7", "--scenario=2x300k"]));
    outcome.check(outcome.code == Some(0), "nothing is wrong with those built in");
}

pub fn a_server_that_changes_bytes_is_found_out() {
    for (kind, said, secs) in [
        ("corrupts", "wrong bytes: byte 10000 ", "1"),
        ("drops", "wrong bytes: byte 1", "1"),
        ("duplicates", "wrong bytes: byte 1", "1"),
        ("reorders", "wrong bytes: byte 1", "1"),
        ("adds-at-the-end", "more than it was sent", "0.05"),
    ] {
        let outcome =
            run(short(&["--verify", "--secs", secs, "--only", kind, &server(kind)]).arg("--no-netns"));
        outcome.check(outcome.code == Some(1), kind);
        outcome.check(outcome.stderr.contains(said) && outcome.stdout.contains(said), kind);
    }
}

pub fn only_verification_finds_changed_bytes() {
    let outcome = run(&mut short(&["--only=corrupts", &server("corrupts")]));
    outcome.check(outcome.code == Some(0), "their number is right");
}

pub fn a_server_that_fails_leaves_the_others_their_results() {
    let directory = Directory::new();
    let file = directory.join("all.json");
    let failures = [
        ("refuses", "exit status: 3): before it listened; it said: no port is good enough"),
        ("dies", "exit status: 4"),
        ("hangs-up", "closed a connection after"),
    ];
    let good = a_good_one();
    let mut command = short(&["--secs=0.5", "--json", &file, "--only", &good]);
    command
        .args(failures.map(|(kind, _)| server(kind)))
        .args(failures.map(|(kind, _)| format!("--only={kind}")));
    command.arg("--server=missing=/nonexistent/server {port}").arg("--only=missing");
    let outcome = run(&mut command);
    outcome.check(outcome.code == Some(1), "some have failed");
    let record = json(&file);
    let servers = record["scenarios"][0]["servers"].as_array().unwrap();
    let find = |name: &str| servers.iter().find(|server| server["name"] == name).unwrap();
    assert!(find(&good)["summary"].is_object() && find(&good)["failure"].is_null(), "{record}");
    for (kind, said) in failures.into_iter().chain([("missing", "exit status: 127")]) {
        let failure = find(kind)["failure"].as_str().unwrap_or_default();
        assert!(failure.contains(said), "{kind}: {failure}");
        outcome.check(outcome.stdout.contains(said) && outcome.stderr.contains(said), kind);
    }
}

pub fn patience_has_an_end() {
    let (deaf, stalls) = (server("deaf"), server("stalls"));
    let args = ["--secs=0.5", "--patience=1", &deaf, &stalls, "--only=deaf", "--only=stalls"];
    let outcome = run(&mut short(&args));
    outcome.check(outcome.code == Some(1), "both have failed");
    outcome.check(outcome.stderr.contains("after 1 s it still does not listen"), "deaf");
    outcome.check(outcome.stderr.contains("nothing came back for 1 s"), "stalls");
}

pub fn mistakes_are_a_line() {
    for (args, said) in [
        (&["--scenario=50"][..], "it is neither CONNECTIONSxBYTES"),
        (&["--scenario=0x64"], "it is neither CONNECTIONSxBYTES"),
        (&["--scenario=nothing"], "one of default, quick, one"),
        (&["--only=nobody"], "there is no server `nobody`; there are carhop-epoll"),
        (&["--server=mine"], "it is not NAME='COMMAND {port}'"),
        (&["--server=mine=run"], "with {port} where"),
        (&["--server=carhop-epoll=x {port}"], "two servers `carhop-epoll`"),
        (&["--scenario=1x1x2", "--rate=100"], "there is no pipeline"),
        (&["--rate=0"], "--rate"),
        (&["--secs=0"], "--secs"),
        (&["--secs=-1"], "--secs"),
        (&["--rounds=0"], "--rounds"),
        (&["--frobnicate"], "--frobnicate"),
        (&["serve", "nobody", "7000"], "invalid value 'nobody'"),
        (&["serve", "carhop-epoll", "70000"], "invalid value '70000'"),
        (&["--quick", "serve", "carhop-epoll", "7000"], "cannot be used with"),
    ] {
        let outcome = run(Command::new(env!("CARGO_BIN_EXE_compare")).args(args));
        outcome.check(outcome.code == Some(2), said);
        let first = outcome.stderr.lines().next().unwrap_or_default();
        outcome.check(first.starts_with("error: ") && first.contains(said), said);
        outcome.check(outcome.stdout.is_empty(), "nothing was measured");
    }
}

pub fn files_that_cannot_be_written_are_noticed_first() {
    let directory = Directory::new();
    let nowhere = directory.join("no/such/directory/file");
    let file = directory.join("file");
    fs::write(&file, "").unwrap();
    for args in [["--json", &nowhere], ["--markdown", &nowhere], ["--svg", &file]] {
        let outcome = run(&mut short(&args));
        outcome.check(outcome.code == Some(1) && outcome.stderr.contains("cannot be written"), "it says so");
        outcome.check(outcome.stdout.is_empty(), "nothing was measured");
    }
}

pub fn ctrl_c_stops_the_servers_and_prints_what_there_is() {
    let directory = Directory::new();
    let (pid_file, file) = (directory.join("pid"), directory.join("all.json"));
    // The second server says who it is when it starts, and then lets nobody in.
    let itself = env::current_exe().unwrap();
    let deaf =
        format!("--server=deaf=echo $$ > {pid_file}; exec '{}' broken deaf {{port}}", itself.display());
    let good = a_good_one();
    let mut child = short(&["--patience=60", "--only", &good, "--only=deaf", &deaf, "--json", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = loop {
        match fs::read_to_string(&pid_file).unwrap_or_default().trim().parse() {
            Ok(pid) => break Pid::from_raw(pid).unwrap(),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before");
    };
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(lines.iter().any(|line| line.contains(&format!(" {good} "))), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("interrupted"), "{lines:?}");
    let record = json(&file);
    assert!(record["scenarios"][0]["servers"][0]["summary"].is_object(), "{record}");
    assert!(record["scenarios"][0]["servers"][1]["summary"].is_null(), "{record}");
    // It was waited for.
    let deadline = Instant::now() + Duration::from_secs(10);
    while test_kill_process(pid).is_ok() {
        assert!(Instant::now() < deadline, "the server is still there");
        thread::sleep(Duration::from_millis(5));
    }
}
