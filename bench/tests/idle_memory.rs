//! The goal: an idle connection takes less than 1 KB of a server's memory, on each backend.

use std::process::{Command, Stdio};

#[test]
fn an_idle_connection_takes_less_than_1_kb() {
    const CONNECTIONS: i64 = 500;
    // Not of the connections: code that runs for the first time, which the kernel maps 64 KiB at a time, and
    // what malloc keeps of memory that the tables grew out of.
    const ALLOWANCE: i64 = 128 * 1024;

    let output = Command::new(env!("CARGO_BIN_EXE_idle-memory"))
        .args(["--connections", &CONNECTIONS.to_string(), "--rounds", "1"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    print!("{table}");
    assert!(output.status.success(), "{}", output.status);

    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), bench::backends().len(), "a row for each backend");
    for row in rows {
        let resident: i64 = row.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(resident < 1024 + ALLOWANCE / CONNECTIONS, "{resident} bytes: {row}");
    }
}
