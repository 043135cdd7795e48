//! Everything at once, in an order that nobody thought of.
//!
//! `CONFORMANCE_SEEDS=0..100000` tries more than the check does.

mod connection;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;
use std::{env, thread};

use runtime_core::call::{Call, Job};
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, End, Fd, Outcome, Token};
use runtime_core::reactor::Wait;

use self::connection::Connection;
use super::calls::Counter;
use super::connect::FullListener;
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, count};
use crate::harness;
use crate::machine::Shortage;
use crate::pattern::Dice;
use crate::world::{ANY, Listener, Peer};

trials![seeds];

/// Which seeds to try.
const VARIABLE: &str = "CONFORMANCE_SEEDS";

const STEPS: usize = 120;
const CONNECTIONS: usize = 5;

fn seeds(env: &Env) {
    for seed in chosen_seeds() {
        let _repeat = Repeat::new(seed);
        Fuzz::new(&env.again(), seed).run();
    }
}

fn chosen_seeds() -> Range<u64> {
    let Ok(range) = env::var(VARIABLE) else { return 0..200 };
    let bounds = range.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    bounds.unwrap_or_else(|| panic!("{VARIABLE}={range} is not like 0..200"))
}

/// Says how to repeat what fails.
struct Repeat {
    advice: String,
}

impl Repeat {
    fn new(seed: u64) -> Self {
        let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
        let (one, run) = (format!("{VARIABLE}={seed}..{}", seed + 1), "--test conformance fuzz");
        let advice = format!("to repeat: {one} cargo test -p {package} {run}");
        harness::note(advice.clone());
        Self { advice }
    }
}

impl Drop for Repeat {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("\n{}", self.advice);
        }
    }
}

struct Fuzz<'a> {
    env: &'a Env,
    driver: Driver,
    dice: Dice,
    connections: Vec<Connection>,
    connecting: Vec<Connecting>,
    listener: Fd,
    accepting: Option<Token>,
    full: FullListener,
    /// They have connected to the listener, and not been accepted.
    coming: Vec<Box<dyn Peer>>,
    calls: Vec<(Token, Counter)>,
    /// What the trial has not let go of yet.
    held: VecDeque<Data>,
    /// Names that are stale.
    former: Vec<Fd>,
    /// Operations that are over.
    over: Vec<Token>,
    streams: u64,
}

struct Connecting {
    token: Token,
    ours: Fd,
    to: To,
}

enum To {
    Somebody(Box<dyn Listener>),
    Nobody,
    Silence,
}

impl<'a> Fuzz<'a> {
    fn new(env: &'a Env, seed: u64) -> Self {
        let mut dice = Dice::seeded(seed);
        let (chunks, chunk_len) = [(256, 1_024), (7, 300), (2, 2_000), (1, 1_000)][dice.roll(4) - 1];
        let mut driver = Driver::with_pool(env, chunks, chunk_len);
        let (listener, _) = driver.listener(16);
        Self {
            env,
            driver,
            dice,
            connections: Vec::new(),
            connecting: Vec::new(),
            listener,
            accepting: None,
            full: FullListener::new(&**env.world()),
            coming: Vec::new(),
            calls: Vec::new(),
            held: VecDeque::new(),
            former: Vec::new(),
            over: Vec::new(),
            streams: 0,
        }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            match self.dice.roll(12) {
                1..=6 => self.touches_a_connection(),
                7 => self.connects(),
                8 => self.accepts(),
                9 => self.calls(),
                10 => self.names_nobody(),
                11 => self.is_short_of_descriptors(),
                _ => self.turns(),
            }
        }
        self.ends();
    }

    /// Something happens on one of the connections, if there is one.
    fn touches_a_connection(&mut self) {
        let Self { driver, dice, connections, .. } = self;
        if connections.is_empty() {
            return self.turns();
        }
        let index = dice.roll(connections.len()) - 1;
        let connection = &mut connections[index];
        match dice.roll(24) {
            1..=4 => connection.peer_writes(dice.roll(3_000)),
            5..=6 => connection.peer_reads(dice.roll(6_000)),
            7..=10 => connection.receives(driver),
            11 => connection.wants_to_write(driver),
            12..=13 => connection.sends(driver, dice.roll(3_000)),
            14..=15 => connection.attempts(driver, dice.roll(3_000)),
            16..=17 => connection.cancels(driver),
            18 if dice.roll(3) == 1 => connection.shuts_down(driver),
            19 if dice.roll(3) == 1 => connection.peer_leaves(dice.roll(2) == 1),
            20 if dice.roll(3) == 1 => {
                let fd = connections.swap_remove(index).closes(driver);
                self.former.push(fd);
            }
            21 if self.env.has_kernel() => self.former.extend(connection.moves(driver)),
            _ => self.turns(),
        }
    }

    fn connects(&mut self) {
        let Self { driver, dice, env, .. } = self;
        let world = env.world();
        if self.connections.len() + self.connecting.len() >= CONNECTIONS {
            // Not more, but one of them less sure.
            return self.connecting.iter().for_each(|connecting| driver.cancel(connecting.token));
        }
        let ours = driver.socket();
        let (to, address) = match dice.roll(8) {
            1 => (To::Nobody, driver.nobody_listens()),
            2 => (To::Silence, self.full.address),
            3 if let Some((ours, peer)) = driver.imported() => return self.welcome(ours, peer),
            _ => {
                let listener = world.listen(1);
                let address = listener.address();
                (To::Somebody(listener), address)
            }
        };
        let token = driver.connect(ours, address);
        self.connecting.push(Connecting { token, ours, to });
    }

    /// A peer comes, or the reactor begins or ceases to accept.
    fn accepts(&mut self) {
        let Self { driver, dice, env, .. } = self;
        match self.accepting {
            None => self.accepting = Some(driver.accept(self.listener)),
            Some(token) if dice.roll(4) == 1 => driver.cancel(token),
            Some(_) => {
                if self.connections.len() + self.coming.len() < CONNECTIONS {
                    let address = driver.address(self.listener, End::Local).expect("getsockname");
                    let peer = env.world().connect(address).expect("connect");
                    if dice.roll(4) == 1 {
                        return peer.reset();
                    }
                    self.coming.push(peer);
                }
            }
        }
    }

    fn calls(&mut self) {
        let Self { driver, dice, .. } = self;
        if dice.roll(3) == 1 {
            return self.calls.iter().for_each(|(token, _)| driver.cancel(*token));
        }
        let runs = Counter::default();
        let call = match dice.roll(3) {
            1 => Call::Resolve { host: "127.0.0.1".into(), port: 80 },
            2 => Call::Stat { path: "/dev/null".into() },
            _ => {
                let counted = runs.clone();
                Call::Run(Job::new(move || counted.add()))
            }
        };
        self.calls.push((driver.call(call), runs));
    }

    /// Stale and forged names, of descriptors and of operations. The account says what must come of the former.
    fn names_nobody(&mut self) {
        let Self { driver, dice, former, over, .. } = self;
        let forged = Fd::new(dice.roll(100) as u32, dice.roll(1 << 30) as u32);
        let fd = match former.len() {
            0 => forged,
            len => former[dice.roll(len) - 1],
        };
        match dice.roll(6) {
            1 => _ = driver.receive(fd),
            2 => _ = driver.send(fd, b"for nobody"),
            3 => _ = driver.close(fd),
            4 => _ = driver.connect(forged, ANY),
            5 if !over.is_empty() => driver.cancel(over[dice.roll(over.len()) - 1]),
            _ => driver.cancel(Token::new(dice.roll(100) as u32, 1 << 20)),
        }
    }

    /// For the time of a turn.
    fn is_short_of_descriptors(&mut self) {
        let shortage = self.env.has_kernel().then(|| Shortage::with_spare(self.dice.roll(2) - 1));
        self.driver.turn(Wait::No);
        drop(shortage);
        self.serve();
    }

    fn turns(&mut self) {
        let moment = self.driver.now().saturating_add(Duration::from_micros(50));
        self.driver.turn(if self.dice.roll(4) == 1 { Wait::Until(moment) } else { Wait::No });
        self.serve();
        self.held.truncate(self.dice.roll(8) - 1);
    }

    fn serve(&mut self) {
        for completion in self.driver.take_all() {
            self.takes(completion);
        }
    }

    fn takes(&mut self, completion: Completion) {
        let token = completion.token;
        if !completion.more {
            self.over.push(token);
        }
        if self.connections.iter_mut().any(|connection| connection.takes(&completion)) {
            self.held.extend(completion.data);
        } else if self.accepting == Some(token) {
            self.accepted(completion);
        } else if let Some(index) = self.connecting.iter().position(|connecting| connecting.token == token) {
            let Connecting { ours, to, .. } = self.connecting.swap_remove(index);
            self.connected(count(&completion), ours, to);
        } else if let Some(index) = self.calls.iter().position(|(call, _)| *call == token) {
            let (_, runs) = self.calls.swap_remove(index);
            assert!(runs.count() <= 1, "made twice");
            assert!(!matches!(completion.result, Ok(Outcome::Done)) || runs.count() == 1, "not made");
        }
        // Otherwise it belongs to a connection that has been closed, or to nobody.
    }

    fn accepted(&mut self, completion: Completion) {
        if !completion.more {
            self.accepting = None;
        }
        match completion.result {
            Ok(Outcome::Fd(ours)) => {
                // One that its peer has reset has no peer any more.
                let address = self.driver.address(ours, End::Peer).ok();
                match self.coming.iter().position(|peer| Some(peer.local()) == address) {
                    Some(index) => {
                        let peer = self.coming.swap_remove(index);
                        self.welcome(ours, peer);
                    }
                    None => drop(self.driver.close(ours)),
                }
            }
            Ok(Outcome::Done | Outcome::Count(_) | Outcome::Addresses(_) | Outcome::Stat(_)) => {
                unreachable!("the account has seen it")
            }
            Err(errno) => assert!([Errno::ECANCELED, Errno::EMFILE].contains(&errno), "{errno:?}"),
        }
    }

    fn connected(&mut self, result: Result<usize, Errno>, ours: Fd, to: To) {
        match (to, result) {
            (To::Somebody(listener), DONE) => {
                let peer = listener.accept().expect("accept");
                return self.welcome(ours, peer);
            }
            (To::Nobody, Err(Errno::ECONNREFUSED)) => (),
            (To::Somebody(_) | To::Nobody | To::Silence, result) => assert_eq!(result, CANCELED),
        }
        self.driver.close(ours);
        self.former.push(ours);
    }

    fn welcome(&mut self, ours: Fd, peer: Box<dyn Peer>) {
        self.streams += 2;
        self.connections.push(Connection::new(ours, peer, self.streams));
    }

    /// Brings everything to its end, and to account.
    fn ends(mut self) {
        self.held.clear();
        self.connecting.iter().for_each(|connecting| self.driver.cancel(connecting.token));
        while !self.connecting.is_empty() {
            self.waits();
        }
        // Whoever is on the way is let in.
        while !self.coming.is_empty() {
            if self.accepting.is_none() {
                self.accepting = Some(self.driver.accept(self.listener));
            }
            self.waits();
        }
        self.connections.iter_mut().for_each(Connection::winds_up);
        while self.connections.iter().any(|connection| !connection.has_ended()) {
            let Self { driver, connections, .. } = &mut self;
            connections.iter_mut().for_each(|connection| connection.receives(driver));
            self.waits();
        }
        for connection in self.connections {
            connection.ends(&mut self.driver);
        }
    }

    /// For whatever comes next, and keeps none of it: it may come in the last chunk.
    fn waits(&mut self) {
        self.driver.run_until(|inbox| !inbox.is_empty());
        self.serve();
        self.held.clear();
    }
}
