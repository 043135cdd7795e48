//! Two plots of a scenario: how latency is distributed, and how many requests a second there were.

mod latency;
mod look;
mod throughput;

use std::error::Error;
use std::path::Path;

use look::Look;
use plotters::style::{FontDesc, FontStyle};

use crate::record::{ScenarioRecord, ServerRecord, Summary};
use crate::servers::Kind;

const FONT: &str = "sans-serif";
// The backend makes them a fifth smaller.
const TITLE_SIZE: u32 = 22;
const TEXT_SIZE: u32 = 16;

/// Draws `SCENARIO-latency.svg` and `SCENARIO-throughput.svg`, if there is anything to draw.
pub fn draw(directory: &Path, scenario: &ScenarioRecord, rate: Option<u64>) -> Result<(), Box<dyn Error>> {
    // Looks are dealt out before the failed ones are left out, so that a server has the same one in all plots.
    let looks = look::of(scenario.servers.iter().map(|server| server.contender.kind));
    let measured: Vec<Subject<'_>> = scenario
        .servers
        .iter()
        .zip(looks)
        .filter_map(|(server, look)| Some(Subject { server, summary: server.summary.as_ref()?, look }))
        .collect();
    if measured.is_empty() {
        return Ok(());
    }
    let at = rate.map_or_else(String::new, |rate| format!(" at {rate} requests a second"));
    let title = format!("{}{at}", scenario.name);
    latency::draw(&directory.join(format!("{}-latency.svg", scenario.name)), &title, &measured)?;
    throughput::draw(&directory.join(format!("{}-throughput.svg", scenario.name)), &title, &measured)
}

/// A server that is drawn.
struct Subject<'a> {
    server: &'a ServerRecord,
    summary: &'a Summary,
    look: Look,
}

impl Subject<'_> {
    fn name(&self) -> &str {
        &self.server.contender.name
    }

    fn kind(&self) -> Kind {
        self.server.contender.kind
    }

    /// What its name is written in: ours are bold.
    fn font(&self) -> FontDesc<'static> {
        let style = if self.kind() == Kind::Ours { FontStyle::Bold } else { FontStyle::Normal };
        FontDesc::from((FONT, TEXT_SIZE)).style(style)
    }
}

/// Room for the longest name, in pixels. The backend does not know how wide letters are: this is generous.
fn width_of_names(measured: &[Subject<'_>]) -> i32 {
    const LETTER: usize = 9;
    let letters = measured.iter().map(|subject| subject.name().chars().count()).max();
    (letters.unwrap_or(0) * LETTER) as i32
}
