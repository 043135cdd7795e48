//! Echo servers on other runtimes, each as its users would write it, and loops written by hand as the limit of
//! what an echo server can be. All in one thread, with `TCP_NODELAY` and reads of 16 KiB.

mod by_hand;
mod compio;
mod glommio;
mod monoio;
mod smol;
mod tokio;
mod tokio_uring;

use super::{BuiltIn, Kind, Serve, TakesPart};

/// How much each server asks for in one read: as much as a chunk of carhop's holds.
const READ_BUFFER: usize = 16 * 1024;

/// In the order of the table.
pub const SERVERS: &[BuiltIn] = &[
    peer("tokio", "epoll; its runtime for one thread", tokio::serve),
    peer("monoio", "io_uring", monoio::serve),
    peer("compio", "io_uring", compio::serve),
    peer("glommio", "io_uring; one executor", glommio::serve),
    peer("tokio-uring", "io_uring", tokio_uring::serve),
    peer("smol", "epoll; an executor for one thread", smol::serve),
    by_hand("naive-epoll", "read and answer, event by event", by_hand::naive_epoll),
    BuiltIn {
        takes_part: TakesPart::WithSpin,
        ..by_hand("naive-epoll-spin", "the same, and never sleeps", by_hand::naive_epoll_spin)
    },
    by_hand("phased-epoll", "read from all that are ready, then answer all", by_hand::phased_epoll),
    by_hand("multishot-uring", "many results for each request, and few buffers", by_hand::multishot_uring),
];

/// The package has the same name.
const fn peer(name: &'static str, about: &'static str, serve: Serve) -> BuiltIn {
    BuiltIn { name, kind: Kind::Peer, about, package: Some(name), takes_part: TakesPart::Always, serve }
}

const fn by_hand(name: &'static str, about: &'static str, serve: Serve) -> BuiltIn {
    BuiltIn { name, kind: Kind::HandWritten, about, package: None, takes_part: TakesPart::Always, serve }
}
