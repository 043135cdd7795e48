//! `compare --instructions`.

use std::fs;

use bench::program::callgrind;

use crate::support::{Directory, a_good_one, compare, json, run, server, short};

pub fn instructions_of_what_is_built_in_are_counted() {
    if let Some(why) = callgrind::missing() {
        println!("skipped: {why}");
        return;
    }
    let directory = Directory::new();
    let (file, page) = (directory.join("all.json"), directory.join("page.md"));
    // One is enough: what is not built for speed is slow under valgrind.
    let (ours, given) = (a_good_one(), server("good"));
    let args = ["--instructions", "--only", &ours, "--only=good", &given, "--json", &file];
    let outcome = run(short(&args).args(["--markdown", &page]));
    outcome.check(outcome.code == Some(0), "it goes well");
    let (record, page) = (json(&file), fs::read_to_string(&page).unwrap());
    let counted = |name: &str| {
        let servers = record["scenarios"][0]["servers"].as_array().unwrap();
        let server = servers.iter().find(|server| server["name"] == name).unwrap();
        server["summary"]["instructions_per_request"].as_f64()
    };
    let instructions = counted(&ours).unwrap_or_else(|| panic!("{}", outcome.stdout));
    assert!((100.0..1_000_000.0).contains(&instructions), "{instructions}");
    assert_eq!(counted("good"), None, "it is not built in");
    for output in [&outcome.stdout, &page] {
        let header = output.lines().find(|line| line.contains("req/s")).unwrap();
        assert!(header.contains("instructions"), "{output}");
    }
}

pub fn instructions_are_a_dash_without_valgrind() {
    let directory = Directory::new();
    let args = ["--instructions", "--only", &a_good_one()];
    let outcome = run(short(&args).env("PATH", directory.path()));
    outcome.check(outcome.code == Some(0), "nothing else is missing");
    let said = "instructions are not counted: valgrind: ";
    outcome.check(outcome.stdout.contains(said), "it says why");
    let without = run(short(&args[1..]).env("PATH", directory.path()));
    without.check(!without.stdout.contains("instructions"), "nobody has asked for them");
}

pub fn instructions_are_those_of_fifty_clients_unless_told() {
    let directory = Directory::new();
    let file = directory.join("all.json");
    let args = ["--instructions", "--only", &a_good_one(), "--json", &file];
    let outcome = run(compare(&args).env("PATH", directory.path()));
    outcome.check(outcome.code == Some(0), "it goes well");
    let record = json(&file);
    let scenarios = record["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.len(), 1);
    assert_eq!(scenarios[0]["name"], "50x64");
}
