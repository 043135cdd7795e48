//! The measurements: in each round each runtime once (A B A B).

use std::time::Duration;

use bench::parts::{Measured, Part};
use bench::program::{Failure, Interrupt, Progress};

use crate::options::Options;
use crate::record::{PartRecord, Record};

/// Measures `parts`, one after the other. What there is when the user does not want to go on is in the record.
pub fn run(
    options: &Options,
    parts: &[&'static Part],
    interrupt: &Interrupt,
    record: &mut Record,
) -> Result<(), Failure> {
    let rounds: u32 = parts.iter().map(|part| options.rounds_of(part)).sum();
    let progress = Progress::new(rounds as usize);
    for part in parts {
        let mut results = PartRecord::new(part, &record.runtimes);
        let result = measure(options, part, interrupt, &progress, &mut results);
        results.summarise();
        record.parts.push(results);
        result?;
    }
    Ok(())
}

fn measure(
    options: &Options,
    part: &'static Part,
    interrupt: &Interrupt,
    progress: &Progress,
    results: &mut PartRecord,
) -> Result<(), Failure> {
    let mut contestants = Vec::new();
    for (place, result) in results.results.iter().enumerate() {
        let Some(contender) = part.contenders.iter().find(|it| it.name == result.runtime) else { continue };
        interrupt.check()?;
        progress.next(format_args!("{}: {} gets ready", part.name, contender.name));
        let measured = (contender.prepare)(options.size()).map_err(|error| {
            Failure::from(error).in_context(&format!("{}: {}", part.name, contender.name))
        })?;
        contestants.push((place, Contestant::new(part, measured, options.millis)));
    }
    for round in 1..=options.rounds_of(part) {
        progress.next(format_args!("{}, round {round}", part.name));
        for (place, contestant) in &mut contestants {
            interrupt.check()?;
            results.results[*place].rounds.push(figure(part, contestant.run(options.millis)));
        }
        progress.done(1);
    }
    Ok(())
}

/// What to say of a part whose iterations take so long each.
fn figure(part: &Part, each_ns: f64) -> f64 {
    each_ns / part.batch as f64 / part.unit.ns()
}

/// A runtime that is ready.
struct Contestant {
    measured: Measured,
    /// How many iterations fill the span that is wanted, or as many as there can be.
    iters: u64,
    /// Whether it stays with that number.
    is_fixed: bool,
}

impl Contestant {
    /// Warms up, with more and more iterations, until they fill the span.
    fn new(part: &Part, mut measured: Measured, span: Duration) -> Self {
        let mut iters = 1;
        while !part.takes_a_second && measured(iters) < span / 2 {
            iters *= 2;
        }
        Self { measured, iters, is_fixed: part.takes_a_second }
    }

    /// Nanoseconds of an iteration.
    fn run(&mut self, span: Duration) -> f64 {
        let time = (self.measured)(self.iters);
        let each_ns = (time.as_nanos() as f64 / self.iters as f64).max(f64::MIN_POSITIVE);
        if !self.is_fixed {
            self.iters = ((span.as_nanos() as f64 / each_ns) as u64).max(1);
        }
        each_ns
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bench::parts::{Part, Unit};

    use super::{Contestant, figure};

    const PART: Part =
        Part { name: "", batch: 1, bytes: None, unit: Unit::Ns, takes_a_second: false, contenders: &[] };

    #[test]
    fn figures_are_for_one_operation() {
        assert_eq!(figure(&PART, 3000.0), 3000.0);
        assert_eq!(figure(&Part { batch: 1000, ..PART }, 3000.0), 3.0);
        assert_eq!(figure(&Part { unit: Unit::Us, ..PART }, 3000.0), 3.0);
    }

    #[test]
    fn iterations_fill_the_span() {
        let (ns, span) = (Duration::from_nanos, Duration::from_micros(1));
        let mut contestant = Contestant::new(&PART, Box::new(move |iters| ns(10 * iters)), span);
        assert_eq!((contestant.run(span), contestant.iters), (10.0, 100));
        let mut contestant = Contestant::new(&PART, Box::new(move |iters| ns(5000 * iters)), span);
        assert_eq!((contestant.run(span), contestant.iters), (5000.0, 1));
        let patient = Part { takes_a_second: true, ..PART };
        let mut contestant = Contestant::new(&patient, Box::new(move |iters| ns(10 * iters)), span);
        assert_eq!((contestant.run(span), contestant.iters), (10.0, 1));
    }
}
