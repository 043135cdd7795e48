//! Addresses, from the forms in which programs write them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use runtime_core::resolve;

use sealed::{Internal, Question};

/// What can be turned into socket addresses: addresses themselves, pairs of host and port, and text like
/// `127.0.0.1:7000`, `[::1]:7000` or `localhost:7000`. Sealed.
///
/// Unlike [`std::net::ToSocketAddrs`] it says whether a name must be looked up, which would block.
///
/// A port alone is no address:
///
/// ```compile_fail,E0277
/// # async fn bind() {
/// carhop::net::TcpListener::bind(7000).await;
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a socket address",
    label = "expected a host and a port",
    note = "write `\"127.0.0.1:7000\"`, `(host, port)` or a `std::net::SocketAddr`",
    note = "to listen on all interfaces, the host is `0.0.0.0` or `[::]`"
)]
pub trait ToSocketAddrs {
    #[doc(hidden)]
    fn question(&self, _: Internal) -> Question;
}

/// Looks up the addresses of `host`. A name is looked up on another thread, because Linux can do it only by blocking.
/// Look-ups have threads of their own, and do not wait for [`spawn_blocking`](crate::task::spawn_blocking)'s closures.
/// Like asyncio's `loop.getaddrinfo`.
///
/// ```
/// use carhop::net::lookup_host;
///
/// carhop::run(async {
///     let mut addrs = lookup_host("localhost:80").await?;
///     assert!(addrs.all(|addr| addr.ip().is_loopback() && addr.port() == 80));
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Dropping the future gives up waiting. A look-up that still waits for a thread is not made then; one that has begun
/// keeps its thread until the answer.
///
/// # Errors
///
/// `InvalidInput` if the text is not `HOST:PORT`; those of `getaddrinfo(3)` if the name does not resolve;
/// `WouldBlock` (`EAGAIN`) if the system refuses the process a thread for it.
///
/// # Panics
///
/// Polling it panics outside of a running runtime if a name must be looked up.
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    addresses(host).await.map(Vec::into_iter)
}

/// The addresses of `host`, at least one.
pub(super) async fn addresses(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let addrs = match host.question(Internal) {
        Question::Known(addrs) => addrs,
        Question::Malformed(text) => {
            let what =
                format!("`{text}` is not an address: expected HOST:PORT, like 127.0.0.1:7000 or [::1]:7000");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Question::Unknown(name, port) => {
            let answer = resolve::resolve(name.clone(), port).await;
            answer.map_err(|error| io::Error::new(error.kind(), format!("host `{name}`: {error}")))?
        }
    };
    if addrs.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no address to use"));
    }
    Ok(addrs)
}

/// Tries `addrs` one after the other until `attempt` succeeds with one, or returns the last error.
pub(super) async fn first_success<T>(
    addrs: Vec<SocketAddr>,
    mut attempt: impl AsyncFnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut result = Err(io::ErrorKind::InvalidInput.into());
    for addr in addrs {
        result = attempt(addr).await;
        if result.is_ok() {
            break;
        }
    }
    result
}

mod sealed {
    use std::net::SocketAddr;

    /// Other crates cannot name it, and so cannot implement the trait.
    pub struct Internal;

    /// What has to be asked to know the addresses.
    pub enum Question {
        Known(Vec<SocketAddr>),
        Unknown(String, u16),
        Malformed(String),
    }
}

macro_rules! known {
    ($($addr:ty),+) => {$(
        impl ToSocketAddrs for $addr {
            fn question(&self, _: Internal) -> Question {
                Question::Known(vec![(*self).into()])
            }
        }
    )+};
}

known!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl ToSocketAddrs for [SocketAddr] {
    fn question(&self, _: Internal) -> Question {
        Question::Known(self.to_vec())
    }
}

impl ToSocketAddrs for (&str, u16) {
    fn question(&self, _: Internal) -> Question {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(addr) => Question::Known(vec![(addr, port).into()]),
            Err(_) => Question::Unknown(host.to_owned(), port),
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    fn question(&self, _: Internal) -> Question {
        (self.0.as_str(), self.1).question(Internal)
    }
}

impl ToSocketAddrs for str {
    fn question(&self, _: Internal) -> Question {
        if let Ok(addr) = self.parse() {
            return Question::Known(vec![addr]);
        }
        match self.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) if !host.is_empty() && !host.contains(':') => {
                (host, port).question(Internal)
            }
            _ => Question::Malformed(self.to_owned()),
        }
    }
}

impl ToSocketAddrs for String {
    fn question(&self, _: Internal) -> Question {
        self.as_str().question(Internal)
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn question(&self, _: Internal) -> Question {
        (**self).question(Internal)
    }
}
