//! The command line.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bench::program::{Files, mistake};
use clap::Parser;

use crate::scenario::{Pace, Scenario, Wanted};
use crate::servers::{self, BuiltIn};

/// How long a round is: enough for some thousand requests.
const WINDOW: Duration = Duration::from_millis(250);
/// And for some requests on each connection.
const WINDOW_OF_A_CONNECTION: Duration = Duration::from_micros(100);

/// Compares echo servers: carhop's on each backend, those of other runtimes, and others.
///
/// Each round starts each server once, in turns, with a load of this program's own, and measures it for a
/// while. The table has the medians of the rounds, and of the ratios within each round.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Options {
    /// What the clients do: CONNECTIONSxBYTES or CONNECTIONSxBYTESxPIPELINE, such as 50x64, 1000x16k or 50x64x16;
    /// or the name of a set (see --list). May be given several times.
    #[arg(long, value_name = "SCENARIO")]
    scenario: Vec<Wanted>,

    /// Requests a second, in all, whether or not the server keeps up; latency then counts from when a request
    /// was due. Without it, each answer brings the next request.
    #[arg(long, value_name = "REQUESTS")]
    rate: Option<NonZeroU64>,

    /// How long to measure a server in each round; it warms up for a quarter of that before. Without it, 0.25, and
    /// 0.0001 more for each connection.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    secs: Option<Duration>,

    /// How many rounds: 16, or 8 with --quick. Many short ones say more than few long ones, since each server is
    /// compared with the others of the same round, and a shared machine changes its speed within seconds.
    #[arg(long)]
    rounds: Option<NonZeroU32>,

    /// Another server: a shell command, in which {port} stands for the port of 127.0.0.1 to listen on. May be
    /// given several times.
    #[arg(long, value_name = "NAME='COMMAND {port}'")]
    pub server: Vec<Named>,

    /// Only this server. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    /// Also servers that spin before they sleep, carhop's for 50 us. They keep a core busy to answer sooner.
    #[arg(long)]
    pub spin: bool,

    /// Checks each byte that comes back. It costs the load time, so figures are not those of a run without.
    #[arg(long)]
    pub verify: bool,

    /// Also counts the instructions of each built-in server for a request, by valgrind, in a few seconds. Without
    /// --scenario, clients are 50, and requests have 64 bytes.
    #[arg(long)]
    pub instructions: bool,

    #[command(flatten)]
    pub files: Files,

    /// Draws latency and throughput of each scenario.
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,

    /// Under a minute for ours, two minutes with all others: --scenario quick --rounds 8, as far as they are not given.
    #[arg(long)]
    quick: bool,

    /// How long a server may take to listen, or to answer.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub patience: Duration,

    /// Stays in the machine's network. Root gets a network namespace of its own otherwise.
    #[arg(long)]
    pub no_netns: bool,

    /// Lists servers and sets of scenarios.
    #[arg(long)]
    pub list: bool,

    #[command(subcommand)]
    pub role: Option<Role>,
}

/// What else the program can be.
#[derive(clap::Subcommand)]
pub enum Role {
    /// Be one of the servers, until killed. It says when it listens.
    Serve {
        #[arg(value_name = "NAME", value_parser = servers::parser())]
        server: &'static BuiltIn,

        /// The port of 127.0.0.1 to listen on; 0 takes a free one.
        port: u16,
    },
}

/// A server of the user's.
#[derive(Clone)]
pub struct Named {
    pub name: String,
    pub command: String,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, command)) if !name.trim().is_empty() && command.contains("{port}") => {
                Ok(Self { name: name.trim().to_owned(), command: command.to_owned() })
            }
            _ => Err("it is not NAME='COMMAND {port}', with {port} where the port belongs".to_owned()),
        }
    }
}

impl Options {
    /// In order, each once.
    pub fn scenarios(&self) -> Vec<Scenario> {
        let name = match (self.quick, self.instructions) {
            (true, _) => "quick",
            (false, true) => "fifty",
            (false, false) => "default",
        };
        let chosen = if self.scenario.is_empty() { &[Wanted::set(name)][..] } else { &self.scenario };
        let mut scenarios: Vec<Scenario> = Vec::new();
        for scenario in chosen.iter().flat_map(|wanted| &wanted.0) {
            if !scenarios.contains(scenario) {
                scenarios.push(*scenario);
            }
        }
        if self.rate.is_some() && scenarios.iter().any(|scenario| scenario.pipeline > 1) {
            mistake::<Self>("--rate sends what is due: there is no pipeline in its scenarios");
        }
        scenarios
    }

    pub fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Closed, |per_second| Pace::Fixed { per_second })
    }

    pub fn window(&self, scenario: Scenario) -> Duration {
        let connections = u32::try_from(scenario.connections).unwrap_or(u32::MAX);
        self.secs.unwrap_or_else(|| WINDOW + connections * WINDOW_OF_A_CONNECTION)
    }

    /// How long each server is measured, in words.
    pub fn about_rounds(&self) -> String {
        let length = self.secs.map_or_else(
            || {
                let (all, each) = (WINDOW.as_secs_f64(), WINDOW_OF_A_CONNECTION.as_secs_f64());
                format!("{all} s, and {each} s more for each connection,")
            },
            |secs| format!("{} s", secs.as_secs_f64()),
        );
        format!("{} rounds of {length} for each server, interleaved", self.rounds())
    }

    pub fn rounds(&self) -> u32 {
        self.rounds.map_or(if self.quick { 8 } else { 16 }, NonZeroU32::get)
    }
}

/// More than nothing, and not so much that nobody would live to see the end.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "it is not a number of seconds, up to a day".to_owned())
}
