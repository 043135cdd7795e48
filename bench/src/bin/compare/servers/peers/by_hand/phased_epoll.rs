//! A loop in phases, edge-triggered: ask what is ready, receive from all of those, then send to all of them.
//! So the kernel does the same thing many times running, and answers leave together.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventFlags};
use rustix::io::retry_on_intr;

use super::connections::{Connections, LISTENER, Poller};
use crate::servers::peers::READ_BUFFER;

/// How many sockets are served in one turn.
const BATCH: usize = 128;

pub fn serve(addr: SocketAddr) -> io::Result<()> {
    let poller = Poller::listen(addr)?;
    let mut connections = Connections::default();
    let mut events: Vec<Event> = Vec::with_capacity(BATCH);
    let mut ready: VecDeque<u64> = VecDeque::new();
    let mut chunks = vec![[0; READ_BUFFER]; BATCH];
    let mut received: Vec<(u64, usize)> = Vec::with_capacity(BATCH);
    loop {
        let timeout = if ready.is_empty() { None } else { Some(&Timespec { tv_sec: 0, tv_nsec: 0 }) };
        events.clear();
        retry_on_intr(|| epoll::wait(&poller.epoll, rustix::buffer::spare_capacity(&mut events), timeout))?;
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                poller.accept(&mut connections, interest)?;
            } else if let Some(connection) = connections.get_mut(key) {
                // Copied, as the struct is packed.
                let flags = event.flags;
                connection.hung_up |= flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
                ready.push_back(key);
            }
        }

        let turn = ready.len().min(BATCH);
        for _ in 0..turn {
            let Some(key) = ready.pop_front() else { break };
            let Some(connection) = connections.get_mut(key) else { continue };
            // If it is still blocked, the next event is room to write.
            let result = match connection.flush() {
                Ok(true) => connection.read(&mut chunks[received.len()]),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            };
            match result {
                Ok(Some(0)) | Err(_) => connections.remove(key),
                Ok(Some(n)) => {
                    // After a short read there will be an event for what comes next, but none for an end of
                    // which there has been one.
                    if n == READ_BUFFER || connection.hung_up {
                        ready.push_back(key);
                    }
                    received.push((key, n));
                }
                Ok(None) => {}
            }
        }

        for ((key, n), chunk) in received.drain(..).zip(&chunks) {
            if let Some(connection) = connections.get_mut(key)
                && connection.write(&chunk[..n]).is_err()
            {
                connections.remove(key);
            }
        }
    }
}
