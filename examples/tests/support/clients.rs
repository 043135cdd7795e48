//! TCP clients, on the standard library's sockets: the server is not tested with its own runtime.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use super::LIMIT;

/// A client. Nothing that it does takes longer than [`LIMIT`].
pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// One byte to the server and back: then it has accepted the client.
pub fn ping(client: &mut TcpStream) {
    let mut back = [0];
    client.write_all(b"x").unwrap();
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"x");
}

/// A client that sends `bytes`, ends its direction, and returns what comes back until the server ends the other.
pub fn exchange(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let client = connect(addr);
    thread::scope(|scope| {
        scope.spawn(|| {
            bytes.chunks(7777).for_each(|piece| (&client).write_all(piece).unwrap());
            client.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        (&client).read_to_end(&mut back).unwrap();
        back
    })
}

/// What `client` still receives when it has no more to send.
pub fn end_of(mut client: TcpStream) -> Vec<u8> {
    // Fails where the server has closed the connection already.
    let _ = client.shutdown(Shutdown::Write);
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    back
}

/// Waits until nobody listens on `addr` any more.
pub fn wait_until_refused(addr: SocketAddr) {
    let deadline = Instant::now() + LIMIT;
    while !TcpStream::connect(addr).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
        assert!(Instant::now() < deadline, "{addr} still lets clients in");
    }
}
