//! How operations and descriptors are named.

use std::fmt;

/// Names one operation from the moment it is staged until its terminal completion.
///
/// The generation tells two users of the same slot apart, so a late completion never reaches the wrong one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    slot: u32,
    generation: u32,
}

impl Token {
    /// A token for `slot` in its `generation`th use.
    #[inline]
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// The slot: small and dense, so a reactor may index its own tables by it.
    #[inline]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }

    /// Which use of the slot this is.
    #[inline]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// As one word, to travel through the kernel (`user_data`, `epoll_data`).
    ///
    /// The slot is the high half and never `u32::MAX`, so a reactor may use the words from
    /// `u32::MAX << 32` on for its own purposes.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        (self.slot as u64) << 32 | self.generation as u64
    }

    /// The inverse of [`Token::to_bits`].
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self { slot: (bits >> 32) as u32, generation: bits as u32 }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.slot, self.generation)
    }
}

/// A descriptor by the name that its reactor gave it. Owns nothing: the descriptor is the reactor's until it is closed
/// ([`Op::Close`](super::op::Op::Close)), exported, or the reactor is dropped.
///
/// A forged or stale one is answered with `EBADF`, and never reaches somebody else's descriptor: the generation tells
/// two users of the same number apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fd {
    number: u32,
    generation: u32,
}

impl Fd {
    /// The descriptor that has `number` in its `generation`th use.
    #[inline]
    pub const fn new(number: u32, generation: u32) -> Self {
        Self { number, generation }
    }

    /// Small and dense: the kernel's number, where there is a kernel.
    #[inline]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Which use of the number this is.
    #[inline]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fd {}", self.number)
    }
}

impl fmt::Debug for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fd {}#{}", self.number, self.generation)
    }
}
