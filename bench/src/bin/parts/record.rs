//! What was measured, as JSON has it.

use bench::parts::Part;
use bench::program::{self, Machine, Versions, median};
use serde::Serialize;

use crate::options::Options;
use crate::runtimes::{Runtime, Runtimes, Skipped};

/// Everything.
#[derive(Serialize)]
pub struct Record {
    /// When it began, in UTC.
    pub date: String,
    pub versions: Versions,
    pub machine: Machine,
    pub settings: Settings,
    pub runtimes: Vec<Runtime>,
    pub skipped: Vec<Skipped>,
    pub parts: Vec<PartRecord>,
}

#[derive(Serialize)]
pub struct Settings {
    pub rounds: u32,
    /// How long a runtime does one thing in each round.
    pub millis: f64,
}

/// One part, of all runtimes.
#[derive(Serialize)]
pub struct PartRecord {
    pub name: &'static str,
    /// Of all figures but the ratios.
    pub unit: &'static str,
    /// The peer with the least median.
    pub best_peer: Option<&'static str>,
    pub results: Vec<Outcome>,
}

/// One part of one runtime.
#[derive(Serialize)]
pub struct Outcome {
    pub runtime: &'static str,
    #[serde(skip)]
    is_ours: bool,
    /// For one operation. `None` if the runtime has nothing of the kind.
    pub median: Option<f64>,
    /// To the best peer's median: below 1 it is faster.
    pub ratio: Option<f64>,
    pub rounds: Vec<f64>,
}

impl Record {
    pub fn new(options: &Options, runtimes: Runtimes) -> Self {
        let Runtimes { chosen, skipped } = runtimes;
        let settings = Settings { rounds: options.rounds.get(), millis: options.millis.as_secs_f64() * 1e3 };
        Self {
            date: program::now(),
            versions: Versions::new(),
            machine: Machine::look(),
            settings,
            runtimes: chosen,
            skipped,
            parts: Vec::new(),
        }
    }
}

impl PartRecord {
    pub fn new(part: &Part, runtimes: &[Runtime]) -> Self {
        let outcome = |&Runtime { name, is_ours, .. }: &Runtime| Outcome {
            runtime: name,
            is_ours,
            median: None,
            ratio: None,
            rounds: Vec::new(),
        };
        let results = runtimes.iter().map(outcome).collect();
        Self { name: part.name, unit: part.unit.name(), best_peer: None, results }
    }

    /// Makes the medians and ratios, when there will be no more rounds.
    pub fn summarise(&mut self) {
        for outcome in &mut self.results {
            outcome.median = median(outcome.rounds.clone());
        }
        let peers = self.results.iter().filter(|outcome| !outcome.is_ours);
        let medians = peers.filter_map(|outcome| Some((outcome.median?, outcome.runtime)));
        let Some((least, best)) = medians.min_by(|one, other| one.0.total_cmp(&other.0)) else { return };
        self.best_peer = Some(best);
        for outcome in &mut self.results {
            outcome.ratio = outcome.median.map(|median| median / least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, PartRecord};

    #[test]
    fn ratios_are_to_the_best_peer() {
        let outcome = |runtime, is_ours, rounds: &[f64]| {
            let rounds = rounds.to_vec();
            Outcome { runtime, is_ours, median: None, ratio: None, rounds }
        };
        let results = vec![
            outcome("ours", true, &[1.0, 9.0, 2.0]),
            outcome("slow", false, &[8.0, 8.0, 8.0]),
            outcome("fast", false, &[4.0, 4.0, 1.0]),
            outcome("without", false, &[]),
        ];
        let mut part = PartRecord { name: "", unit: "ns", best_peer: None, results };
        part.summarise();
        assert_eq!(part.best_peer, Some("fast"));
        let ratios: Vec<_> = part.results.iter().map(|outcome| (outcome.median, outcome.ratio)).collect();
        let some = |median, ratio| (Some(median), Some(ratio));
        assert_eq!(ratios, [some(2.0, 0.5), some(8.0, 2.0), some(4.0, 1.0), (None, None)]);
    }
}
