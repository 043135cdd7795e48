//! What the user gets: a table, and Markdown on request.

use bench::parts;
use bench::program::{digits, markdown as md, say};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, LineStyle, Table};

use crate::record::{PartRecord, Record, Settings};
use crate::runtimes::{self, Runtime};

/// `--list`.
pub fn list() {
    say("parts:");
    for part in parts::all() {
        say(format_args!("  {:<40} {}", part.name, part.unit.name()));
    }
    say("\nruntimes:");
    let all = runtimes::all();
    for runtime in &all {
        let reason = (runtime.start)().err().map(|reason| format!("  (not here: {reason})"));
        say(format_args!("  {}{}", runtime.name, reason.unwrap_or_default()));
    }
    if all.iter().all(|runtime| runtime.is_ours) {
        say("  (others are there if it is built with `--features peers`)");
    }
}

/// With what and how it was measured.
pub fn heading(record: &Record) -> Vec<String> {
    let Record { date, versions, machine, settings: Settings { rounds, millis }, .. } = record;
    let names = record.runtimes.iter().map(|Runtime { name, version, .. }| match version {
        Some(version) => format!("{name} {version}"),
        None => (*name).to_owned(),
    });
    vec![
        date.clone(),
        machine.to_string(),
        format!("{}, {versions}", names.collect::<Vec<_>>().join(", ")),
        format!("{rounds} rounds of {millis} ms for each runtime, interleaved"),
    ]
}

/// Prints the table, and below it what one has to know to read it.
pub fn table(record: &Record) {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none())).set_header(columns(record));
    for part in &record.parts {
        table.add_row(cells(part, record));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say(table);
    notes(record).iter().for_each(say);
}

/// The same as Markdown.
pub fn markdown(record: &Record) -> String {
    let rows = record.parts.iter().map(|part| cells(part, record));
    let table = md::table(&columns(record), rows);
    format!("{}\n{table}\n\n{}", md::list(&heading(record)), md::list(&notes(record)))
}

/// After part and unit, each runtime has a column, and if there are peers, ours have one more.
fn columns(record: &Record) -> Vec<&'static str> {
    let mut columns = vec!["part", ""];
    for runtime in &record.runtimes {
        columns.push(runtime.name);
        if runtime.is_ours && has_peers(record) {
            columns.push("ratio");
        }
    }
    columns
}

fn cells(part: &PartRecord, record: &Record) -> Vec<String> {
    let dash = || "-".to_owned();
    let mut cells = vec![part.name.to_owned(), part.unit.to_owned()];
    for (outcome, runtime) in part.results.iter().zip(&record.runtimes) {
        cells.push(outcome.median.map_or_else(dash, digits));
        if runtime.is_ours && has_peers(record) {
            cells.push(outcome.ratio.map_or_else(dash, |ratio| format!("{ratio:.2}")));
        }
    }
    cells
}

fn has_peers(record: &Record) -> bool {
    record.runtimes.iter().any(|runtime| !runtime.is_ours)
}

/// What the figures do not say themselves.
fn notes(record: &Record) -> Vec<String> {
    let mut notes = vec!["medians of the rounds, for one operation; -: has nothing of the kind".to_owned()];
    if has_peers(record) {
        notes.push("ratio: to the best of the others; below 1, ours takes less".to_owned());
    }
    notes.extend(
        record.skipped.iter().map(|skipped| format!("{} is skipped: {}", skipped.name, skipped.reason)),
    );
    notes
}
