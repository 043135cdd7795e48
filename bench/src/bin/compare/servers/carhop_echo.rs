//! carhop's echo server: the loop of `examples/echo.rs`, without its orderly end.

use std::io;

use carhop::net::{TcpListener, TcpStream};
use carhop::{Backend, Builder, spawn};

/// How much to ask for in one read: as much as the other runtimes' servers do.
const READ_BUFFER: usize = 16 * 1024;

/// Why `backend` cannot be used here, if it cannot.
pub fn refused(backend: Backend) -> Option<String> {
    Builder::new().backend(backend).build().err().map(|error| error.to_string())
}

/// Serves until it is killed.
pub fn serve(backend: Backend, port: u16) -> io::Result<()> {
    let runtime = Builder::new().backend(backend).build().map_err(io::Error::other)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
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
