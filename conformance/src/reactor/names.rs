//! Names of descriptors: whoever has a wrong one is told so, and never reaches somebody else's descriptor.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use runtime_core::address::SockAddr;
use runtime_core::call::Call;
use runtime_core::errno::Errno;
use runtime_core::op::{Control, End, Fd, SocketOption, Token};
use runtime_core::reactor::Wait;

use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, count};
use crate::world::ANY;

trials![
    forged,
    closed,
    closed_in_the_same_batch,
    number_in_its_next_use,
    of_no_file: Files,
    exported: Descriptors,
    exported_with_operations_in_flight: Descriptors,
    exported_before_the_turn: Descriptors,
    exported_while_shared: Descriptors,
    exported_and_imported_again: Descriptors,
];

fn forged(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let waiting = driver.receive(ours);
    driver.turn(Wait::No);
    let (number, generation) = (ours.number(), ours.generation());
    let forged = [
        Fd::new(number, generation.wrapping_add(1)),
        Fd::new(number, generation.wrapping_sub(1)),
        Fd::new(number, generation ^ 1 << 31),
        Fd::new(number + 1_000, generation),
        Fd::new(0, u32::MAX),
        Fd::new(2, 12_345),
        Fd::new(i32::MAX as u32, 0),
        Fd::new(u32::MAX, 0),
        Fd::new(u32::MAX, u32::MAX),
    ];
    for fd in forged {
        expect_nobody(&mut driver, fd);
    }
    peer.write_all(b"hello").expect("the peer writes");
    assert_eq!(driver.receive_exact(waiting, 5), b"hello");
}

fn closed(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, _) = driver.listener(1);
    let (ours, _peer) = driver.pair();
    for fd in [listener, ours] {
        let close = driver.close(fd);
        assert_eq!(driver.end(close), DONE);
        expect_nobody(&mut driver, fd);
    }
}

/// What is staged after the close is performed after it.
fn closed_in_the_same_batch(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let (sent, close) = (driver.send(ours, b"in time"), driver.close(ours));
    let late = stage_all(&mut driver, ours);
    driver.turn(Wait::No);
    assert_eq!((driver.end(sent), driver.end(close)), (Ok(7), DONE));
    for token in late {
        assert_eq!(driver.end(token), Err(Errno::EBADF));
    }
}

/// Whoever has the number now is not to be reached by the old name.
fn number_in_its_next_use(env: &Env) {
    let mut driver = Driver::new(env);
    for _ in 0..20 {
        let (old, _old_peer) = driver.pair();
        let waiting = driver.receive(old);
        driver.turn(Wait::No);
        let close = driver.close(old);
        assert_eq!((driver.end(close), driver.end(waiting)), (DONE, CANCELED));

        let mut pairs: Vec<_> = (0..3).map(|_| driver.pair()).collect();
        let (listener, _) = driver.listener(1);
        let waiting: Vec<_> = pairs.iter().map(|&(ours, _)| driver.receive(ours)).collect();
        driver.turn(Wait::No);
        for (_, peer) in &mut pairs {
            peer.write_all(b"not for the old one").expect("the peer writes");
        }
        expect_nobody(&mut driver, old);
        for token in waiting {
            assert_eq!(driver.receive_exact(token, 19), b"not for the old one");
            driver.cancel(token);
            assert_eq!(driver.end(token), CANCELED);
        }
        for (ours, mut peer) in pairs {
            driver.expect_alive(ours, &mut *peer);
            driver.close(ours);
        }
        driver.close(listener);
    }
}

fn of_no_file(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let close = driver.close(ours);
    for _ in 0..2 {
        let read = driver.call(Call::ReadAt { fd: ours, offset: 0, bytes: Vec::with_capacity(10) });
        assert_eq!(driver.end(read), Err(Errno::EBADF));
    }
    assert_eq!(driver.end(close), DONE);
}

fn exported(env: &Env) {
    let mut driver = Driver::new(env);
    for (ours, mut peer) in driver.pairs() {
        let exported = driver.export(ours);
        expect_nobody(&mut driver, ours);
        TcpStream::from(exported).write_all(b"from elsewhere").expect("it is open");
        let mut arrived = Vec::new();
        peer.read_to_end(&mut arrived).expect("the peer reads to the end");
        assert_eq!(arrived, b"from elsewhere");
    }
}

fn exported_with_operations_in_flight(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    driver.fill(ours);
    let waiting = [driver.receive(ours), driver.writable(ours)];
    driver.turn(Wait::No);
    let exported = TcpStream::from(driver.export(ours));
    assert_eq!(waiting.map(|token| driver.end(token)), [CANCELED; 2]);
    // Nothing of them is left to take what comes now.
    peer.write_all(b"for the new owner").expect("the peer writes");
    driver.turn(Wait::No);
    let mut arrived = [0; 17];
    exported.set_nonblocking(false).expect("blocking mode");
    (&exported).read_exact(&mut arrived).expect("the new owner reads");
    assert_eq!(&arrived, b"for the new owner");
}

/// The account wants `EBADF` of what the turn comes to only then, or `ECANCELED`.
fn exported_before_the_turn(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let staged = stage_all(&mut driver, ours);
    let exported = driver.export(ours);
    for token in staged {
        driver.end(token).expect_err("it is given up");
    }
    drop(exported);
}

fn exported_while_shared(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let shared = driver.reactor().share(ours).expect("a second owner");
    let exported = driver.export(ours);
    expect_nobody(&mut driver, ours);
    drop(shared);
    TcpStream::from(exported).write_all(b"still open").expect("it is open");
    let mut arrived = Vec::new();
    peer.read_to_end(&mut arrived).expect("the peer reads to the end");
    assert_eq!(arrived, b"still open");
}

fn exported_and_imported_again(env: &Env) {
    let mut driver = Driver::new(env);
    let (mut ours, mut peer) = driver.pair();
    for _ in 0..10 {
        let token = driver.receive(ours);
        driver.turn(Wait::No);
        let exported = driver.export(ours);
        // The account knows that this is another name.
        let again = driver.import(exported);
        assert_eq!(driver.end(token), CANCELED);
        expect_nobody(&mut driver, ours);
        driver.expect_alive(again, &mut *peer);
        ours = again;
    }
}

/// Checks that `fd` is nobody's, whatever is asked.
fn expect_nobody(driver: &mut Driver, fd: Fd) {
    let staged = stage_all(driver, fd);
    driver.turn(Wait::No);
    for token in staged {
        assert_eq!(driver.try_next(token).map(|completion| count(&completion)), Some(Err(Errno::EBADF)));
    }

    is_nobodys(driver.attempt(fd, b"for nobody"), "send");
    let any = SockAddr::from(ANY);
    let requests = [
        Control::Bind(&any),
        Control::Listen(1),
        Control::Shutdown(Shutdown::Both),
        Control::Set(SocketOption::ReuseAddress, 1),
        Control::Set(SocketOption::NoDelay, 1),
        Control::Set(SocketOption::SendBuffer, 5_000),
    ];
    for request in requests {
        is_nobodys(driver.control(fd, request), "control");
    }
    for option in [SocketOption::ReusePort, SocketOption::ReceiveBuffer] {
        is_nobodys(driver.reactor().option(fd, option), "option");
    }
    for end in [End::Local, End::Peer] {
        is_nobodys(driver.address(fd, end), "address");
    }
    is_nobodys_or_unsupported(driver.reactor().share(fd), "share");
    is_nobodys_or_unsupported(driver.reactor().export(fd), "export");
}

/// One of each operation that names a descriptor.
fn stage_all(driver: &mut Driver, fd: Fd) -> [Token; 6] {
    [
        driver.accept(fd),
        driver.receive(fd),
        driver.send(fd, b"for nobody"),
        driver.writable(fd),
        driver.connect(fd, ANY),
        driver.close(fd),
    ]
}

fn is_nobodys<T>(result: io::Result<T>, request: &str) {
    let error = result.err().unwrap_or_else(|| panic!("{request} reached somebody"));
    assert_eq!(error.raw_os_error(), Some(Errno::EBADF.number()), "{request}: {error}");
}

fn is_nobodys_or_unsupported<T>(result: io::Result<T>, request: &str) {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => (),
        result => is_nobodys(result, request),
    }
}
