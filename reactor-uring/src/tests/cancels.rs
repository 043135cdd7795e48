//! Cancels that find the operation on its way, or where nothing can stop it.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use runtime_core::address::{Family, Kind, SockAddr, UnixAddr};
use socket2::SockRef;

use super::*;

/// A listener with a full backlog: whoever connects now waits.
pub(super) struct FullListener {
    addr: SockAddr,
    _listener: UnixListener,
    _first: UnixStream,
}

impl FullListener {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("carhop-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let addr = SocketAddr::from_abstract_name(&name).expect("a short name");
        let listener = UnixListener::bind_addr(&addr).expect("a name of our own");
        SockRef::from(&listener).listen(0).expect("a listener");
        let first = UnixStream::connect_addr(&addr).expect("room for one");
        let addr = SockAddr::Unix(UnixAddr::Abstract(name.into_bytes()));
        Self { addr, _listener: listener, _first: first }
    }

    /// A connect that waits.
    pub(super) fn connect(&self, rig: &mut Rig) -> Token {
        let fd = rig.reactor.open(Family::Unix, Kind::Stream).expect("a socket");
        rig.stage(Op::Connect { fd, addr: Box::new(self.addr.clone()) })
    }
}

/// A Unix socket with a full backlog lets the kernel try to connect again and again, though it looks ready each
/// time. In between the operation is nowhere to be found (`ENOENT`), and a cancel is lost unless it is repeated.
#[test]
fn a_cancel_reaches_a_connect_that_the_kernel_is_about_to_retry() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let full = FullListener::new();
        let connect = full.connect(&mut rig);
        rig.cancel(connect);
        assert_eq!(results(&rig.end_of(&[connect])), [(connect, CANCELED)]);
    });
}

/// The kernel could forget it before it is made, and the descriptor would stay open.
#[test]
fn a_close_cannot_be_cancelled() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, _there) = rig.pair();
        let close = rig.close(here);
        rig.cancel(close);
        assert_eq!(results(&rig.turn(Wait::Forever)), [(close, Ok(0))]);
    });
}
