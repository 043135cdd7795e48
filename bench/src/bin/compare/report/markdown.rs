//! The table as Markdown, for a page that others shall read.

use std::iter;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, LineStyle, Table};

use super::table::{COLUMNS, cells, notes};
use crate::record::{Comparison, ScenarioRecord, Settings};
use crate::servers::Kind;

/// All that is to be said: machine and settings, a table for each scenario, and how to read them.
pub fn markdown(comparison: &Comparison) -> String {
    let mut text = list(&about(comparison));
    for scenario in &comparison.scenarios {
        text += &format!("\n### {}\n\n{}\n", scenario.name, table(scenario, &comparison.settings));
    }
    text + "\n" + &list(&notes(comparison))
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// With what and how it was measured.
fn about(comparison: &Comparison) -> Vec<String> {
    let Comparison { date, versions, environment, settings, .. } = comparison;
    let mut lines = vec![date.clone()];
    lines.extend(environment.to_string().lines().map(str::to_owned));
    let optimized = if versions.optimized { "" } else { ", without optimisation: these figures say nothing" };
    lines.push(format!("carhop {}, built by {}{optimized}", versions.carhop, versions.rustc));
    let Settings { rounds, seconds, warm_up_seconds, .. } = settings;
    let verify = if settings.verify { "; the load checks each byte, which costs it time" } else { "" };
    lines.push(format!(
        "{rounds} rounds of {seconds} s for each server, after {warm_up_seconds} s of warming up, interleaved{verify}"
    ));
    lines
}

fn table(scenario: &ScenarioRecord, settings: &Settings) -> Table {
    let mut table = Table::new();
    // The line below the header is a row of ours, because it also says that numbers go to the right.
    table.load_style(ASCII_MARKDOWN.header_separator(LineStyle::none())).set_header(COLUMNS);
    table.add_row(iter::once("---").chain(iter::repeat_n("---:", COLUMNS.len() - 1)));
    for server in &scenario.servers {
        let mut cells = cells(server, settings).map(|cell| cell.replace('|', "\\|"));
        if server.contender.kind == Kind::Ours {
            cells[0] = format!("**{}**", cells[0]);
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
