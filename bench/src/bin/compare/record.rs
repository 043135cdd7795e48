//! What was measured, as JSON has it.

use bench::program::{self, Versions, median};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::environment::Environment;
use crate::instructions::Instructions;
use crate::load::{Plan, Window};
use crate::options::Options;
use crate::scenario::{Pace, Scenario};
use crate::servers::{Contender, Skipped};
use crate::standing::{Standing, standings};
use crate::syscalls::Syscalls;

/// Everything.
#[derive(Serialize)]
pub struct Comparison {
    /// When it began, in UTC.
    pub date: String,
    pub versions: Versions,
    pub environment: Environment,
    pub settings: Settings,
    pub skipped: Vec<Skipped>,
    pub scenarios: Vec<ScenarioRecord>,
}

#[derive(Serialize)]
pub struct Settings {
    pub rounds: u32,
    /// How many there are, how long, and in which order.
    #[serde(skip)]
    pub about_rounds: String,
    /// Requests a second; `None` if answers bring the next requests.
    pub rate: Option<u64>,
    pub verify: bool,
    /// Whether instructions are counted.
    pub instructions: bool,
    /// Whether the load asks for events again and again instead of sleeping.
    pub load_spins: bool,
}

/// One scenario, with all servers.
#[derive(Serialize)]
pub struct ScenarioRecord {
    pub name: String,
    pub scenario: Scenario,
    /// How long a round is.
    pub seconds: f64,
    pub warm_up_seconds: f64,
    pub servers: Vec<ServerRecord>,
}

/// One server in one scenario.
#[derive(Serialize)]
pub struct ServerRecord {
    #[serde(flatten)]
    pub contender: Contender,
    /// `None` if no round came to its end.
    pub summary: Option<Summary>,
    pub rounds: Vec<Round>,
    pub syscalls: Option<Syscalls>,
    pub instructions: Option<Instructions>,
    /// Why there are not more rounds.
    pub failure: Option<String>,
    /// Percentiles of all rounds together.
    pub distribution: Vec<Percentile>,
    #[serde(skip)]
    pub latency: Histogram<u64>,
}

/// One server in one round.
#[derive(Clone, Serialize)]
pub struct Round {
    pub requests: u64,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    pub cpu_us_per_request: Option<f64>,
    pub resident_bytes: Option<u64>,
    /// Requests without an answer in the end, at a rate that was too much. The percentiles are too low then.
    pub unanswered: u64,
    /// For how much of the time the server ran, as a fraction of one core. What the kernel does for it in
    /// interrupts is not in it on every machine.
    pub server_busy: Option<f64>,
    /// For how much of the time the load had nothing to do.
    pub load_idle: f64,
}

/// The medians of the rounds, each column for itself; of `max_us` the greatest.
#[derive(Clone, Serialize)]
pub struct Summary {
    pub requests_per_second: f64,
    /// By requests a second; at a fixed rate, by p99.
    #[serde(flatten)]
    pub standing: Standing,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    pub cpu_us_per_request: Option<f64>,
    pub syscalls_per_request: Option<f64>,
    pub instructions_per_request: Option<f64>,
    pub resident_bytes: Option<f64>,
    pub load_idle: f64,
}

/// A point of the latency distribution.
#[derive(Clone, Copy, Serialize)]
pub struct Percentile {
    pub percentile: f64,
    pub latency_us: f64,
}

impl Comparison {
    pub fn new(options: &Options, environment: Environment, skipped: Vec<Skipped>) -> Self {
        let settings = Settings {
            rounds: options.rounds(),
            about_rounds: options.about_rounds(),
            rate: match options.pace() {
                Pace::Closed => None,
                Pace::Fixed { per_second } => Some(per_second.get()),
            },
            verify: options.verify,
            instructions: options.instructions,
            load_spins: environment.cores.apart(),
        };
        let (date, versions) = (program::now(), Versions::new());
        Self { date, versions, environment, settings, skipped, scenarios: Vec::new() }
    }

    pub fn anything_failed(&self) -> bool {
        self.scenarios.iter().flat_map(|scenario| &scenario.servers).any(|server| server.failure.is_some())
    }
}

impl ScenarioRecord {
    pub fn new(plan: &Plan<'_>, contenders: &[Contender]) -> Self {
        Self {
            name: plan.scenario.to_string(),
            scenario: plan.scenario,
            seconds: plan.window.as_secs_f64(),
            warm_up_seconds: plan.warm_up().as_secs_f64(),
            servers: contenders.iter().map(ServerRecord::new).collect(),
        }
    }

    /// Makes the summaries, when there will be no more rounds.
    pub fn summarise(&mut self, pace: Pace) {
        self.servers.iter_mut().for_each(ServerRecord::summarise);
        let quality = |round: &Round| match pace {
            Pace::Closed => round.requests_per_second,
            Pace::Fixed { .. } => 1.0 / round.p99_us,
        };
        let qualities = |server: &ServerRecord| server.rounds.iter().map(quality).collect();
        let standings = standings(&self.servers.iter().map(qualities).collect::<Vec<_>>());
        for (server, standing) in self.servers.iter_mut().zip(standings) {
            if let Some(summary) = &mut server.summary {
                summary.standing = standing;
            }
        }
    }
}

impl ServerRecord {
    fn new(contender: &Contender) -> Self {
        Self {
            contender: contender.clone(),
            summary: None,
            rounds: Vec::new(),
            syscalls: None,
            instructions: None,
            failure: None,
            distribution: Vec::new(),
            latency: Histogram::new(3).expect("three digits are allowed"),
        }
    }

    /// Adds a round.
    pub fn add(&mut self, round: Round, latency: &Histogram<u64>) {
        self.rounds.push(round);
        self.latency += latency;
    }

    fn summarise(&mut self) {
        if self.rounds.is_empty() {
            return;
        }
        let column =
            |of: &dyn Fn(&Round) -> Option<f64>| self.rounds.iter().filter_map(of).collect::<Vec<f64>>();
        let median_of = |of: fn(&Round) -> f64| median(column(&|round| Some(of(round)))).unwrap_or(0.0);
        self.summary = Some(Summary {
            requests_per_second: median_of(|round| round.requests_per_second),
            standing: Standing::default(),
            p50_us: median_of(|round| round.p50_us),
            p90_us: median_of(|round| round.p90_us),
            p99_us: median_of(|round| round.p99_us),
            p999_us: median_of(|round| round.p999_us),
            max_us: column(&|round| Some(round.max_us)).into_iter().fold(0.0, f64::max),
            cpu_us_per_request: median(column(&|round| round.cpu_us_per_request)),
            syscalls_per_request: self.syscalls.as_ref().and_then(|syscalls| syscalls.per_request),
            instructions_per_request: self.instructions.as_ref().and_then(|counted| counted.per_request),
            resident_bytes: median(column(&|round| round.resident_bytes.map(|bytes| bytes as f64))),
            load_idle: median_of(|round| round.load_idle),
        });
        self.distribution = distribution(&self.latency);
    }
}

impl Round {
    /// `cpu_ns` is the server's CPU time in the window.
    pub fn new(window: &Window, cpu_ns: Option<u64>, resident_bytes: Option<u64>) -> Self {
        let (answers, span_ns) = (window.answers as f64, window.span_ns as f64);
        let latency = |percentile| us(window.latency.value_at_percentile(percentile));
        Self {
            requests: window.answers,
            seconds: span_ns / 1e9,
            requests_per_second: answers / span_ns * 1e9,
            p50_us: latency(50.0),
            p90_us: latency(90.0),
            p99_us: latency(99.0),
            p999_us: latency(99.9),
            max_us: us(window.latency.max()),
            cpu_us_per_request: cpu_ns.map(|cpu_ns| us(cpu_ns) / answers),
            resident_bytes,
            unanswered: window.unanswered,
            server_busy: cpu_ns.map(|cpu_ns| cpu_ns as f64 / span_ns),
            load_idle: window.idle_ns as f64 / span_ns,
        }
    }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}

/// 0 to 90%, then to 99%, and so on in equal steps, as far as there are requests to speak of.
fn distribution(latency: &Histogram<u64>) -> Vec<Percentile> {
    const STEPS: i32 = 12;
    const NINES: i32 = 6;
    let quantiles = (0..=NINES * STEPS).map(|step| 1.0 - 10_f64.powf(f64::from(-step) / f64::from(STEPS)));
    let enough = quantiles.take_while(|quantile| (1.0 - quantile) * latency.len() as f64 >= 1.0);
    let point = |quantile| Percentile {
        percentile: quantile * 100.0,
        latency_us: us(latency.value_at_quantile(quantile)),
    };
    enough.map(point).collect()
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::distribution;

    #[test]
    fn a_distribution_ends_where_requests_do() {
        let mut latency = Histogram::new(3).unwrap();
        for ns in 1..=1000 {
            latency.record(ns * 1000).unwrap();
        }
        let points = distribution(&latency);
        let last = points.last().unwrap();
        assert!((99.8..=99.9001).contains(&last.percentile), "{}", last.percentile);
        assert!(points.is_sorted_by(|one, other| one.latency_us <= other.latency_us));
    }
}
