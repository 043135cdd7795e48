//! What every trial tests, whatever else it tests: **each operation has exactly one terminal completion**,
//! nothing before it that its kind cannot have, and nothing after it.
//!
//! Tokens are given out as a slab does, the slot that was freed last first, so that a completion which comes
//! late meets a slot in use by another.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv6Addr, SocketAddr};

use runtime_core::op::{Op, Token};
use runtime_core::reactor::Completion;
use socket2::SockAddr;

/// Which operations are in flight, and which slots are free.
#[derive(Default)]
pub(crate) struct Account {
    live: HashMap<Token, Live>,
    free: Vec<Token>,
    slots: u32,
    accepts: HashSet<Token>,
}

struct Live {
    op: Op,
    cancelled: bool,
}

impl Account {
    /// Opens an entry for `op`. The address of a connect belongs to the account from now on.
    pub(crate) fn issue(&mut self, op: Op) -> Token {
        let token = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            Token::new(self.slots - 1, 0)
        });
        if let Op::Accept { .. } = op {
            self.accepts.insert(token);
        }
        self.live.insert(token, Live { op, cancelled: false });
        token
    }

    /// From now on the operation, if it is in flight, may end cancelled.
    pub(crate) fn cancelled(&mut self, target: Token) {
        if let Some(live) = self.live.get_mut(&target) {
            live.cancelled = true;
        }
    }

    /// Checks a completion against what was staged.
    pub(crate) fn settle(&mut self, completion: &Completion) {
        let &Completion { token, result, more, ref chunk } = completion;
        let live = self.live.get(&token);
        let Live { op, cancelled } = live.unwrap_or_else(|| panic!("of nothing in flight: {completion:?}"));
        let name = op.name();

        assert!(!more || result >= 0, "{name} failed and goes on: {completion:?}");
        assert!(result != -libc::ECANCELED || *cancelled, "{name}: nobody cancelled {completion:?}");
        match op {
            Op::Receive { .. } => {
                let received = chunk.as_ref().map_or(0, |chunk| chunk.len());
                assert_eq!(result.max(0) as usize, received, "{name}: {completion:?}");
                assert_eq!(chunk.is_some(), result > 0, "{name}: {completion:?}");
                assert!(!more || result > 0, "{name}: the end is terminal: {completion:?}");
            }
            Op::Accept { .. } => assert!(chunk.is_none(), "{name}: {completion:?}"),
            Op::Connect { .. } | Op::Writable { .. } | Op::Close { .. } => {
                assert!(!more && result <= 0 && chunk.is_none(), "{name}: {completion:?}");
            }
            Op::Send { bytes, .. } => {
                assert!(!more && result <= bytes.len() as i32 && chunk.is_none(), "{name}: {completion:?}");
            }
            Op::Cancel { .. } => unreachable!("a cancel has no entry"),
        }
        if !more {
            self.end(token);
        }
    }

    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (Token, &Op)> {
        self.live.iter().map(|(&token, live)| (token, &live.op))
    }

    /// Whether this is or was an accept, whose results are descriptors.
    pub(crate) fn is_accept(&self, token: Token) -> bool {
        self.accepts.contains(&token)
    }

    /// Nothing will complete any more: the reactor is gone.
    pub(crate) fn close(&mut self) {
        let tokens: Vec<_> = self.live.keys().copied().collect();
        tokens.into_iter().for_each(|token| self.end(token));
    }

    fn end(&mut self, token: Token) {
        if let Some(Live { op: Op::Connect { addr, .. }, .. }) = self.live.remove(&token) {
            // SAFETY: `Driver::connect` made it from a box. The reactor no longer touches it: its operation
            // has ended, or the reactor is gone. It is spoilt first, for those who look all the same.
            unsafe {
                *addr.as_ptr() = SockAddr::from(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
                drop(Box::from_raw(addr.as_ptr()));
            }
        }
        self.free.push(Token::new(token.slot() as u32, token.generation() + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSE: Op = Op::Close { fd: 9 };
    const RECEIVE: Op = Op::Receive { fd: 9 };

    fn completion(token: Token, result: i32, more: bool) -> Completion {
        Completion { token, result, more, chunk: None }
    }

    #[test]
    fn an_operation_ends_once_and_its_slot_is_used_again() {
        let mut account = Account::default();
        let first = account.issue(CLOSE);
        account.settle(&completion(first, 0, false));
        assert_eq!(account.in_flight().count(), 0);
        assert_eq!(account.issue(CLOSE), Token::new(0, 1));
    }

    #[test]
    #[should_panic(expected = "of nothing in flight")]
    fn twice_is_once_too_often() {
        let mut account = Account::default();
        let token = account.issue(CLOSE);
        account.settle(&completion(token, 0, false));
        account.settle(&completion(token, 0, false));
    }

    #[test]
    #[should_panic(expected = "of nothing in flight")]
    fn a_late_result_does_not_reach_the_next_user_of_the_slot() {
        let mut account = Account::default();
        let old = account.issue(RECEIVE);
        account.settle(&completion(old, 0, false));
        account.issue(RECEIVE);
        account.settle(&completion(old, 0, false));
    }

    #[test]
    #[should_panic(expected = "nobody cancelled")]
    fn cancelled_by_nobody() {
        let mut account = Account::default();
        let token = account.issue(RECEIVE);
        account.settle(&completion(token, -libc::ECANCELED, false));
    }

    #[test]
    #[should_panic(expected = "failed and goes on")]
    fn an_error_is_terminal() {
        let mut account = Account::default();
        let token = account.issue(RECEIVE);
        account.settle(&completion(token, -libc::ECONNRESET, true));
    }

    #[test]
    #[should_panic(expected = "receive")]
    fn data_comes_in_a_chunk() {
        let mut account = Account::default();
        let token = account.issue(RECEIVE);
        account.settle(&completion(token, 5, true));
    }
}
