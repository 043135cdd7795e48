//! `parts` as its users meet it. Figures are not looked at, only that they are there: the machine may be busy.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use bench::parts;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// `parts` with `args`, for as short as it goes.
fn short(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parts"));
    for (option, value) in [("--rounds", "2"), ("--millis", "0.1")] {
        if !args.iter().any(|arg| arg.starts_with(option)) {
            command.args([option, value]);
        }
    }
    command.arg("--small").args(args).stdin(Stdio::null());
    command
}

#[track_caller]
fn run(args: &[&str], code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = short(args).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "{stdout}\n{stderr}");
    (stdout, stderr)
}

/// A file that is written to.
fn file(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"))
}

/// Ours that work here, in the order of the table.
fn names_of_ours() -> Vec<String> {
    let mut names: Vec<_> =
        bench::backends().iter().map(|backend| format!("carhop-{}", backend.name())).collect();
    names.sort();
    names
}

#[test]
fn all_columns_are_there_for_each_runtime() {
    let (json, page) = (file("parts.json"), file("parts.md"));
    let (stdout, _) = run(&["--json", &json, "--markdown", &page], 0);
    let record: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let page = fs::read_to_string(&page).unwrap();
    assert_eq!(record["settings"]["rounds"], 2);
    let runtimes: Vec<&Value> = record["runtimes"].as_array().unwrap().iter().collect();
    let ours: Vec<&str> = runtimes
        .iter()
        .filter(|runtime| runtime["is_ours"] == true)
        .map(|runtime| runtime["name"].as_str().unwrap())
        .collect();
    assert_eq!(ours, names_of_ours());

    let measured = record["parts"].as_array().unwrap();
    assert!(measured.iter().map(|part| &part["name"]).eq(parts::all().map(|part| part.name)));
    for (part, known) in measured.iter().zip(parts::all()) {
        let results = part["results"].as_array().unwrap();
        assert!(results.iter().map(|it| &it["runtime"]).eq(runtimes.iter().map(|it| &it["name"])), "{part}");
        for result in results {
            let has_it = known.contenders.iter().any(|contender| result["runtime"] == contender.name);
            assert_eq!(result["median"].as_f64().is_some_and(|median| median > 0.0), has_it, "{result}");
            assert_eq!(result["rounds"].as_array().unwrap().len(), if has_it { 2 } else { 0 }, "{result}");
            let has_ratio = has_it && part["best_peer"].is_string();
            assert_eq!(result["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), has_ratio, "{result}");
        }
        assert!(ours.iter().all(|name| known.contenders.iter().any(|it| it.name == *name)), "{part}");
        assert!(page.lines().any(|line| line.starts_with(&format!("| {} ", known.name))), "{page}");
        assert!(stdout.contains(&format!(" {} ", known.name)), "{stdout}");
    }
}

#[cfg(feature = "peers")]
#[test]
fn what_a_peer_has_not_is_a_dash() {
    let json = file("dash.json");
    let (stdout, _) =
        run(&["deadline", "--only=carhop-epoll", "--only=glommio", "--only=tokio", "--json", &json], 0);
    let row = stdout.lines().find(|line| line.contains("cancel, by deadline")).unwrap();
    // After the name and the unit: ours, its ratio, tokio and glommio.
    let cells: Vec<&str> = row.split_once(" ns ").unwrap().1.split_whitespace().collect();
    let record: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let refused = record["skipped"].as_array().unwrap().iter().any(|skipped| skipped["name"] == "glommio");
    assert_eq!(cells.get(3), if refused { None } else { Some(&"-") }, "{stdout}");
    assert_eq!(record["parts"][0]["best_peer"], "tokio");
}

#[test]
fn only_what_is_wanted_is_measured() {
    let ours = &names_of_ours()[0];
    let (stdout, _) = run(&["yield", "one by one", "--only", ours], 0);
    let rows: Vec<&str> = stdout.lines().filter(|line| line.contains(" ns ")).collect();
    assert_eq!(rows.len(), 2, "{stdout}");
    assert!(rows[0].contains("one by one") && rows[1].contains("yield"), "{stdout}");
    assert!(names_of_ours()[1..].iter().all(|other| !stdout.contains(other)), "{stdout}");
}

#[test]
fn mistakes_are_a_line() {
    assert!(run(&["nothing"], 2).1.starts_with("error: no part has `nothing` in its name"));
    assert!(
        run(&["--only=nobody"], 2).1.starts_with("error: there is no runtime `nobody`; there are carhop-")
    );
    assert!(run(&["--millis=0"], 2).1.contains("it is not a number of milliseconds"));
    let (stdout, stderr) = run(&["--json=/nowhere/parts.json"], 1);
    assert!(stderr.starts_with("error: /nowhere/parts.json cannot be written: "), "{stderr}");
    assert_eq!(stdout, "", "it is noticed before anything is measured");
}

#[test]
fn the_list_has_parts_and_runtimes() {
    let (stdout, _) = run(&["--list"], 0);
    for name in parts::all().flat_map(|part| part.contenders.iter().map(|it| it.name).chain([part.name])) {
        assert!(stdout.lines().any(|line| line.trim_start().starts_with(name)), "{name} in {stdout}");
    }
}

#[test]
fn ctrl_c_prints_what_there_is() {
    let mut command = short(&["yield", "--rounds=200000", "--only", &names_of_ours()[0]]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    // It listens for signals before it says what it does.
    stdout.read_line(&mut String::new()).unwrap();
    // By now it should be in the midst of the rounds, though it must not matter.
    thread::sleep(Duration::from_millis(200));
    kill_process(Pid::from_child(&process), Signal::INT).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.ends_with("interrupted: there would have been more\n"), "{rest}");
    assert!(rest.contains(" yield "), "{rest}");
}
