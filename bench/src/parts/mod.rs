//! The parts of a runtime, one by one, of ours and with the feature `peers` of others: what the benchmarks, the
//! program `parts` and the instruction counts have in common.

mod echo;
#[cfg(feature = "peers")]
mod peers;
mod start;
mod subject;
mod tasks;
mod threads;
mod timers;

use std::io;
use std::time::Duration;

/// Something that every program has its runtime do.
pub struct Part {
    /// What it is called in tables, and by who wants only this one.
    pub name: &'static str,
    /// How many such operations there are in an iteration.
    pub batch: u64,
    /// How many bytes an iteration carries, if it is about bytes.
    pub bytes: Option<u64>,
    /// In what to say how long an operation takes.
    pub unit: Unit,
    /// Whether an iteration takes a second, so that there cannot be many.
    pub takes_a_second: bool,
    /// Who does it, in the order of the tables. Who is missing has nothing of the kind.
    pub contenders: &'static [Contender],
}

/// A part of one runtime.
pub struct Contender {
    /// The name of the runtime.
    pub name: &'static str,
    /// Whether the runtime is ours.
    pub is_ours: bool,
    /// Starts the runtime and stops it. An error if the machine refuses it.
    pub start: fn() -> io::Result<()>,
    /// Starts the runtime, and does what is done only once.
    pub prepare: fn(Size) -> io::Result<Measured>,
}

/// What is to be measured: called with a number of iterations, returns how long they took.
pub type Measured = Box<dyn FnMut(u64) -> Duration>;

/// How much work to do, where the amount matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As much as the names of the parts say.
    Full,
    /// As little as shows that nothing is broken.
    Small,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
}

/// All parts, in the order of the tables.
pub fn all() -> impl Iterator<Item = &'static Part> + Clone {
    [tasks::PARTS, timers::PARTS, threads::PARTS, echo::PARTS, start::PARTS].into_iter().flatten()
}

impl Part {
    /// One operation in an iteration, and nothing special about it.
    const fn new(name: &'static str, contenders: &'static [Contender]) -> Self {
        Self { name, batch: 1, bytes: None, unit: Unit::Ns, takes_a_second: false, contenders }
    }
}

impl Unit {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Ns => "ns",
            Unit::Us => "µs",
            Unit::Ms => "ms",
        }
    }

    /// How many nanoseconds it has.
    pub fn ns(self) -> f64 {
        match self {
            Unit::Ns => 1.0,
            Unit::Us => 1e3,
            Unit::Ms => 1e6,
        }
    }
}

/// The contenders of a part: all runtimes, or those that are named, ours first.
///
/// `run NAME` is a function that gets the runtime and a number of iterations; `prepare NAME` one that starts the
/// runtime, because it has more to do before.
macro_rules! contenders {
    ($how:ident $function:ident) => {
        contenders!(
            $how $function,
            [OnEpoll, OnUring],
            [Tokio, Monoio, Compio, Glommio, TokioUring, Smol]
        )
    };
    ($how:ident $function:ident, [$($ours:ident),*], [$($peer:ident),*]) => {
        &[
            $(contenders!(@ $how $function, $crate::parts::subject::$ours, true),)*
            $(
                #[cfg(feature = "peers")]
                contenders!(@ $how $function, $crate::parts::peers::$peer, false),
            )*
        ]
    };
    (@ $how:ident $function:ident, $subject:path, $is_ours:literal) => {
        $crate::parts::Contender {
            name: <$subject as $crate::parts::subject::Subject>::NAME,
            is_ours: $is_ours,
            start: || <$subject as $crate::parts::subject::Subject>::start().map(drop),
            prepare: contenders!(@ $how $function::<$subject>),
        }
    };
    (@ run $function:expr) => {
        |_| $crate::parts::subject::measured($function)
    };
    (@ prepare $function:expr) => {
        $function
    };
}
use contenders;
