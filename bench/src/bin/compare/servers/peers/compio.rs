//! compio, with io_uring as its only driver.

use std::io;
use std::net::SocketAddr;

use compio::BufResult;
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::Runtime;

use super::READ_BUFFER;
use crate::servers::ready;

pub fn serve(addr: SocketAddr) -> io::Result<()> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(addr).await?;
        ready(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            compio::runtime::spawn(echo(stream)).detach();
        }
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = Vec::with_capacity(READ_BUFFER);
    loop {
        let BufResult(result, filled) = stream.read(buf).await;
        if result? == 0 {
            return Ok(());
        }
        let BufResult(result, written) = stream.write_all(filled).await;
        result?;
        buf = written;
        buf.clear();
    }
}
