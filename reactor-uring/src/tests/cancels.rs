//! Cancels that find the operation on its way.

use std::ptr::NonNull;

use socket2::{Domain, SockAddr, Socket, Type};

use super::*;

/// A Unix socket with a full backlog lets the kernel try to connect again and again, though it looks ready each
/// time. In between the operation is nowhere to be found (`ENOENT`), and a cancel is lost unless it is repeated.
#[test]
fn a_cancel_reaches_a_connect_that_the_kernel_is_about_to_retry() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let name = format!("\0carhop-{}-{:p}", std::process::id(), &rig);
        let addr = SockAddr::unix(name).expect("a short name");
        let unix = || Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let (listener, first, second) = (unix(), unix(), unix());
        listener.bind(&addr).expect("a name of our own");
        listener.listen(0).expect("a listener");
        first.connect(&addr).expect("room for one");

        let connect = rig.stage(Op::Connect { fd: second.as_raw_fd(), addr: NonNull::from(&addr) });
        rig.cancel(connect);

        assert_eq!(results(&rig.end_of(&[connect])), [(connect, -libc::ECANCELED)]);
    });
}
