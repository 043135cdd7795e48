//! To start a runtime and stop it.

use criterion::Criterion;

use crate::on_each;
use crate::subject::{Group, OnEpoll, OnUring, Subject, bench};

pub fn start_and_stop(c: &mut Criterion) {
    let mut group = c.benchmark_group("start and stop");
    on_each!([OnEpoll, OnUring], start_one, &mut group);
    group.finish();
}

fn start_one<S: Subject>(group: &mut Group<'_>) {
    bench::<S>(group, S::NAME, |b, _| {
        b.iter(|| S::start().unwrap().block_on(async {}));
    });
}
