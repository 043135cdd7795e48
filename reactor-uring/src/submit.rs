//! Operations as io_uring requests, and the word by which a completion finds its way back.

use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use io_uring::{opcode, squeue, types};
use kernel::call::STATX_MASK;
use runtime_core::errno::Errno;
use runtime_core::op::{Fd, Token};

use crate::flights::Flight;
use crate::opcodes::Request;
use crate::table::Table;
use crate::work::{Receive, Work};

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

/// The request that performs an operation. All memory that it names is the flight's.
///
/// # Errors
///
/// `EBADF` if the operation's descriptor is not in the table.
pub(crate) fn request(token: Token, flight: &mut Flight, table: &Table) -> Result<squeue::Entry, Errno> {
    let number = |fd: Fd| table.get(fd).map(|fd| types::Fd(fd.as_raw_fd()));
    let at_working_directory = types::Fd(libc::AT_FDCWD);
    let request = match &mut flight.work {
        Work::Accept { fd } => opcode::AcceptMulti::new(number(*fd)?).flags(libc::SOCK_CLOEXEC).entry(),
        Work::Receive(Receive { fd, .. }) if flight.fallback => {
            // As much as a chunk of the group holds.
            opcode::Recv::new(number(*fd)?, ptr::null_mut(), 0)
                .buf_group(BUFFER_GROUP)
                .entry()
                .flags(squeue::Flags::BUFFER_SELECT)
        }
        Work::Receive(Receive { fd, .. }) => opcode::RecvMulti::new(number(*fd)?, BUFFER_GROUP).entry(),
        // With DONTWAIT it fails where it would otherwise wait, so it is over when the kernel has taken it.
        Work::Send { fd, data } => opcode::Send::new(number(*fd)?, data.as_ptr(), length(data.len()))
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            .entry(),
        // A half-closed stream counts as an event to every poll. In many shots it does so only once.
        Work::Writable { fd } => {
            opcode::PollAdd::new(number(*fd)?, libc::POLLOUT as u32).multi(flight.fallback).entry()
        }
        Work::Connect { fd, addr } => {
            opcode::Connect::new(number(*fd)?, addr.as_ptr().cast(), addr.len()).entry()
        }
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
        Work::Read { fd, offset, bytes } => {
            let room = bytes.spare_capacity_mut();
            opcode::Read::new(number(*fd)?, room.as_mut_ptr().cast(), length(room.len()))
                .offset(*offset)
                .entry()
        }
        Work::LetGo { .. } | Work::Failed { .. } => opcode::Nop::new().entry(),
        Work::OnThread { .. } => unreachable!("what a thread does is no request"),
    };
    Ok(request.user_data(token.to_bits()))
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
