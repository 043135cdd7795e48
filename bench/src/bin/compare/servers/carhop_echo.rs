//! carhop's echo server: the loop of `examples/echo.rs`, without its orderly end.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use carhop::net::{TcpListener, TcpStream};
use carhop::{Backend, Builder, spawn};

use super::{BuiltIn, Kind, READ_BUFFER, Serve, ready};

/// In the order of the table.
pub const SERVERS: &[BuiltIn] = &[
    ours("carhop-epoll", "epoll", |addr| serve(Backend::Epoll, addr)),
    ours("carhop-uring", "io_uring", |addr| serve(Backend::Uring, addr)),
];

const fn ours(name: &'static str, about: &'static str, serve: Serve) -> BuiltIn {
    BuiltIn { name, kind: Kind::Ours, about, package: Some("carhop"), serve }
}

/// Serves until it is killed.
fn serve(backend: Backend, addr: SocketAddr) -> io::Result<()> {
    let runtime = Builder::new().backend(backend).build();
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
