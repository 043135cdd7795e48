//! glommio, on one executor.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutor, LocalExecutorBuilder};
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::READ_BUFFER;
use crate::servers::ready;

pub fn serve(addr: SocketAddr) -> io::Result<()> {
    executor()?.run(async {
        let listener = TcpListener::bind(addr)?;
        ready(listener.local_addr()?)?;
        loop {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            glommio::spawn_local(echo(stream)).detach();
        }
    })
}

/// Fails where the machine refuses io_uring (there glommio panics), or half a megabyte of locked memory for it.
fn executor() -> io::Result<LocalExecutor> {
    io_uring::IoUring::new(1)?;
    let executor = LocalExecutorBuilder::default().make();
    executor.map_err(|error| io::Error::new(ErrorKind::Unsupported, error.to_string()))
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; READ_BUFFER];
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n]).await?;
    }
}
