//! What the two loops on epoll have in common: sockets that do not block, by the number of their descriptor.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::servers::ready;

/// What the listener is watched with. It is no connection's key.
pub const LISTENER: u64 = u64::MAX;

/// How many connections the kernel may hold until they are accepted, as in tokio and monoio.
const BACKLOG: i32 = 1024;

/// A listener, and an epoll that watches it.
pub struct Poller {
    pub epoll: OwnedFd,
    listener: TcpListener,
}

impl Poller {
    pub fn listen(addr: SocketAddr) -> io::Result<Self> {
        let listener = listen(addr)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        ready(listener.local_addr()?)?;
        Ok(Self { epoll, listener })
    }

    /// Takes every connection that there is, and watches it.
    pub fn accept(&self, connections: &mut Connections, interest: EventFlags) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let key = stream.as_raw_fd() as u64;
            epoll::add(&self.epoll, &stream, EventData::new_u64(key), interest)?;
            connections.insert(key, Connection { stream, unsent: Vec::new(), hung_up: false });
        }
    }

    pub fn modify(&self, connection: &Connection, key: u64, interest: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(key), interest)?)
    }
}

/// A listener with room for many who connect at once. The standard library's has room for 128.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// A client, and what it could not take yet.
pub struct Connection {
    stream: TcpStream,
    unsent: Vec<u8>,
    /// It has sent all it will.
    pub hung_up: bool,
}

impl Connection {
    pub fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends what is unsent. Returns whether all of it went.
    pub fn flush(&mut self) -> io::Result<bool> {
        if self.is_blocked() {
            let unsent = std::mem::take(&mut self.unsent);
            self.write(&unsent)?;
        }
        Ok(!self.is_blocked())
    }

    /// `None` if there is nothing to read.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        would_block(self.stream.read(buf))
    }

    /// Sends what the kernel takes, and keeps the rest.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = would_block(self.stream.write(bytes))?.unwrap_or(0);
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// The connections by their keys. The kernel's numbers are small, so that a table does.
#[derive(Default)]
pub struct Connections(Vec<Option<Connection>>);

impl Connections {
    pub fn get_mut(&mut self, key: u64) -> Option<&mut Connection> {
        self.0.get_mut(key as usize)?.as_mut()
    }

    pub fn insert(&mut self, key: u64, connection: Connection) {
        let index = key as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(connection);
    }

    /// Closes it, which ends its watch as well.
    pub fn remove(&mut self, key: u64) {
        self.0[key as usize] = None;
    }
}
