//! Starts the example `guest` and talks to it over real sockets and its stdin, on each backend that this machine offers.

use std::net::SocketAddr;

use crate::support::clients::{connect, exchange, ping};
use crate::support::program::{Program, example};
use crate::support::usable;
use carhop::Backend;

fn serve(backend: Backend) -> (Program, SocketAddr) {
    let server =
        Program::start(example("guest").args(["--addr", "127.0.0.1:0", "--backend", backend.name()]));
    let line = server.line();
    let addr = line.strip_prefix("guest on ").and_then(|rest| rest.split_once(", backend "));
    let (addr, _) = addr.unwrap_or_else(|| panic!("unexpected first line: {line}"));
    (server, addr.parse().unwrap())
}

/// How often the host's loop went round.
fn looks(mut server: Program) -> u64 {
    server.type_line("quit");
    let end = server.end();
    assert_eq!((end.code, &end.stderr[..]), (Some(0), &[][..]));
    let last = end.stdout.last().expect("a last line");
    let count = last.strip_prefix("looked ").and_then(|rest| rest.strip_suffix(" times"));
    count.unwrap_or_else(|| panic!("unexpected last line: {last}")).parse().unwrap()
}

#[test]
fn the_guest_serves_while_the_host_does_what_it_likes() {
    for &backend in usable() {
        let (mut server, addr) = serve(backend);
        let megabyte: Vec<u8> = (0..1 << 20).map(|i: u32| (i ^ i >> 8 ^ i >> 16) as u8).collect();
        let mut client = connect(addr);
        ping(&mut client);
        server.type_line("tasks");
        assert_eq!(server.line(), "tasks:");
        assert!(server.line().contains("waits for accept"), "the first task is the listener's");
        assert!(server.line().contains("waits for receive"), "and the second the client's");
        assert!(exchange(addr, &megabyte) == megabyte, "on {backend}, 1 MiB came back changed");
        ping(&mut client);
        looks(server);
    }
}

#[test]
fn the_host_sleeps_while_nothing_happens() {
    for &backend in usable() {
        let (server, addr) = serve(backend);
        let mut client = connect(addr);
        ping(&mut client);
        // A loop that does not sleep goes round some hundred thousand times meanwhile.
        let before = server.cpu_time();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let used = server.cpu_time() - before;
        assert!(
            used <= std::time::Duration::from_millis(50),
            "{used:?} of processor time for nothing on {backend}"
        );
        for _ in 0..50 {
            ping(&mut client);
        }
        // Some for each event, beside those of the start.
        let looks = looks(server);
        assert!(looks < 500, "{looks} looks for 51 messages on {backend}");
    }
}
