//! What is said of servers: their kinds and versions, and plots of them.

use std::fs;

use crate::support::{Directory, a_good_one, json, run, server, short};

/// The server of a user, whose name has what is special in a table.
fn given() -> (&'static str, String) {
    ("--only=one|two", server("good").replacen("good", "one|two", 1))
}

pub fn kinds_and_versions_are_told() {
    let directory = Directory::new();
    let file = directory.join("all.json");
    let (ours, (only, given)) = (a_good_one(), given());
    let mut command = short(&["--only", &ours, only, &given, "--json", &file]);
    if cfg!(feature = "peers") {
        command.args(["--only=tokio", "--only=naive-epoll"]);
    }
    let outcome = run(&mut command);
    outcome.check(outcome.code == Some(0), "it goes well");
    let record = json(&file);
    let kind = |name: &str| {
        let servers = record["scenarios"][0]["servers"].as_array().unwrap();
        let server = servers.iter().find(|server| server["name"] == name).unwrap();
        (server["kind"].as_str().unwrap(), server["version"].is_string())
    };
    assert_eq!(kind(&ours), ("ours", true));
    assert_eq!(kind("one|two"), ("given", false));
    let version = env!("CARGO_PKG_VERSION");
    outcome.check(outcome.stdout.contains(&format!(" {ours} {version} ")), "its version is in the table");
    let mut kinds = format!("carhop: {ours}; ");
    if cfg!(feature = "peers") {
        assert_eq!(kind("tokio"), ("peer", true));
        assert_eq!(kind("naive-epoll"), ("hand-written", false));
        kinds += "other runtimes: tokio; written by hand: naive-epoll; ";
    }
    outcome.check(outcome.stdout.contains(&format!("\n{kinds}given: one|two\n")), "it says who is what");
}

pub fn plots_show_who_is_of_what_kind() {
    let directory = Directory::new();
    let plots = directory.join("plots");
    let (ours, (only, given)) = (a_good_one(), given());
    let outcome = run(&mut short(&["--only", &ours, only, &given, "--svg", &plots]));
    outcome.check(outcome.code == Some(0), "it goes well");
    for plot in ["latency", "throughput"] {
        let svg = fs::read_to_string(format!("{plots}/4x64x2-{plot}.svg")).unwrap();
        let weight = |name: &str| {
            // A tag, a line with the text in it, and the tag's end.
            let (tag, _) =
                svg.split_once(&format!("\n{name}\n")).unwrap_or_else(|| panic!("{name} in {svg}"));
            tag.rsplit_once('<').unwrap().1.contains("bold")
        };
        assert!(weight(&ours) && !weight("one|two"), "ours stands out: {svg}");
        assert_eq!(svg.contains("\ngiven\n"), plot == "throughput", "bars have headings");
    }
}
