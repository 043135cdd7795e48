//! carhop's echo servers: the loop of `examples/echo.rs`, without its orderly end.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::{Backend, Builder, spawn};

use super::{BuiltIn, Kind, Serve, TakesPart, ready};

/// How long those that spin look for news before they sleep: longer than a round trip on loopback.
const SPIN: Duration = Duration::from_micros(50);

/// In the order of the table.
pub const SERVERS: &[BuiltIn] = &[
    ours("carhop-epoll", TakesPart::Always, "epoll", |addr| {
        serve(Backend::Epoll, Duration::ZERO, addr, echo)
    }),
    ours("carhop-uring", TakesPart::Always, "io_uring", |addr| {
        serve(Backend::Uring, Duration::ZERO, addr, echo)
    }),
    ours("carhop-epoll-spin", TakesPart::WithSpin, "epoll, spins before it sleeps", |addr| {
        serve(Backend::Epoll, SPIN, addr, echo)
    }),
    ours("carhop-uring-spin", TakesPart::WithSpin, "io_uring, spins before it sleeps", |addr| {
        serve(Backend::Uring, SPIN, addr, echo)
    }),
    ours("carhop-epoll-copy", TakesPart::Never, "epoll, reads into a buffer for each connection", |addr| {
        serve(Backend::Epoll, Duration::ZERO, addr, copying_echo)
    }),
    ours(
        "carhop-uring-copy",
        TakesPart::Never,
        "io_uring, reads into a buffer for each connection",
        |addr| serve(Backend::Uring, Duration::ZERO, addr, copying_echo),
    ),
];

const fn ours(name: &'static str, takes_part: TakesPart, about: &'static str, serve: Serve) -> BuiltIn {
    BuiltIn { name, kind: Kind::Ours, about, package: Some("carhop"), takes_part, serve }
}

/// Serves until it is killed.
fn serve<F>(backend: Backend, spin: Duration, addr: SocketAddr, echo: fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
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
    while let Some(chunk) = stream.read_chunk().await? {
        stream.write_chunk(chunk).await?;
    }
    Ok(())
}

/// The same as those of other runtimes do it.
async fn copying_echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}
