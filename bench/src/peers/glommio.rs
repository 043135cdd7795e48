//! glommio, on one executor.

use std::io;
use std::net::SocketAddr;

use glommio::LocalExecutorBuilder;
use glommio::net::{TcpListener, TcpStream};
use smol::io::{AsyncReadExt, AsyncWriteExt};

pub fn serve(addr: SocketAddr) -> io::Result<()> {
    LocalExecutorBuilder::default().make()?.run(async {
        let listener = TcpListener::bind(addr)?;
        crate::ready(listener.local_addr()?)?;
        loop {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            glommio::spawn_local(echo(stream)).detach();
        }
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; crate::READ_BUFFER];
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n]).await?;
    }
}
