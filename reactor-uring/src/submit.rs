//! Operations as io_uring requests, and the word by which a completion finds its way back.

use std::os::fd::RawFd;
use std::ptr;

use io_uring::{opcode, squeue, types};
use runtime_core::op::{Op, Token};

use crate::flights::Flight;

/// The group from which receives take their buffers. There is one.
pub(crate) const BUFFER_GROUP: u16 = 0;

/// The `user_data` words from here on belong to no token ([`Token::to_bits`]).
const RESERVED: u64 = (u32::MAX as u64) << 32;
/// No cancel has this word, for no slot is `u32::MAX`.
const UNPARK: u64 = u64::MAX;

/// Whose completion it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// An operation's.
    Op(Token),
    /// The answer to a cancel of the operation in this slot.
    Cancel(usize),
    /// The poll that ends a wait.
    Unpark,
}

impl Owner {
    pub(crate) fn of(user_data: u64) -> Self {
        match user_data {
            UNPARK => Owner::Unpark,
            RESERVED.. => Owner::Cancel((user_data - RESERVED) as usize),
            bits => Owner::Op(Token::from_bits(bits)),
        }
    }
}

/// The request that performs an operation.
///
/// # Safety
///
/// The address that an [`Op::Connect`] names is valid, as are the bytes of an [`Op::Send`].
pub(crate) unsafe fn request(flight: &Flight) -> squeue::Entry {
    let request = match flight.op {
        Op::Accept { fd } => opcode::AcceptMulti::new(types::Fd(fd)).flags(libc::SOCK_CLOEXEC).build(),
        Op::Connect { fd, addr } => {
            // SAFETY: as the caller promises.
            let addr = unsafe { addr.as_ref() };
            opcode::Connect::new(types::Fd(fd), addr.as_ptr().cast(), addr.len()).build()
        }
        Op::Receive { fd } if flight.fallback => {
            // As much as a chunk of the group holds.
            opcode::Recv::new(types::Fd(fd), ptr::null_mut(), 0)
                .buf_group(BUFFER_GROUP)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
        }
        Op::Receive { fd } => opcode::RecvMulti::new(types::Fd(fd), BUFFER_GROUP).build(),
        // With DONTWAIT it fails where it would otherwise wait, so it is over when the kernel has taken it.
        Op::Send { fd, bytes } => {
            opcode::Send::new(types::Fd(fd), bytes.as_ptr().cast(), bytes.len().min(i32::MAX as usize) as u32)
                .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
                .build()
        }
        // A half-closed stream counts as an event to every poll. In many shots it does so only once.
        Op::Writable { fd } => {
            opcode::PollAdd::new(types::Fd(fd), libc::POLLOUT as u32).multi(flight.fallback).build()
        }
        Op::Close { fd } => opcode::Close::new(types::Fd(fd)).build(),
        Op::Cancel { target } => return cancel(target),
    };
    request.user_data(flight.token.to_bits())
}

/// Asks for the end of `target`. Completes only if that fails.
pub(crate) fn cancel(target: Token) -> squeue::Entry {
    opcode::AsyncCancel::new(target.to_bits())
        .build()
        .flags(squeue::Flags::SKIP_SUCCESS)
        .user_data(RESERVED | target.slot() as u64)
}

/// Watches the descriptor that ends a wait. Edge-triggered, as every multishot poll is by default.
pub(crate) fn watch_unpark(fd: RawFd) -> squeue::Entry {
    opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).multi(true).build().user_data(UNPARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_leads_back_to_its_owner() {
        for token in [Token::new(0, 0), Token::new(7, u32::MAX), Token::new(u32::MAX - 1, u32::MAX)] {
            assert_eq!(Owner::of(token.to_bits()), Owner::Op(token));
            assert_eq!(Owner::of(RESERVED | token.slot() as u64), Owner::Cancel(token.slot()));
        }
        assert_eq!(Owner::of(UNPARK), Owner::Unpark);
    }
}
