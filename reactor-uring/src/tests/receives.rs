//! Receives that find no chunk, and ends of streams that find no receive.

use super::*;

/// Turns through `span` of waiting; how many turns that took.
fn idle_turns(rig: &mut Rig, span: Duration) -> u32 {
    let deadline = rig.reactor.now().saturating_add(span);
    let before = rig.turns;
    while rig.reactor.now() < deadline {
        let done = rig.turn(Wait::Until(deadline));
        assert!(done.is_empty(), "nothing can end: {done:?}");
    }
    rig.turns - before
}

#[test]
fn receives_wait_for_chunks_in_order_and_without_spinning() {
    Rig::each(Options::default(), 2, 64, |mut rig| {
        let sockets = rig.pairs(5);
        for (_, there) in &sockets {
            write(there, b"hello");
        }
        let tokens: Vec<Token> = sockets.iter().map(|(here, _)| rig.receive(*here)).collect();

        let mut held = rig.turn_until(|done| done.len() == 2);
        let turns = idle_turns(&mut rig, Duration::from_millis(20));
        assert!(turns <= 4, "{turns} turns in one wait, with nothing to do");

        let mut order: Vec<Token> = held.iter().map(|one| one.token).collect();
        for _ in 2..5 {
            held.remove(0);
            let mut next = rig.turn_until(|done| done.len() == 1);
            order.push(next[0].token);
            held.append(&mut next);
        }
        assert_eq!(order, tokens);
        assert!(held.iter().all(|one| one.more && one.data.as_deref() == Some(b"hello")));
    });
}

#[test]
fn a_parked_receive_can_be_cancelled() {
    Rig::each(Options::default(), 1, 64, |mut rig| {
        let (first, there) = rig.pair();
        let (second, _quiet) = rig.pair();
        write(&there, b"hello");
        rig.receive(first);
        let held = rig.turn_until(|done| done.len() == 1);
        let parked = rig.receive(second);
        while rig.reactor.flights.parked() < 1 {
            assert!(rig.turn(Wait::No).is_empty());
        }

        rig.cancel(parked);
        let done = rig.turn(Wait::No);

        assert_eq!(results(&done), [(parked, CANCELED)]);
        assert!(!done[0].more);
        assert_eq!(rig.reactor.flights.parked(), 0);
        drop(held);
    });
}

/// One chunk is enough for any number of quiet sockets: those that parked while it was in use must all be
/// armed again when it is free, not only as many as there are chunks.
#[test]
fn quiet_receives_do_not_stay_parked_beside_a_free_chunk() {
    Rig::each(Options::default(), 1, 64, |mut rig| {
        let (busy, there) = rig.pair();
        write(&there, b"hello");
        rig.receive(busy);
        let held = rig.turn_until(|done| done.len() == 1);
        let sockets = rig.pairs(50);
        let tokens: Vec<Token> = sockets.iter().map(|(here, _)| rig.receive(*here)).collect();
        while rig.reactor.flights.parked() < sockets.len() {
            assert!(rig.turn(Wait::No).is_empty());
        }

        drop(held);
        for (at, (_, there)) in sockets.iter().enumerate().rev() {
            write(there, b"at last");
            let done = rig.turn_until(|done| done.len() == 1);
            assert_eq!(done[0].token, tokens[at]);
            assert_eq!(done[0].data.as_deref(), Some(&b"at last"[..]));
        }
        assert_eq!(rig.reactor.flights.parked(), 0);
    });
}

#[test]
fn the_end_of_a_stream_takes_no_chunk() {
    Rig::each(Options::default(), 2, 64, |mut rig| {
        for _ in 0..10 {
            let (here, there) = rig.pair();
            write(&there, b"bye");
            drop(there);
            let token = rig.receive(here);
            let done = rig.end_of(&[token]);
            assert_eq!(results(&done), [(token, Ok(3)), (token, Ok(0))]);
            assert!(done[1].data.is_none());
        }
    });
}

#[test]
fn what_a_cancelled_receive_has_not_taken_is_left_for_the_next() {
    Rig::each(Options::default(), 1024, 16, |mut rig| {
        let (here, there) = rig.pair();
        let sent = pattern(8 * 1024);
        write(&there, &sent);
        let token = rig.receive(here);
        rig.cancel(token);

        let done = rig.end_of(&[token]);

        assert_eq!(done.last().map(result), Some(CANCELED));
        let received = bytes_of(token, &done);
        assert_eq!(received, sent[..received.len()]);
        drop(there);
        let rest = rig.receive(here);
        assert_eq!(bytes_of(rest, &rig.end_of(&[rest])), sent[received.len()..]);
    });
}

/// See [`crate::missed_ends`].
#[test]
fn an_end_right_behind_much_data_is_noticed() {
    Rig::each(Options::default(), 1024, 16, |mut rig| {
        let sent = pattern(100 * 16);
        let (unix, there) = rig.pair();
        write(&there, &sent);
        drop(there);
        let (tcp, mut there) = rig.tcp_pair();
        there.write_all(&sent).expect("room in the socket");
        socket2::SockRef::from(&there).set_linger(Some(Duration::ZERO)).expect("a reset instead of a FIN");
        drop(there);

        let tokens = [rig.receive(unix), rig.receive(tcp)];
        let done = rig.end_of(&tokens);

        let end = |token| done.iter().rfind(|one| one.token == token).map(result);
        assert_eq!(tokens.map(end), [Some(Ok(0)), Some(Err(Errno::ECONNRESET))]);
        assert_eq!(tokens.map(|token| bytes_of(token, &done) == sent), [true; 2]);
    });
}

/// A socket with an error to fetch besides its stream (`POLLERR`) looks as if it had ended.
#[test]
fn a_receive_goes_on_whose_socket_only_looks_ended() {
    Rig::each(Options::default(), 8, 16, |mut rig| {
        let (here, there) = rig.pair();
        let token = rig.receive(here);
        write(&there, b"one");
        assert_eq!(bytes_of(token, &rig.turn_until(|done| done.len() == 1)), b"one");

        rig.reactor.flights.get_mut(token).expect("under way").fallback = true;
        rig.reactor.recall(token);

        for round in 0..3 {
            assert!(rig.turn(Wait::No).is_empty(), "round {round}");
            write(&there, b"two");
            assert_eq!(bytes_of(token, &rig.turn_until(|done| done.len() == 1)), b"two");
        }
        rig.cancel(token);
        assert_eq!(results(&rig.end_of(&[token])), [(token, CANCELED)]);
    });
}
