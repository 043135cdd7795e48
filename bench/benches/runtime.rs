//! How long the parts of the runtime take on each backend, and with the feature `peers` the same parts of others.
//!
//! ```text
//! cargo bench -p bench                                # all of it
//! cargo bench -p bench -- timer                       # what has `timer` in its name
//! cargo bench -p bench --features peers -- yield      # beside other runtimes
//! ```
//!
//! Criterion measures one after the other for seconds, and keeps what it has measured: this is to see what a change
//! has changed. To compare runtimes with each other, the program `parts` measures them in turns.

use std::time::Duration;

use bench::parts::{self, Measured, Part, Size};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

criterion_group!(benches, all_parts);
criterion_main!(benches);

fn all_parts(c: &mut Criterion) {
    for part in parts::all() {
        measure(part, &mut c.benchmark_group(part.name));
    }
}

fn measure(part: &Part, group: &mut BenchmarkGroup<'_, WallTime>) {
    match part.bytes {
        Some(bytes) => group.throughput(Throughput::Bytes(bytes)),
        None => group.throughput(Throughput::Elements(part.batch)),
    };
    if part.takes_a_second {
        group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10));
    }
    for contender in part.contenders {
        if let Err(error) = (contender.start)() {
            eprintln!("skipped: {}: {error}", contender.name);
            continue;
        }
        // Not before it is known that this one is wanted: a million timers take a while.
        let mut measured: Option<Measured> = None;
        group.bench_function(contender.name, |b| {
            let measured = measured
                .get_or_insert_with(|| (contender.prepare)(size()).expect("it could be started before"));
            b.iter_custom(measured);
        });
    }
}

/// A run of `cargo test` shall only find what is broken, soon.
fn size() -> Size {
    let is_test = !std::env::args().any(|arg| arg == "--bench");
    if is_test { Size::Small } else { Size::Full }
}
