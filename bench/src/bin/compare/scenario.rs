//! What the clients do: how many there are, how much they send at once, how often.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::Serialize;

/// Connections x bytes of a request x requests on their way at once on each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scenario {
    pub connections: usize,
    pub size: usize,
    pub pipeline: usize,
}

/// Names for what is often wanted.
pub const SETS: &[(&str, &[Scenario], &str)] = &[
    ("default", &[ONE, FIFTY, LARGE, MANY], "one, fifty, large and many"),
    ("quick", &[ONE, FIFTY], "one and fifty"),
    ("one", &[ONE], "the way of one request: the rest of the time everyone sleeps"),
    ("fifty", &[FIFTY], "a busy server"),
    ("pipeline", &[PIPELINE], "as fifty, but clients do not wait for each answer"),
    ("large", &[LARGE], "many bytes for each system call"),
    ("many", &[MANY], "more connections than any cache holds"),
];

const ONE: Scenario = Scenario { connections: 1, size: 64, pipeline: 1 };
const FIFTY: Scenario = Scenario { connections: 50, size: 64, pipeline: 1 };
const PIPELINE: Scenario = Scenario { connections: 50, size: 64, pipeline: 16 };
const LARGE: Scenario = Scenario { connections: 1000, size: 16 * 1024, pipeline: 1 };
const MANY: Scenario = Scenario { connections: 10_000, size: 64, pipeline: 1 };

/// When the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When an answer has come (closed loop): as many requests as the server can take. A server that stalls is
    /// asked less, so the latencies say how long a request took, but not how long one would have waited.
    Closed,
    /// When it is due (open loop): so many a second in all, whatever has become of those before.
    /// Latencies count from when a request was due, so they have the waiting in them.
    Fixed { per_second: NonZeroU64 },
}

/// What the user writes: a set's name, or a scenario.
#[derive(Clone, Debug)]
pub struct Wanted(pub Vec<Scenario>);

impl Wanted {
    /// The set of this name, which exists.
    pub fn set(name: &str) -> Self {
        name.parse().expect("one of the names above")
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, scenarios, _)) = SETS.iter().find(|(name, ..)| *name == text) {
            return Ok(Self(scenarios.to_vec()));
        }
        scenario(text).map(|scenario| Self(vec![scenario])).ok_or_else(|| {
            let names: Vec<&str> = SETS.iter().map(|(name, ..)| *name).collect();
            format!(
                "it is neither CONNECTIONSxBYTES[xPIPELINE], such as 50x64, nor one of {}",
                names.join(", ")
            )
        })
    }
}

/// `50x64`, `50x64x4` or `1000x16k`.
fn scenario(text: &str) -> Option<Scenario> {
    /// So much for one request, and for all at once: beyond that, it is the load that is measured.
    const LIMIT: usize = 1 << 30;
    let mut parts = text.split('x');
    let connections = number(parts.next()?)?;
    let size = number(parts.next()?)?;
    let pipeline = parts.next().map_or(Some(1), number)?;
    let all = connections.checked_mul(size)?.checked_mul(pipeline)?;
    (parts.next().is_none() && all <= LIMIT).then_some(Scenario { connections, size, pipeline })
}

/// At least 1; `k` stands for 1024.
fn number(text: &str) -> Option<usize> {
    let (digits, unit) = text.strip_suffix('k').map_or((text, 1), |digits| (digits, 1024));
    // `parse` would take a sign.
    let number: usize = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    number.checked_mul(unit).filter(|&number| number > 0)
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.connections, self.size)?;
        if self.pipeline > 1 { write!(f, "x{}", self.pipeline) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{SETS, Scenario, Wanted, scenario};

    #[test]
    fn a_scenario_is_two_or_three_numbers() {
        let fifty = |pipeline| Scenario { connections: 50, size: 2048, pipeline };
        assert_eq!(scenario("50x2048"), Some(fifty(1)));
        assert_eq!(scenario("50x2kx4"), Some(fifty(4)));
        for bad in [
            "",
            "x",
            "50",
            "50x",
            "x64",
            "0x64",
            "50x0",
            "50x64x0",
            "50x64x4x2",
            "-1x64",
            "+1x64",
            "50x64k64",
        ] {
            assert_eq!(scenario(bad), None, "{bad}");
        }
        assert_eq!(scenario("99999999999999999999x1"), None);
        assert_eq!(scenario("1000000x1000000"), None);
    }

    #[test]
    fn sets_have_names_and_scenarios_print_as_they_are_read() {
        for (name, scenarios, _) in SETS {
            assert_eq!(&name.parse::<Wanted>().unwrap().0, scenarios);
            for one in *scenarios {
                assert_eq!(scenario(&one.to_string()), Some(*one));
            }
        }
    }
}
