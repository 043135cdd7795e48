//! The loop that everybody writes first: an event comes, so read what is there and write it back.

use std::io;
use std::net::SocketAddr;

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventFlags};
use rustix::io::retry_on_intr;

use super::connections::{Connection, Connections, LISTENER, Poller};
use crate::servers::peers::READ_BUFFER;

pub fn serve(addr: SocketAddr) -> io::Result<()> {
    run(addr, None)
}

/// The same, but it asks again instead of sleeping.
pub fn serve_spinning(addr: SocketAddr) -> io::Result<()> {
    run(addr, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
}

fn run(addr: SocketAddr, timeout: Option<&Timespec>) -> io::Result<()> {
    let poller = Poller::listen(addr)?;
    let mut connections = Connections::default();
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    let mut buf = vec![0; READ_BUFFER];
    loop {
        events.clear();
        retry_on_intr(|| epoll::wait(&poller.epoll, rustix::buffer::spare_capacity(&mut events), timeout))?;
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                poller.accept(&mut connections, EventFlags::IN)?;
            } else if let Some(connection) = connections.get_mut(key)
                && !echo(connection, key, &poller, &mut buf).unwrap_or(false)
            {
                connections.remove(key);
            }
        }
    }
}

/// Returns whether the connection is still open. Waits for room rather than for data while something is unsent.
fn echo(connection: &mut Connection, key: u64, poller: &Poller, buf: &mut [u8]) -> io::Result<bool> {
    let was_blocked = connection.is_blocked();
    if connection.flush()? {
        match connection.read(buf)? {
            Some(0) => return Ok(false),
            Some(n) => connection.write(&buf[..n])?,
            None => {}
        }
    }
    if connection.is_blocked() != was_blocked {
        poller.modify(connection, key, if was_blocked { EventFlags::IN } else { EventFlags::OUT })?;
    }
    Ok(true)
}
