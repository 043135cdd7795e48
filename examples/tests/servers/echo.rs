//! Starts the example `echo` and talks to it over real sockets, on each backend that this machine offers.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::support::clients::{connect, end_of, exchange, ping, wait_until_refused};
use crate::support::program::{Program, example, within, without_io_uring};
use crate::support::{note, usable};
use carhop::Backend;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

#[test]
fn clients_get_back_what_they_send() {
    let crowd = raise_file_limit().saturating_sub(200).min(1000);
    for &backend in usable() {
        let (server, addr) = serve(&["--backend", backend.name(), "--grace", "3600"]);

        assert_eq!(exchange(addr, b"hello"), b"hello");
        assert_eq!(exchange(addr, b""), b"");
        let megabyte: Vec<u8> = (0..1 << 20).map(|i: u32| (i ^ i >> 8 ^ i >> 16) as u8).collect();
        assert!(exchange(addr, &megabyte) == megabyte, "on {backend}, 1 MiB came back changed");
        let mut clients: Vec<_> = (0..crowd).map(|_| connect(addr)).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            writeln!(client, "client {i:04}").unwrap();
        }
        for (i, client) in clients.iter_mut().enumerate() {
            let mut back = [0; 12];
            client.read_exact(&mut back).unwrap();
            assert_eq!(back, format!("client {i:04}\n").as_bytes());
        }
        drop(clients);

        server.signal(Signal::TERM);
        let end = server.end();
        assert_eq!(end.stdout.last(), Some(&format!("clients served: {}, cut off: 0", 3 + crowd)));
        assert_eq!((end.code, end.stderr), (Some(0), vec![]));
    }
}

#[test]
fn a_signal_closes_the_port_and_lets_clients_finish() {
    for (backend, signal) in usable().iter().flat_map(|&b| [(b, Signal::INT), (b, Signal::TERM)]) {
        let (server, addr) = serve(&["--backend", backend.name(), "--grace", "3600"]);
        let mut client = connect(addr);
        ping(&mut client);

        server.signal(signal);
        assert_eq!(
            server.line(),
            "stopping: 1 still connected, 3600 s to finish, ctrl-C again to stop at once"
        );
        wait_until_refused(addr);
        ping(&mut client);
        drop(client);

        let end = server.end();
        assert_eq!(end.stdout, ["clients served: 1, cut off: 0"]);
        assert_eq!((end.code, end.stderr), (Some(0), vec![]));
    }
}

#[test]
fn clients_that_stay_too_long_are_cut_off() {
    for &backend in usable() {
        let (server, addr) = serve(&["--backend", backend.name(), "--grace", "1"]);
        let (mut stays, mut leaves) = (connect(addr), connect(addr));
        ping(&mut stays);
        ping(&mut leaves);

        let start = Instant::now();
        server.signal(Signal::TERM);
        assert!(server.line().starts_with("stopping: 2 still connected"));
        assert_eq!(end_of(leaves), b"");
        let end = server.end();

        assert!(start.elapsed() >= Duration::from_secs(1), "the grace time is not shortened");
        assert_eq!(end.stdout, ["clients served: 1, cut off: 1"]);
        assert_eq!((end.code, end.stderr), (Some(0), vec![]));
        assert_eq!(end_of(stays), b"");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (backend, signal) in usable().iter().flat_map(|&b| [(b, Signal::INT), (b, Signal::TERM)]) {
        let (server, addr) = serve(&["--backend", backend.name(), "--grace", "3600"]);
        let mut client = connect(addr);
        ping(&mut client);

        server.signal(Signal::INT);
        assert!(server.line().starts_with("stopping: 1 still connected"));
        server.signal(signal);

        let end = server.end();
        assert_eq!(end.stdout, ["clients served: 0, cut off: 1"]);
        assert_eq!((end.code, end.stderr), (Some(128 + signal.as_raw()), vec![]));
    }
}

#[test]
fn sigusr1_shows_the_tasks_and_what_they_wait_for() {
    for &backend in usable() {
        let (server, addr) = serve(&["--backend", backend.name()]);
        let mut client = connect(addr);
        ping(&mut client);
        let name = client.local_addr().unwrap();

        server.signal(Signal::USR1);
        assert_eq!(server.line(), "tasks:");
        let tree: Vec<_> = std::iter::from_fn(|| server.try_line().filter(|line| !line.is_empty())).collect();
        // The client's task was spawned by the one that accepts, which the future of `block_on` has spawned.
        let [root, accept, connection, inspect] = &tree[..] else { panic!("{tree:#?}") };
        assert!(root.starts_with('#') && root.contains("waits for receive"), "{root}");
        assert!(accept.starts_with("  #") && accept.contains("`accept` at examples/echo.rs:"), "{accept}");
        assert!(accept.contains(", waits for accept on fd "), "{accept}");
        assert!(connection.starts_with("    #") && connection.contains(&format!("`{name}`")), "{connection}");
        assert!(connection.contains(", waits for receive on fd "), "{connection}");
        assert!(inspect.starts_with("  #") && inspect.contains("`inspect`"), "{inspect}");
        assert!(inspect.contains(", running, "), "{inspect}");
    }
}

#[test]
fn the_first_line_says_where_and_on_what_and_why() {
    let said = |flags: &[&str], variable: Option<&str>| {
        let mut command = echo(flags);
        let server = Program::start(command.envs(variable.map(|value| ("CARHOP_BACKEND", value))));
        let (addr, backend) = first_line(&server);
        assert_ne!(addr.port(), 0);
        backend
    };
    let usable = usable();

    // Where io_uring is refused now and then, for want of memory, nobody knows.
    if usable == Backend::LINKED {
        let best = said(&[], None);
        assert!(best.starts_with(&format!("{} (Linux ", usable[0])), "{best}");
        assert_eq!(said(&[], Some("auto")), best);
    }
    for &backend in usable {
        let by_flag = said(&["--backend", backend.name()], Some("nonsense"));
        assert!(by_flag.starts_with(&format!("{backend} (Linux ")), "{by_flag}");
        assert!(by_flag.ends_with("; the program asks for it)"), "{by_flag}");
        let by_variable = said(&[], Some(backend.name()));
        assert!(by_variable.starts_with(&format!("{backend} (Linux ")), "{by_variable}");
        assert!(by_variable.ends_with("; CARHOP_BACKEND asks for it)"), "{by_variable}");
    }
}

#[test]
fn where_seccomp_refuses_io_uring_it_says_so_and_runs_on_epoll() {
    let refusals = [
        (libc::EPERM, "Operation not permitted (os error 1)", "a seccomp filter forbids io_uring"),
        (libc::ENOSYS, "Function not implemented (os error 38)", "a seccomp filter hides io_uring"),
    ];
    for (errno, error, cause) in refusals {
        let reasons = [error, cause, "run with a seccomp profile that allows io_uring_setup"];
        // Where something else refuses it as well, that may be what is named.
        let sure = if usable().contains(&Backend::Uring) { &reasons[..] } else { &reasons[..1] };
        expect_io_uring_refused(sure, |mut command| without_io_uring(errno, || Program::start(&mut command)));
    }
}

#[test]
fn where_no_memory_may_be_locked_it_says_so_and_runs_on_epoll() {
    if !usable().contains(&Backend::Uring) {
        return;
    }
    // With CAP_IPC_LOCK there is no limit.
    let unprivileged = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"];
    let tried = within(&unprivileged, &Command::new("true")).output();
    let mut wrapper =
        if tried.is_ok_and(|end| end.status.success()) { unprivileged.to_vec() } else { vec![] };
    wrapper.extend(["sh", "-c", "ulimit -l 0 && exec \"$0\" \"$@\""]);
    let start = |command| Program::start(&mut within(&wrapper, &command));
    if start(echo(&["--backend", "uring"])).try_line().is_some() {
        return note("skipped: the kernel does not count io_uring's memory here");
    }
    let reasons = ["Cannot allocate memory (os error 12)", "RLIMIT_MEMLOCK is too low", "raise `ulimit -l`"];
    expect_io_uring_refused(&reasons, start);
}

#[test]
fn out_of_descriptors_it_goes_on_when_it_has_some_again() {
    const COMPLAINT: &str = "accept: Too many open files (os error 24)";
    for &backend in usable() {
        let echo = echo(&["--backend", backend.name(), "--grace", "3600"]);
        // Before it starts: io_uring takes note of the limit when the accept begins.
        let server = Program::start(&mut within(&["sh", "-c", "ulimit -n 32 && exec \"$0\" \"$@\""], &echo));
        let (addr, _) = first_line(&server);

        // The kernel connects all of them. The server has descriptors for less than half.
        let (start, cpu_at_start) = (Instant::now(), server.cpu_time());
        let clients: Vec<_> = (0..64).map(|_| connect(addr)).collect();
        for _ in 0..6 {
            assert_eq!(server.complaint(), COMPLAINT);
        }
        let (elapsed, cpu) = (start.elapsed(), server.cpu_time() - cpu_at_start);
        assert!(elapsed >= 5 * Duration::from_millis(100), "on {backend}, it waits before it tries again");
        assert!(cpu < elapsed / 2, "on {backend}, it spins: {cpu:?} of CPU time in {elapsed:?}");

        for mut client in clients {
            ping(&mut client);
        }
        for _ in 0..64 {
            assert_eq!(exchange(addr, b"hello"), b"hello");
        }
        server.signal(Signal::TERM);
        let end = server.end();
        assert_eq!(end.stdout.last().unwrap(), "clients served: 128, cut off: 0");
        assert_eq!(end.code, Some(0));
        assert!(end.stderr.iter().all(|line| line == COMPLAINT), "{:?}", end.stderr);
    }
}

#[test]
fn it_serves_on_when_nobody_reads_what_it_prints() {
    let server = Program::start_and_hear(1, &mut echo(&[]));
    let (addr, _) = first_line(&server);
    assert_eq!(server.try_line(), None, "its stdout is closed now");
    assert_eq!(exchange(addr, b"hello"), b"hello");
    server.signal(Signal::TERM);
    let end = server.end();
    assert_eq!((end.code, end.stderr), (Some(0), vec![]));
}

#[test]
fn a_mistake_is_one_line_on_stderr() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let table: &[(&[&str], i32, &str)] = &[
        (&["--addr", ""], 2, "HOST:PORT"),
        (&["--addr", "7000"], 2, "`7000` is not HOST:PORT"),
        (&["--addr", "127.0.0.1:65536"], 2, "HOST:PORT"),
        (&["--addr", "[::zz]:7000"], 2, "`[::zz]:7000` is not HOST:PORT"),
        (&["--addr"], 2, "--addr"),
        (&["--backend", "kqueue"], 2, "unknown backend `kqueue`: expected `auto`, `epoll`, `uring` or `sim`"),
        (&["--grace", "soon"], 2, "--grace"),
        (&["--grace", "-1"], 2, "-1"),
        (&["--prot", "7000"], 2, "--prot"),
        (&["7000"], 2, "7000"),
        (&["--addr", &taken], 1, "Address already in use"),
        (&["--addr", "203.0.113.1:0"], 1, "203.0.113.1:0: Cannot assign requested address"),
        (&["--addr", "nowhere.invalid:7000"], 1, "host `nowhere.invalid`"),
    ];
    for &(flags, code, reason) in table {
        expect_error(example("echo").args(flags), code, reason);
    }
    for (value, shown) in [(&b"kqueue"[..], "kqueue"), (b"\xff", "\u{fffd}")] {
        let reason = format!("CARHOP_BACKEND: unknown backend `{shown}`");
        expect_error(echo(&[]).env("CARHOP_BACKEND", OsStr::from_bytes(value)), 1, &reason);
    }
    for backend in [Backend::Epoll, Backend::Uring].into_iter().filter(|b| !Backend::LINKED.contains(b)) {
        let name = backend.name();
        expect_error(&mut echo(&["--backend", name]), 1, &format!("without carhop's feature `{name}`"));
    }
}

#[test]
fn help_names_every_flag() {
    let end = Program::start(example("echo").arg("--help")).end();
    let text = end.stdout.join("\n");
    for part in [
        "--addr <HOST:PORT>",
        "127.0.0.1:7000",
        "--backend",
        "auto, epoll or uring",
        "--grace",
        "CARHOP_BACKEND",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!((end.code, end.stderr), (Some(0), vec![]));
}

/// The server, on a port of an address of its own, so that nobody else gets the port once it is free again.
fn echo(flags: &[&str]) -> Command {
    static LAST: AtomicU8 = AtomicU8::new(1);
    let addr = format!("127.0.0.{}:0", LAST.fetch_add(1, Ordering::Relaxed) + 1);
    let mut command = example("echo");
    command.args(["--addr", &addr]).args(flags);
    command
}

fn serve(flags: &[&str]) -> (Program, SocketAddr) {
    let server = Program::start(&mut echo(flags));
    let (addr, _) = first_line(&server);
    (server, addr)
}

/// Waits for a server's first line: where it listens, and what it says of its backend.
fn first_line(server: &Program) -> (SocketAddr, String) {
    let line = server.line();
    let parts = line.strip_prefix("echo on ").and_then(|rest| rest.split_once(", backend "));
    let (addr, backend) = parts.unwrap_or_else(|| panic!("unexpected first line: {line}"));
    (addr.parse().unwrap(), backend.to_owned())
}

/// `start` runs a command where io_uring is refused, for reasons that are told in these words.
fn expect_io_uring_refused(reasons: &[&str], start: impl Fn(Command) -> Program) {
    let tells_why = |text: &str| {
        assert!(text.contains("io_uring_setup failed with "), "{text}");
        reasons.iter().for_each(|reason| assert!(text.contains(reason), "{text} does not say {reason}"));
    };
    let expect_refusal = |flags: &[&str], what: &str| {
        let end = start(echo(flags)).end();
        assert_eq!((end.code, end.stdout.len(), end.stderr.len()), (Some(1), 0, 1), "{:?}", end.stderr);
        assert!(end.stderr[0].starts_with(what), "{}", end.stderr[0]);
        tells_why(&end.stderr[0]);
    };
    if !Backend::LINKED.contains(&Backend::Uring) {
        return;
    }
    expect_refusal(&["--backend", "uring"], "error: io_uring cannot be used: ");
    if !Backend::LINKED.contains(&Backend::Epoll) {
        return expect_refusal(&[], "error: no backend can be used. io_uring: ");
    }
    let server = start(echo(&[]));
    let (addr, backend) = first_line(&server);
    assert!(backend.starts_with("epoll (Linux ") && backend.contains("; not io_uring: "), "{backend}");
    tells_why(&backend);
    assert_eq!(exchange(addr, b"hello"), b"hello");
    server.signal(Signal::TERM);
    let end = server.end();
    assert_eq!((end.code, end.stderr), (Some(0), vec![]));
}

/// `command` ends with that exit code and one line on stderr that contains `reason`.
fn expect_error(command: &mut Command, code: i32, reason: &str) {
    let end = Program::start(command).end();
    assert_eq!((end.code, end.stdout.len(), end.stderr.len()), (Some(code), 0, 1), "{command:?}: {end:?}");
    assert!(end.stderr[0].starts_with("error: "), "{command:?}: {end:?}");
    assert!(end.stderr[0].contains(reason), "{command:?}: {end:?}");
}

/// Lets this process, and those that it starts, open as many files as it may let them. Returns how many.
fn raise_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    limit.maximum.map_or(usize::MAX, |files| files as usize)
}
