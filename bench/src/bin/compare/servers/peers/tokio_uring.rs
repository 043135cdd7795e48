//! tokio-uring.

use std::io;
use std::net::SocketAddr;

use tokio_uring::Runtime;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::{TcpListener, TcpStream};

use super::READ_BUFFER;
use crate::servers::ready;

pub fn serve(addr: SocketAddr) -> io::Result<()> {
    Runtime::new(&tokio_uring::builder())?.block_on(async {
        let listener = TcpListener::bind(addr)?;
        ready(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio_uring::spawn(echo(stream));
        }
    })
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; READ_BUFFER];
    loop {
        let (result, filled) = stream.read(buf).await;
        let n = result?;
        if n == 0 {
            return Ok(());
        }
        let (result, written) = stream.write_all(filled.slice(..n)).await;
        result?;
        buf = written.into_inner();
    }
}
