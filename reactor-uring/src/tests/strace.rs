//! System calls that fail now and then, by fault injection. Needs strace and the right to trace.

use std::io::{ErrorKind, Read};
use std::process::{Command, Output};

use super::*;

/// Runs the test `name` of this program under strace with `inject`; strace's account of the calls, or `None`
/// if there is no working strace, or no io_uring.
fn traced(name: &str, calls: &str, inject: Option<&str>) -> Option<String> {
    if let Err(error) = UringReactor::new() {
        eprintln!("skipped: {error}");
        return None;
    }
    let program = std::env::current_exe().expect("this program");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", &format!("trace={calls}")]);
    if let Some(inject) = inject {
        strace.args(["-e", &format!("inject={inject}")]);
    }
    strace.arg(program).args(["--exact", name, "--nocapture", "--include-ignored"]);
    let Output { status, stdout, stderr } = match strace.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: strace: {error}");
            return None;
        }
    };
    let (stdout, account) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if account.contains("PTRACE_") || account.contains("ptrace(") {
        eprintln!("skipped: {account}");
        return None;
    }
    assert!(status.success(), "{name} with {inject:?}:\n{stdout}\n{account}");
    assert!(stdout.contains("1 passed"), "there is no test {name}");
    assert!(!account.contains("skipped"), "{account}");
    Some(account.into_owned())
}

#[test]
fn nothing_is_lost_or_doubled_when_every_second_enter_fails() {
    for errno in ["EINTR", "EBUSY", "EAGAIN"] {
        // The first enter is the one that setup makes.
        let inject = format!("io_uring_enter:error={errno}:when=2+2");
        let Some(account) = traced("tests::strace::echo", "io_uring_enter", Some(&inject)) else { return };
        assert!(account.matches("(INJECTED)").count() > 10, "{account}");
    }
}

#[test]
fn nothing_is_lost_when_the_kernel_refuses_for_a_while() {
    let inject = "io_uring_enter:error=EAGAIN:when=3..60";
    let Some(account) = traced("tests::strace::echo", "io_uring_enter", Some(inject)) else { return };
    assert!(account.matches("(INJECTED)").count() > 50, "{account}");
}

#[test]
fn a_kernel_without_deferred_completion_work_will_do() {
    let inject = "io_uring_setup:error=EINVAL:when=1+2";
    let Some(account) = traced("tests::strace::echo", "io_uring_setup", Some(inject)) else { return };
    assert!(account.contains("IORING_SETUP_COOP_TASKRUN"), "{account}");
}

#[test]
fn an_idle_turn_that_does_not_wait_makes_no_system_call() {
    let name = "tests::strace::a_thousand_idle_turns";
    let Some(account) = traced(name, "io_uring_enter", None) else { return };
    let enters = account.matches("io_uring_enter(").count();
    assert!(enters <= 10, "{enters} enters:\n{account}");
}

/// Traffic in both directions of a few sockets, checked byte for byte.
#[test]
fn echo() {
    Rig::each(Options { submissions: 8, completions: 16, ..Options::default() }, 16, 64, |mut rig| {
        let sockets = rig.pairs(10);
        for round in 0..5 {
            let bytes = pattern(100 + round);
            let receives: Vec<Token> = sockets.iter().map(|(here, _)| rig.receive(*here)).collect();
            let mut sends = Vec::new();
            for (here, there) in &sockets {
                write(there, &bytes);
                sends.push((rig.send(*here, &bytes), Ok(bytes.len())));
                sends.push((rig.send(*here, b"!"), Ok(1)));
            }

            let mut received = vec![Vec::new(); sockets.len()];
            let (mut sent, mut cancelled) = (Vec::new(), 0);
            let deadline = rig.reactor.now().saturating_add(PATIENCE);
            while cancelled < sockets.len() || sent.len() < sends.len() {
                assert!(rig.reactor.now() < deadline, "{cancelled} have ended, and {} were sent", sent.len());
                for one in rig.turn(Wait::Until(deadline)) {
                    let at = receives.iter().position(|&token| token == one.token).expect("of this round");
                    let Some(data) = &one.data else {
                        assert_eq!((result(&one), one.more), (CANCELED, false));
                        cancelled += 1;
                        continue;
                    };
                    received[at].extend_from_slice(data);
                    if received[at].len() == bytes.len() {
                        rig.cancel(one.token);
                    }
                }
                sent.append(&mut rig.take_sent());
            }

            assert!(received.iter().all(|received| *received == bytes));
            assert_eq!(results(&sent), sends, "each once, and in order");
            for (_, there) in &sockets {
                let mut all = vec![0; bytes.len() + 1];
                (&*there).read_exact(&mut all).expect("what was sent");
                assert_eq!(all, [&bytes[..], b"!"].concat());
            }
        }
        // Nothing was sent twice.
        for (_, there) in &sockets {
            there.set_nonblocking(true).expect("a mode");
            assert_eq!((&*there).read(&mut [0]).expect_err("nothing is left").kind(), ErrorKind::WouldBlock);
        }
    });
}

#[test]
fn a_thousand_idle_turns() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, _there) = rig.pair();
        rig.receive(here);
        for _ in 0..1000 {
            assert!(rig.turn(Wait::No).is_empty());
        }
    });
}
