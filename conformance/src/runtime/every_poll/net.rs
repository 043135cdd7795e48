//! Connections as they begin, names, and signals.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream, lookup_host};
use carhop::signal::{Signal, SignalKind, ctrl_c, signal};
use carhop::spawn;
use carhop::sync::Mutex;
use carhop::time::timeout;
use runtime_core::{socket, under_way};

use super::super::support::{listener, short_of_room};
use super::{Probe, futures, yields};

futures!(
    bind: "listener::TcpListener::bind",
    accept: "listener::TcpListener::accept",
    poll_accept: "listener::TcpListener::poll_accept" "listener::Listener::poll_accept",
    connect: "stream::TcpStream::connect",
    connect_to_a_name: "stream::TcpStream::connect",
    connect_without_an_answer: "stream::TcpStream::connect",
    connect_below: "connect::connect",
    look_up: "addr::lookup_host",
    receive_a_signal: "signal::Signal::recv" [Signals],
    receive_ctrl_c: "signal::ctrl_c" [Signals],
);

async fn bind(probe: &Probe) {
    let bound = probe.drive_a_loan(TcpListener::bind("localhost:0")).await;
    assert!(bound.is_none_or(|bound| bound.unwrap().local_addr().is_ok()));
}

async fn accept(probe: &Probe) {
    accepting(probe, async |listener| listener.accept().await).await;
}

async fn poll_accept(probe: &Probe) {
    accepting(probe, async |listener| poll_fn(|cx| listener.poll_accept(cx)).await).await;
}

type Accepted = io::Result<(TcpStream, SocketAddr)>;

/// Each connection is accepted once, by the future under test or after it.
async fn accepting(probe: &Probe, next: impl AsyncFn(&TcpListener) -> Accepted + 'static) {
    let listener = Rc::new(listener().await);
    let addr = listener.local_addr().unwrap();
    let clients = spawn(async move {
        let mut clients = vec![];
        for _ in 0..3 {
            yields(1).await;
            clients.push(TcpStream::connect(addr).await.unwrap());
        }
        clients
    });
    let accepted = Rc::new(Mutex::new(vec![]));
    let world = (Rc::clone(&listener), Rc::clone(&accepted));
    let accept_two = async move {
        let (listener, accepted) = world;
        let accepted = &mut *accepted.try_lock().unwrap();
        while accepted.len() < 2 {
            accepted.push(next(&listener).await.unwrap());
        }
    };
    probe.drive_a_loan(accept_two).await;
    let accepted = &mut *accepted.try_lock().unwrap();
    while accepted.len() < 3 {
        accepted.push(listener.accept().await.unwrap());
    }
    let clients = clients.await.unwrap();
    let peers: Vec<_> = accepted.iter().map(|(_, peer)| *peer).collect();
    assert_eq!(peers, clients.iter().map(|client| client.local_addr().unwrap()).collect::<Vec<_>>());
}

async fn connect(probe: &Probe) {
    let listener = listener().await;
    let addr = listener.local_addr().unwrap();
    let connected = probe.drive_a_loan(TcpStream::connect(addr)).await;
    assert_connected(&listener, connected.map(|stream| stream.unwrap().local_addr().unwrap())).await;
}

async fn connect_to_a_name(probe: &Probe) {
    let listener = listener().await;
    let addr = ("localhost", listener.local_addr().unwrap().port());
    let connected = probe.drive_a_loan(TcpStream::connect(addr)).await;
    assert_connected(&listener, connected.map(|stream| stream.unwrap().local_addr().unwrap())).await;
}

async fn connect_below(probe: &Probe) {
    let listener = listener().await;
    let addr = listener.local_addr().unwrap().into();
    let connect = async move { socket::connect(addr).await.unwrap().address(runtime_core::op::End::Local) };
    let connected = probe.drive_a_loan(connect).await;
    assert_connected(&listener, connected.map(|addr| addr.unwrap().as_inet().unwrap())).await;
}

/// The attempt is still under way when it is given up.
async fn connect_without_an_answer(probe: &Probe) {
    let (_listener, full) = short_of_room();
    // Some find room, and no other.
    let mut fillers = [(); 4].map(|()| Box::pin(TcpStream::connect(full)));
    for filler in &mut fillers {
        assert!(::futures::poll!(filler).is_pending());
    }
    let connected = probe.drive_a_loan(timeout(Duration::from_millis(1), TcpStream::connect(full))).await;
    assert!(connected.is_none_or(|connected| connected.is_err()));
    drop(fillers);
    // While the listener is there, for its end would be an answer.
    while !under_way().operations.is_empty() {
        yields(1).await;
    }
}

/// The connections that the listener sees are that of this client, if it got so far, and one at most that was given up.
async fn assert_connected(listener: &TcpListener, client: Option<SocketAddr>) {
    let last = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut peers = vec![];
    loop {
        let (mut stream, peer) = listener.accept().await.unwrap();
        if peer == last.local_addr().unwrap() {
            break;
        }
        // Its other end is closed.
        let end = timeout(Duration::from_secs(5), stream.read(&mut [0])).await.expect("the end");
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        peers.push(peer);
    }
    assert!(peers.len() <= 1, "{peers:?}");
    assert!(client.is_none_or(|client| peers == [client]), "{client:?}: {peers:?}");
}

async fn look_up(probe: &Probe) {
    let look_up = async { lookup_host("localhost:7").await.unwrap().collect::<Vec<_>>() };
    let addrs = probe.drive_a_loan(look_up).await;
    assert!(addrs.is_none_or(|addrs| addrs.iter().all(|addr| addr.ip().is_loopback())));
}

fn raise(kind: SignalKind) {
    // SAFETY: no memory is involved. The signal is handled before this returns, and only while a `Signal` listens.
    assert_eq!(unsafe { libc::raise(kind.as_raw()) }, 0);
}

/// A signal that the future under test has not seen is not lost.
async fn receive_a_signal(probe: &Probe) {
    let kind = SignalKind::user_defined2();
    let signals = Rc::new(Mutex::new(signal(kind).unwrap()));
    let raising = spawn(async move {
        yields(3).await;
        raise(kind);
    });
    let tested = Rc::clone(&signals);
    let received = probe.drive_a_loan(async move { tested.try_lock().unwrap().recv().await.unwrap() }).await;
    raising.await.unwrap();
    let signals: &mut Signal = &mut signals.try_lock().unwrap();
    if received.is_some() {
        raise(kind);
    }
    signals.recv().await.unwrap();
    assert!(::futures::poll!(Box::pin(signals.recv())).is_pending(), "it came once");
}

async fn receive_ctrl_c(probe: &Probe) {
    let kind = SignalKind::interrupt();
    // So that it does not end this process, whether or not the future under test listens.
    let mut other = signal(kind).unwrap();
    let raising = spawn(async move {
        yields(3).await;
        raise(kind);
        other.recv().await.unwrap();
        // For who began to listen just after that.
        raise(kind);
    });
    let received = probe.drive_a_loan(ctrl_c()).await;
    assert!(received.is_none_or(|received| received.is_ok()));
    raising.await.unwrap();
}
