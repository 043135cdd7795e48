//! The table, and below it what one has to know to read it.

use std::iter;

use bench::program::{digits, grouped, say};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::record::{Comparison, ScenarioRecord, ServerRecord, Settings, Summary};
use crate::servers::Kind;

/// After the name of the server there are numbers.
pub fn columns(settings: &Settings) -> Vec<&'static str> {
    let mut columns = vec![
        "server", "req/s", "of best", "±", "p50 µs", "p90", "p99", "p99.9", "max", "CPU µs", "syscalls",
        "resident",
    ];
    columns.extend(settings.instructions.then_some("instructions"));
    columns
}

/// Prints both.
pub fn table(comparison: &Comparison) {
    let mut table = Table::new();
    let columns = columns(&comparison.settings);
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["scenario"].iter().chain(&columns));
    for scenario in &comparison.scenarios {
        // A row for each scenario, with a line for each server in its cells, and some space between the kinds.
        let kinds = scenario.servers.chunk_by(|one, next| one.contender.kind == next.contender.kind);
        let kinds: Vec<Vec<_>> = kinds
            .map(|servers| servers.iter().map(|server| cells(server, &comparison.settings)).collect())
            .collect();
        let column = |index: usize| {
            let lines = |cells: &Vec<Vec<String>>| {
                cells.iter().map(|cells| cells[index].as_str()).collect::<Vec<_>>().join("\n")
            };
            kinds.iter().map(lines).collect::<Vec<_>>().join("\n\n")
        };
        table.add_row(iter::once(scenario.name.clone()).chain((0..columns.len()).map(column)));
    }
    // The first two have names.
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say(table);
    notes(comparison).iter().for_each(say);
}

/// A server's line.
pub fn cells(server: &ServerRecord, settings: &Settings) -> Vec<String> {
    let dash = || "-".to_owned();
    let version = server.contender.version.as_ref().map(|version| format!(" {version}"));
    let name = format!("{}{}", server.contender.name, version.unwrap_or_default());
    let Some(summary) = &server.summary else {
        let mut cells = vec![dash(); columns(settings).len()];
        cells[0] = name;
        cells[1] = if server.failure.is_some() { "failed".to_owned() } else { dash() };
        return cells;
    };
    let Summary { requests_per_second, standing, p50_us, p90_us, p99_us, p999_us, max_us, .. } = summary;
    let incomplete = if server.rounds.len() < settings.rounds as usize { " (!)" } else { "" };
    let mut cells = vec![
        format!("{name}{incomplete}"),
        grouped(*requests_per_second),
        format!("{:.2}", standing.ratio),
        standing.ratio_error.map_or_else(dash, |error| format!("{:.1}%", error * 100.0)),
        digits(*p50_us),
        digits(*p90_us),
        digits(*p99_us),
        digits(*p999_us),
        digits(*max_us),
        summary.cpu_us_per_request.map_or_else(dash, digits),
        summary.syscalls_per_request.map_or_else(dash, |calls| format!("{calls:.2}")),
        summary.resident_bytes.map_or_else(dash, size),
    ];
    let instructions = || summary.instructions_per_request.map_or_else(dash, grouped);
    cells.extend(settings.instructions.then(instructions));
    cells
}

/// What the columns are.
const MEDIANS: &str = "of the best, within each round, and the standard error of that; all else are medians of the rounds \
                       (max: of all); CPU and syscalls are for each request";

const INSTRUCTIONS: &str =
    "instructions: what the server executes for each request itself, without the kernel's";

/// What the figures do not say themselves.
pub fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = vec![match comparison.settings.rate {
        None => format!("req/s {MEDIANS}"),
        Some(rate) => format!("at {rate} requests/s, latency from when each was due; p99 {MEDIANS}"),
    }];
    if comparison.settings.instructions {
        notes.push(INSTRUCTIONS.to_owned());
    }
    notes.extend(kinds(comparison));
    for scenario in &comparison.scenarios {
        for server in &scenario.servers {
            let about = about(comparison, scenario, server);
            notes.extend(
                about.into_iter().map(|note| format!("{}, {}: {note}", scenario.name, server.contender.name)),
            );
        }
    }
    // The same reason for all is one line.
    let mut uncounted: Vec<String> = Vec::new();
    for server in comparison.scenarios.iter().flat_map(|scenario| &scenario.servers) {
        let syscalls = server.syscalls.as_ref().and_then(|syscalls| syscalls.note.as_ref());
        let instructions = server.instructions.as_ref().and_then(|instructions| instructions.note.as_ref());
        let syscalls = syscalls.map(|note| format!("syscalls are not counted: {note}"));
        let instructions = instructions.map(|note| format!("instructions are not counted: {note}"));
        let lines = syscalls.into_iter().chain(instructions);
        uncounted.extend(lines.filter(|line| !uncounted.contains(line)).collect::<Vec<_>>());
    }
    notes.extend(uncounted);
    notes.extend(
        comparison.skipped.iter().map(|skipped| format!("{} is skipped: {}", skipped.name, skipped.reason)),
    );
    notes
}

/// Who is what, if there are several kinds.
fn kinds(comparison: &Comparison) -> Option<String> {
    let contenders = || comparison.scenarios.first().into_iter().flat_map(|scenario| &scenario.servers);
    let names = |kind: Kind| {
        let names = contenders().map(|server| &server.contender).filter(|contender| contender.kind == kind);
        let names: Vec<&str> = names.map(|contender| &*contender.name).collect();
        (!names.is_empty()).then(|| format!("{kind}: {}", names.join(", ")))
    };
    let kinds: Vec<String> = Kind::ALL.into_iter().filter_map(names).collect();
    (kinds.len() > 1).then(|| kinds.join("; "))
}

fn about(comparison: &Comparison, scenario: &ScenarioRecord, server: &ServerRecord) -> Vec<String> {
    /// Less idle than this, the load may be what limits.
    const HARDLY: f64 = 0.02;
    /// So much of a rate may be luck.
    const KEPT_UP: f64 = 0.97;
    let mut notes = Vec::new();
    if let Some(failure) = &server.failure {
        notes.push(format!("failed in round {}: {failure}", server.rounds.len() + 1));
    }
    let unanswered: u64 = server.rounds.iter().map(|round| round.unanswered).sum();
    let kept_up = |summary: &Summary, rate| summary.requests_per_second >= KEPT_UP * rate as f64;
    let behind = server.summary.as_ref().zip(comparison.settings.rate);
    if unanswered > 0 {
        notes.push(format!(
            "cannot keep up with that rate: {unanswered} requests were still waiting in the end"
        ));
    } else if behind.is_some_and(|(summary, rate)| !kept_up(summary, rate)) {
        notes.push(
            "cannot keep up with that rate: its latency grows for as long as it is measured".to_owned(),
        );
    }
    // One client that waits for each answer is idle all the time, or else it is not the load that spins.
    let limited = |summary: &Summary| comparison.settings.load_spins && summary.load_idle < HARDLY;
    if server.summary.as_ref().is_some_and(limited) && scenario.scenario.connections > 1 {
        notes.push("the load was busy all the time: the server may be faster than this".to_owned());
    }
    notes
}

fn size(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}
