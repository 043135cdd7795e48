//! Operations as io_uring requests, and the word by which a completion finds its way back.

use std::os::fd::RawFd;
use std::ptr;

use io_uring::{opcode, squeue, types};
use kernel::call::STATX_MASK;
use runtime_core::op::Token;

use crate::opcodes::Request;
use crate::work::Work;

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
    #[inline]
    pub(crate) fn of(user_data: u64) -> Self {
        match user_data {
            UNPARK => Owner::Unpark,
            RESERVED.. => Owner::Cancel((user_data - RESERVED) as usize),
            bits => Owner::Op(Token::from_bits(bits)),
        }
    }
}

/// The request that performs an operation on the descriptor of this number, in its second way if `fallback` says so.
/// All memory that it names is the operation's, and stays where it is when that is moved.
#[inline]
pub(crate) fn request(token: Token, work: &mut Work, fallback: bool, number: RawFd) -> squeue::Entry {
    let fd = types::Fd(number);
    let at_working_directory = types::Fd(libc::AT_FDCWD);
    let request = match work {
        Work::Accept { .. } => opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).entry(),
        // As much as a chunk of the group holds.
        Work::Receive(_) if fallback => opcode::Recv::new(fd, ptr::null_mut(), 0)
            .buf_group(BUFFER_GROUP)
            .entry()
            .flags(squeue::Flags::BUFFER_SELECT),
        Work::Receive(_) => opcode::RecvMulti::new(fd, BUFFER_GROUP).entry(),
        // With DONTWAIT it fails where it would otherwise wait, so it is over when the kernel has taken it.
        Work::Send { data, .. } => opcode::Send::new(fd, data.as_ptr(), length(data.len()))
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            .entry(),
        // A half-closed stream counts as an event to every poll. In many shots it does so only once.
        Work::Writable { .. } => opcode::PollAdd::new(fd, libc::POLLOUT as u32).multi(fallback).entry(),
        Work::Connect { addr, .. } => opcode::Connect::new(fd, addr.as_ptr().cast(), addr.len()).entry(),
        Work::Close { number } => opcode::Close::new(types::Fd(*number)).entry(),
        // On a thread of the kernel's from the start. It would else try without waiting, and so open a named pipe that
        // nobody writes to.
        Work::Open { path } => opcode::OpenAt::new(at_working_directory, path.as_ptr())
            .flags(libc::O_RDONLY | libc::O_CLOEXEC)
            .entry()
            .flags(squeue::Flags::ASYNC),
        Work::Stat { path, answer } => {
            let room = answer.spare_capacity_mut().as_mut_ptr();
            opcode::Statx::new(at_working_directory, path.as_ptr(), room.cast()).mask(STATX_MASK).entry()
        }
        Work::Read { offset, bytes, .. } => {
            let room = bytes.spare_capacity_mut();
            opcode::Read::new(fd, room.as_mut_ptr().cast(), length(room.len())).offset(*offset).entry()
        }
        Work::LetGo { .. } | Work::Failed { .. } => opcode::Nop::new().entry(),
        Work::OnThread { .. } => unreachable!("what a thread does is no request"),
    };
    request.user_data(token.to_bits())
}

/// No result is longer than an i32 holds.
fn length(len: usize) -> u32 {
    len.min(i32::MAX as usize) as u32
}

/// Asks for the end of `target`. Completes only if that fails.
pub(crate) fn cancel(target: Token) -> squeue::Entry {
    opcode::AsyncCancel::new(target.to_bits())
        .entry()
        .flags(squeue::Flags::SKIP_SUCCESS)
        .user_data(RESERVED | target.slot() as u64)
}

/// Watches the descriptor that ends a wait. Edge-triggered, as every multishot poll is by default.
pub(crate) fn watch_unpark(fd: RawFd) -> squeue::Entry {
    opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).multi(true).entry().user_data(UNPARK)
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
