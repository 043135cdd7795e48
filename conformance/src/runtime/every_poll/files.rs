//! Calls that may block: whatever becomes of the future, nothing is left open, and nothing under way for long.

use std::env;

use carhop::fs::{self, File};
use runtime_core::{resolve, under_way};

use super::{Probe, futures, yields};

futures!(
    open: "fs::File::open" [Files],
    read_at: "fs::File::read_at" [Files],
    metadata: "fs::metadata" [Files],
    stat: "fs::stat" [Files],
    resolve_below: "resolve::resolve",
);

async fn open(probe: &Probe) {
    let path = env::current_exe().unwrap();
    let opened = probe.drive_a_loan(File::open(path)).await;
    assert!(opened.is_none_or(|file| file.is_ok()));
    nothing_is_under_way().await;
}

async fn read_at(probe: &Probe) {
    let file = File::open(env::current_exe().unwrap()).await.unwrap();
    let read = async move {
        let (count, bytes) = file.read_at(Vec::with_capacity(4), 0).await;
        (count.unwrap(), bytes)
    };
    if let Some(read) = probe.drive_a_loan(read).await {
        assert_eq!(read, (4, b"\x7fELF".to_vec()));
    }
    nothing_is_under_way().await;
}

async fn metadata(probe: &Probe) {
    let known = probe.drive_a_loan(fs::metadata(env::current_exe().unwrap())).await;
    assert!(known.is_none_or(|known| known.unwrap().is_file()));
    nothing_is_under_way().await;
}

async fn stat(probe: &Probe) {
    let path = env::current_exe().unwrap();
    let known = probe.drive_a_loan(async move { runtime_core::fs::stat(&path).await }).await;
    assert!(known.is_none_or(|known| known.unwrap().size > 4));
    nothing_is_under_way().await;
}

async fn resolve_below(probe: &Probe) {
    let resolved = probe.drive_a_loan(resolve::resolve("localhost".to_owned(), 80)).await;
    assert!(resolved.is_none_or(|addrs| addrs.unwrap().iter().all(|addr| addr.port() == 80)));
    nothing_is_under_way().await;
}

/// What was dropped ends with one of the next turns.
async fn nothing_is_under_way() {
    while !under_way().operations.is_empty() {
        yields(1).await;
    }
}
