//! What is said to whom: the kinds of servers, a page in Markdown, plots.

use std::fs;

use crate::support::{Directory, a_good_one, compare, json, run, server, short};

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

pub fn a_page_has_a_table_for_each_scenario() {
    const SCENARIOS: [&str; 2] = ["4x64x2", "2x1024"];
    let directory = Directory::new();
    let (file, page) = (directory.join("all.json"), directory.join("page.md"));
    let (ours, (only, given)) = (a_good_one(), given());
    let outcome = run(compare(&["--only", &ours, only, &given, "--json", &file, "--markdown", &page])
        .args(SCENARIOS.map(|scenario| format!("--scenario={scenario}"))));
    outcome.check(outcome.code == Some(0), "it goes well");
    let (record, page) = (json(&file), fs::read_to_string(&page).unwrap());

    let mut parts = page.split("\n### ");
    let heading = parts.next().unwrap();
    for pointer in ["/date", "/environment/machine/cpu", "/environment/machine/kernel", "/versions/rustc"] {
        let value = record.pointer(pointer).unwrap().as_str().unwrap();
        assert!(heading.contains(value), "{pointer} {value} is not in:\n{heading}");
    }
    assert!(heading.contains("1 rounds of 0.05 s"), "{heading}");
    assert!(heading.lines().all(|line| line.starts_with("- ")), "{heading}");
    for scenario in SCENARIOS {
        let part = parts.next().unwrap();
        assert_eq!(part.lines().next(), Some(scenario));
        let rows: Vec<&str> = part.lines().filter(|line| line.starts_with('|')).collect();
        // The header, a line, two servers.
        assert_eq!(rows.len(), 4, "{part}");
        let cells = |row: &str| row.replace("\\|", "").matches('|').count();
        assert!(rows.iter().all(|row| cells(row) == cells(rows[0])), "{part}");
        assert!(
            rows[1].starts_with("| ---") && rows[1].ends_with("---: |"),
            "numbers go to the right: {part}"
        );
        assert!(rows[2].starts_with(&format!("| **{ours} ")), "{part}");
        assert!(rows[3].starts_with("| one\\|two "), "{part}");
    }
    assert_eq!(parts.next(), None);
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
