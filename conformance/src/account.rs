//! What every trial tests, whatever else it tests: **each operation has exactly one terminal completion**, nothing before
//! it that its kind cannot have, and nothing after it; what it owned comes back as it was; a name is given once, and
//! answers `EBADF` when it is nobody's.
//!
//! Tokens are given out as a slab does, the slot that was freed last first, so that a completion which comes late meets
//! a slot in use by another.

use std::collections::{HashMap, HashSet};

use runtime_core::call::Call;
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Op, Outcome, Token};

/// Which operations are in flight, which slots are free, and which descriptors the reactor has.
#[derive(Default)]
pub(crate) struct Account {
    live: HashMap<Token, Live>,
    free: Vec<Token>,
    slots: u32,
    open: HashSet<Fd>,
    /// All that were ever given.
    names: HashSet<Fd>,
}

struct Live {
    name: &'static str,
    owes: Owes,
    fd: Option<Fd>,
    standing: Standing,
    /// It has been asked to end, or its descriptor is gone.
    may_be_cancelled: bool,
}

/// Whether the name of an operation's descriptor was one when the operation was staged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// So `EBADF` is wrong. Also of an operation that names no descriptor.
    Somebodys,
    /// So everything but `EBADF` is wrong.
    Nobodys,
    /// It was, and is no more: the turn may have come too late.
    GivenUp,
}

/// What may come of an operation.
enum Owes {
    Connections,
    Bytes,
    /// As many of these as there was room for, and all of them back.
    Sent(Lent),
    /// More bytes behind these, and all of them back.
    Read(Lent),
    Done,
    File,
    Metadata,
    Addresses,
}

/// Memory that belongs to an operation: the account keeps a copy, and looks at the memory only when it is back.
struct Lent {
    start: *const u8,
    bytes: Vec<u8>,
}

impl Account {
    /// Opens an entry for `op`.
    pub(crate) fn issue(&mut self, op: &Op) -> Token {
        let token = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            Token::new(self.slots - 1, 0)
        });
        let (fd, owes) = match op {
            Op::Accept { fd } => (Some(*fd), Owes::Connections),
            Op::Receive { fd } => (Some(*fd), Owes::Bytes),
            Op::Send { fd, data } => (Some(*fd), Owes::Sent(Lent::new(data))),
            Op::Writable { fd } | Op::Connect { fd, .. } | Op::Close { fd } => (Some(*fd), Owes::Done),
            Op::Call(call) => match call {
                Call::Resolve { .. } => (None, Owes::Addresses),
                Call::Open { .. } => (None, Owes::File),
                Call::Stat { .. } => (None, Owes::Metadata),
                Call::ReadAt { fd, bytes, .. } => (Some(*fd), Owes::Read(Lent::new(bytes))),
                Call::Run(_) => (None, Owes::Done),
            },
            Op::Cancel { .. } => unreachable!("a cancel has no entry"),
        };
        let standing = match fd {
            Some(fd) if !self.open.contains(&fd) => Standing::Nobodys,
            Some(_) | None => Standing::Somebodys,
        };
        if let Op::Close { fd } = op {
            self.retire(*fd);
        }
        self.live.insert(token, Live { name: op.name(), owes, fd, standing, may_be_cancelled: false });
        token
    }

    /// From now on the operation, if it is in flight, may end cancelled.
    pub(crate) fn cancelled(&mut self, target: Token) {
        if let Some(live) = self.live.get_mut(&target) {
            live.may_be_cancelled = true;
        }
    }

    /// The reactor has given this name.
    pub(crate) fn named(&mut self, fd: Fd) {
        assert!(self.names.insert(fd), "{fd:?} was somebody else's name");
        self.open.insert(fd);
    }

    /// The reactor has given this descriptor up, at once: what is staged has not been performed.
    pub(crate) fn exported(&mut self, fd: Fd) {
        self.retire(fd);
        for live in self.live.values_mut().filter(|live| live.fd == Some(fd)) {
            if live.standing == Standing::Somebodys {
                live.standing = Standing::GivenUp;
            }
        }
    }

    /// The name is stale from now on, and what still waits on it may end cancelled.
    fn retire(&mut self, fd: Fd) {
        self.open.remove(&fd);
        for live in self.live.values_mut().filter(|live| live.fd == Some(fd)) {
            live.may_be_cancelled = true;
        }
    }

    /// Checks a completion against what was staged.
    pub(crate) fn settle(&mut self, completion: &Completion) {
        let Completion { token, result, more, data } = completion;
        let live = self.live.get(token).unwrap_or_else(|| panic!("of nothing in flight: {completion:?}"));
        live.check(result, *more, data.as_ref())
            .unwrap_or_else(|why| panic!("{}: {why}: {completion:?}", live.name));
        if let Ok(Outcome::Fd(fd)) = result {
            self.named(*fd);
        }
        if !more {
            self.end(*token);
        }
    }

    /// Whether the operation, if it is in flight, is a staged write.
    pub(crate) fn is_send(&self, token: Token) -> bool {
        self.live.get(&token).is_some_and(|live| matches!(live.owes, Owes::Sent(_)))
    }

    /// What is in flight, with the operation in one word.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (Token, &'static str)> {
        self.live.iter().map(|(&token, live)| (token, live.name))
    }

    /// Nothing will complete any more: the reactor is gone.
    pub(crate) fn close(&mut self) {
        let tokens: Vec<_> = self.live.keys().copied().collect();
        tokens.into_iter().for_each(|token| self.end(token));
        self.open.clear();
    }

    fn end(&mut self, token: Token) {
        self.live.remove(&token);
        self.free.push(Token::new(token.slot() as u32, token.generation() + 1));
    }
}

impl Live {
    fn check(
        &self,
        result: &Result<Outcome, Errno>,
        more: bool,
        data: Option<&Data>,
    ) -> Result<(), &'static str> {
        match result {
            Ok(outcome) => {
                ensure(self.standing != Standing::Nobodys, "its descriptor is nobody's")?;
                self.check_outcome(outcome, more, data)
            }
            Err(errno) => {
                ensure(!more, "it failed and goes on")?;
                ensure(*errno != Errno::ECANCELED || self.may_be_cancelled, "nobody cancelled it")?;
                match self.standing {
                    Standing::Somebodys => ensure(*errno != Errno::EBADF, "its descriptor is somebody's")?,
                    Standing::Nobodys => ensure(*errno == Errno::EBADF, "its descriptor is nobody's")?,
                    Standing::GivenUp => (),
                }
                self.check_failure(*errno, data)
            }
        }
    }

    fn check_outcome(&self, outcome: &Outcome, more: bool, data: Option<&Data>) -> Result<(), &'static str> {
        match (&self.owes, outcome) {
            (Owes::Connections, Outcome::Fd(_)) => {
                ensure(more && data.is_none(), "a connection is not the end, and brings no data")
            }
            (Owes::Bytes, Outcome::Count(count)) => {
                ensure(more, "what carries bytes is not the end")?;
                ensure(*count > 0, "no bytes are no result")?;
                match data {
                    Some(Data::Chunk(chunk)) => ensure(chunk.len() == *count, "the chunk has another length"),
                    Some(Data::Vec { .. } | Data::Arena(_)) | None => Err("bytes come in a chunk"),
                }
            }
            (Owes::Bytes, Outcome::Done) => {
                ensure(!more && data.is_none(), "the end is terminal, without data")
            }
            (Owes::Sent(lent), Outcome::Count(count)) => {
                ensure(
                    !more && *count > 0 && *count <= lent.bytes.len(),
                    "it has one count, of what it had",
                )?;
                ensure(lent.is_back(data), "the data does not come back as it was")
            }
            (Owes::Read(lent), Outcome::Count(count)) => {
                ensure(!more, "it has one result")?;
                ensure(lent.is_back_with_more(data, *count), "the bytes do not come back, with so many more")
            }
            (Owes::Done, Outcome::Done)
            | (Owes::File, Outcome::Fd(_))
            | (Owes::Metadata, Outcome::Stat(_)) => {
                ensure(!more && data.is_none(), "it has one result, without data")
            }
            (Owes::Addresses, Outcome::Addresses(addresses)) => {
                ensure(!more && data.is_none(), "it has one result, without data")?;
                ensure(!matches!(&**addresses, Ok(found) if found.is_empty()), "no address is an error")
            }
            (
                Owes::Connections
                | Owes::Bytes
                | Owes::Sent(_)
                | Owes::Read(_)
                | Owes::Done
                | Owes::File
                | Owes::Metadata
                | Owes::Addresses,
                Outcome::Done | Outcome::Count(_) | Outcome::Fd(_) | Outcome::Addresses(_) | Outcome::Stat(_),
            ) => Err("another kind of outcome"),
        }
    }

    fn check_failure(&self, errno: Errno, data: Option<&Data>) -> Result<(), &'static str> {
        match &self.owes {
            Owes::Sent(lent) => ensure(lent.is_back(data), "the data does not come back as it was"),
            // A read that goes on keeps its bytes.
            Owes::Read(_) if errno == Errno::ECANCELED && data.is_none() => Ok(()),
            Owes::Read(lent) => {
                ensure(lent.is_back_with_more(data, 0), "the bytes do not come back as they were")
            }
            Owes::Connections | Owes::Bytes | Owes::Done | Owes::File | Owes::Metadata | Owes::Addresses => {
                ensure(data.is_none(), "a failure brings no data")
            }
        }
    }
}

impl Lent {
    fn new(bytes: &[u8]) -> Self {
        Self { start: bytes.as_ptr(), bytes: bytes.to_vec() }
    }

    fn is_back(&self, data: Option<&Data>) -> bool {
        data.is_some_and(|data| data.as_ptr() == self.start && **data == *self.bytes)
    }

    fn is_back_with_more(&self, data: Option<&Data>, count: usize) -> bool {
        let Some(Data::Vec { bytes, start: 0 }) = data else { return false };
        bytes.as_ptr() == self.start
            && bytes.len() == self.bytes.len() + count
            && bytes[..self.bytes.len()] == *self.bytes
    }
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

#[cfg(test)]
mod tests;
