//! Everything at once, in an order that nobody thought of.

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;

use runtime_core::op::Token;
use runtime_core::pool::Chunk;
use runtime_core::reactor::{Completion, Wait};

use super::loopback::reset;
use super::{Env, trials};
use crate::driver::Driver;
use crate::pattern::{Dice, Pattern};

trials![with_a_large_pool, with_a_small_pool, with_a_pool_of_one];

const STEPS: usize = 6_000;
const CONNECTIONS: usize = 12;

/// Little enough that a peer's write never waits.
const MOST_UNREAD: usize = 20_000;

fn with_a_large_pool(env: &Env) {
    walk(Driver::with_pool(env, 256, 1_024));
}

fn with_a_small_pool(env: &Env) {
    walk(Driver::with_pool(env, 7, 300));
}

fn with_a_pool_of_one(env: &Env) {
    walk(Driver::with_pool(env, 1, 1_000));
}

fn walk(mut driver: Driver) {
    let mut dice = Dice::new();
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| Connection::new(&mut driver)).collect();
    let mut held = VecDeque::new();
    for _ in 0..STEPS {
        let index = dice.roll(CONNECTIONS) - 1;
        let connection = &mut connections[index];
        match dice.roll(20) {
            1..=5 => connection.peer_writes(dice.roll(3_000)),
            6..=9 => connection.receives(&mut driver),
            10 => connection.receives_no_more(&mut driver),
            11 => connection.wants_to_write(&mut driver),
            12 => connection.wants_to_write_no_more(&mut driver),
            13 => connection.peer_leaves(dice.roll(2) == 1),
            14 if dice.roll(3) == 1 => {
                let former = std::mem::replace(connection, Connection::new(&mut driver));
                former.closes(&mut driver);
            }
            // One result of this turn's is held for a while, the others go.
            _ => {
                driver.turn(Wait::No);
                for completion in driver.take_all() {
                    serve(&mut connections, completion, &mut held);
                }
                held.truncate(dice.roll(8) - 1);
            }
        }
    }

    held.clear();
    for connection in &mut connections {
        connection.peer_leaves(false);
        while connection.ended.is_none() {
            connection.receives(&mut driver);
            let token = connection.receiving.expect("just staged, if it was not");
            let completion = driver.next(token);
            connection.received(&completion);
        }
        if connection.ended == Some(0) {
            assert_eq!(connection.unread(), 0, "bytes are lost");
        }
    }
}

fn serve(connections: &mut [Connection], completion: Completion, held: &mut VecDeque<Chunk>) {
    let mut all = connections.iter_mut();
    if let Some(connection) = all.find(|connection| connection.receiving == Some(completion.token)) {
        connection.received(&completion);
        held.extend(completion.data);
        return;
    }
    let mut all = connections.iter_mut();
    if let Some(connection) = all.find(|connection| connection.writing == Some(completion.token)) {
        connection.writing = None;
    }
    // Otherwise it belongs to a connection that has been closed.
}

struct Connection {
    ours: OwnedFd,
    peer: Option<TcpStream>,
    receiving: Option<Token>,
    writing: Option<Token>,
    sent: Pattern,
    seen: Pattern,
    sent_len: usize,
    seen_len: usize,
    /// How receiving ended.
    ended: Option<i32>,
}

impl Connection {
    fn new(driver: &mut Driver) -> Self {
        let (ours, peer) = driver.imported();
        Self {
            ours,
            peer: Some(peer),
            receiving: None,
            writing: None,
            sent: Pattern::default(),
            seen: Pattern::default(),
            sent_len: 0,
            seen_len: 0,
            ended: None,
        }
    }

    fn unread(&self) -> usize {
        self.sent_len - self.seen_len
    }

    fn peer_writes(&mut self, len: usize) {
        if self.unread() + len <= MOST_UNREAD
            && let Some(peer) = &mut self.peer
        {
            peer.write_all(&self.sent.take(len)).expect("the peer writes");
            self.sent_len += len;
        }
    }

    fn peer_leaves(&mut self, abort: bool) {
        match self.peer.take() {
            Some(peer) if abort => peer.reset(),
            peer => drop(peer),
        }
    }

    fn receives(&mut self, driver: &mut Driver) {
        if self.receiving.is_none() && self.ended.is_none() {
            self.receiving = Some(driver.receive(self.ours));
        }
    }

    fn receives_no_more(&mut self, driver: &mut Driver) {
        if let Some(token) = self.receiving {
            driver.cancel(token);
        }
    }

    fn wants_to_write(&mut self, driver: &mut Driver) {
        if self.writing.is_none() {
            self.writing = Some(driver.writable(self.ours));
        }
    }

    fn wants_to_write_no_more(&mut self, driver: &mut Driver) {
        if let Some(token) = self.writing {
            driver.cancel(token);
        }
    }

    fn closes(mut self, driver: &mut Driver) {
        self.receives_no_more(driver);
        self.wants_to_write_no_more(driver);
        driver.close(self.ours);
    }

    fn received(&mut self, completion: &Completion) {
        if let Some(chunk) = &completion.data {
            self.seen.expect(chunk);
            self.seen_len += chunk.len();
        }
        if !completion.more {
            self.receiving = None;
        }
        if !completion.more && completion.result != CANCELED {
            assert!(self.peer.is_none() && [0, RESET].contains(&completion.result));
            self.ended = Some(completion.result);
        }
    }
}
