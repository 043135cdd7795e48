//! Queues that are too small for what happens.

use super::*;

const SMALL: Options = Options { submissions: 8, completions: 16, completion_work: CompletionWork::Deferred };

#[test]
fn one_turn_submits_ten_times_what_the_queue_holds() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, _there) = rig.pair();
        let tokens: Vec<Token> =
            (0..10 * Options::default().submissions).map(|_| rig.writable(here)).collect();

        let mut done = rig.turn(Wait::No);

        assert_eq!(rig.reactor.ring.unsubmitted(), 0, "everything went to the kernel in this turn");
        // An enter delivers only a part at a time, and so does a turn.
        done.append(&mut rig.end_of(&tokens[done.len()..]));
        let expected: Vec<_> = tokens.iter().map(|&token| (token, Ok(0))).collect();
        assert_eq!(results(&done), expected);
    });
}

#[test]
fn a_wait_begins_when_everything_is_submitted() {
    Rig::each(SMALL, 4, 64, |mut rig| {
        let sockets = rig.pairs(20);
        for (here, _) in &sockets {
            rig.receive(*here);
        }
        let last = rig.writable(sockets[0].0);
        // Hangs if it waits for one of the first.
        let done = rig.turn(Wait::Forever);
        assert_eq!(results(&done), [(last, Ok(0))]);
    });
}

#[test]
fn no_cancel_is_lost_when_the_queue_is_full() {
    Rig::each(SMALL, 4, 64, |mut rig| {
        let sockets = rig.pairs(100);
        let tokens: Vec<Token> = sockets.iter().map(|(here, _)| rig.receive(*here)).collect();
        assert!(rig.turn(Wait::No).is_empty());

        for &token in &tokens {
            rig.cancel(token);
        }
        let mut done = rig.end_of(&tokens);

        done.sort_by_key(|one| one.token.slot());
        let expected: Vec<_> = tokens.iter().map(|&token| (token, CANCELED)).collect();
        assert_eq!(results(&done), expected);
    });
}

/// Each overflow ends the multishot receives that it hits.
#[test]
fn an_overflow_of_completions_loses_nothing() {
    Rig::each(SMALL, 512, 8, |mut rig| {
        let sockets = rig.pairs(4);
        let sent = pattern(1000);
        let tokens: Vec<Token> = sockets.iter().map(|(here, _)| rig.receive(*here)).collect();
        // Armed first, so that the data finds them in the kernel.
        assert!(rig.turn(Wait::No).is_empty());
        for (_, there) in sockets.iter() {
            write(there, &sent);
        }
        let writable: Vec<Token> = (0..100).map(|_| rig.writable(sockets[0].0)).collect();

        let all = 4 * sent.len();
        let received = |done: &[Completion]| -> usize {
            done.iter().filter_map(|one| one.data.as_ref()).map(|data| data.len()).sum()
        };
        let done = rig.turn_until(|done| {
            received(done) == all && done.iter().filter(|one| !one.more).count() == writable.len()
        });

        for &token in &tokens {
            assert_eq!(bytes_of(token, &done), sent);
        }
        for &token in &writable {
            assert_eq!(done.iter().filter(|one| one.token == token && result(one) == Ok(0)).count(), 1);
        }
    });
}

#[test]
fn an_overflow_of_completions_does_not_end_an_accept() {
    Rig::each(SMALL, 4, 64, |mut rig| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let addr = listener.local_addr().expect("bound");
        let fd = rig.import(listener);
        let accept = rig.stage(Op::Accept { fd });
        assert!(rig.turn(Wait::No).is_empty());

        let clients: Vec<TcpStream> =
            (0..100).map(|_| TcpStream::connect(addr).expect("room in the backlog")).collect();
        let done = rig.turn_until(|done| done.len() == clients.len());

        let connections: std::collections::HashSet<Fd> = done.iter().map(fd_of).collect();
        assert!(done.iter().all(|one| one.token == accept && one.more) && connections.len() == clients.len());
        rig.cancel(accept);
        assert_eq!(results(&rig.end_of(&[accept])), [(accept, CANCELED)]);
    });
}

#[test]
fn an_overflow_of_completions_does_not_deafen_to_unparks() {
    Rig::each(SMALL, 512, 8, |mut rig| {
        rig.reactor.unparker().expect("a descriptor is left");
        let (here, there) = rig.pair();
        let receive = rig.receive(here);
        assert!(rig.turn(Wait::No).is_empty());
        // The completion of the watch comes behind those of the receive and finds the queue full, which ends it.
        write(&there, &pattern(1000));
        rig.reactor.unparker().expect("a descriptor is left").unpark();
        let mut bytes = Vec::new();
        while bytes.len() < 1000 {
            bytes.extend(bytes_of(receive, &rig.turn_until(|done| !done.is_empty())));
        }

        for _ in 0..3 {
            rig.reactor.unparker().expect("a descriptor is left").unpark();
            // Hangs if the watch has not been renewed.
            rig.turn(Wait::Forever);
        }
    });
}

#[test]
fn turns_that_do_not_wait_bring_what_the_kernel_holds_back() {
    Rig::each(SMALL, 512, 8, |mut rig| {
        let (here, there) = rig.pair();
        let receive = rig.receive(here);
        let mut done = rig.turn(Wait::No);
        // More than fits the queue for completions.
        let sent = pattern(1000);
        write(&there, &sent);

        let deadline = rig.reactor.now().saturating_add(PATIENCE);
        while bytes_of(receive, &done).len() < sent.len() {
            assert!(rig.reactor.now() < deadline, "it never came");
            done.append(&mut rig.turn(Wait::No));
        }
        assert_eq!(bytes_of(receive, &done), sent);
    });
}
