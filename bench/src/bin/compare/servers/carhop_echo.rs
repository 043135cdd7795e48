//! carhop's echo server: the loop of `examples/echo.rs`, without its orderly end.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::{Backend, Builder, spawn};

use super::{BuiltIn, Kind, READ_BUFFER, Serve, ready};

/// How long those that spin look for news before they sleep: longer than a round trip on loopback.
const SPIN: Duration = Duration::from_micros(50);

/// In the order of the table.
pub const SERVERS: &[BuiltIn] = &[
    ours("carhop-epoll", "epoll", |addr| serve(Backend::Epoll, Duration::ZERO, addr)),
    ours("carhop-uring", "io_uring", |addr| serve(Backend::Uring, Duration::ZERO, addr)),
    spinning("carhop-epoll-spin", "epoll, spins before it sleeps", |addr| serve(Backend::Epoll, SPIN, addr)),
    spinning("carhop-uring-spin", "io_uring, spins before it sleeps", |addr| {
        serve(Backend::Uring, SPIN, addr)
    }),
];

const fn ours(name: &'static str, about: &'static str, serve: Serve) -> BuiltIn {
    BuiltIn { name, kind: Kind::Ours, about, package: Some("carhop"), spins: false, serve }
}

const fn spinning(name: &'static str, about: &'static str, serve: Serve) -> BuiltIn {
    BuiltIn { spins: true, ..ours(name, about, serve) }
}

/// Serves until it is killed.
fn serve(backend: Backend, spin: Duration, addr: SocketAddr) -> io::Result<()> {
    let runtime = Builder::new().backend(backend).spin_before_sleep(spin).build();
    let runtime = runtime.map_err(|refusal| io::Error::new(ErrorKind::Unsupported, refusal))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(addr).await?;
        ready(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            spawn(echo(stream));
        }
    })
}

/// Sends back what `stream` brings until it ends.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = vec![0; READ_BUFFER];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}
