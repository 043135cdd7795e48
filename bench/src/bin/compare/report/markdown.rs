//! The table as Markdown, for a page that others shall read.

use bench::program::markdown::{self, list};

use super::table::{cells, columns, notes};
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

/// With what and how it was measured.
fn about(comparison: &Comparison) -> Vec<String> {
    let Comparison { date, versions, environment, settings, .. } = comparison;
    let mut lines = vec![date.clone()];
    lines.extend(environment.to_string().lines().map(str::to_owned));
    lines.push(format!("carhop {}, {versions}", versions.carhop));
    let verify = if settings.verify { "; the load checks each byte, which costs it time" } else { "" };
    lines.push(format!("{}, after a quarter of that of warming up{verify}", settings.about_rounds));
    lines
}

fn table(scenario: &ScenarioRecord, settings: &Settings) -> String {
    let rows = scenario.servers.iter().map(|server| {
        let mut cells = cells(server, settings);
        if server.contender.kind == Kind::Ours {
            cells[0] = format!("**{}**", cells[0]);
        }
        cells
    });
    markdown::table(&columns(settings), rows)
}
