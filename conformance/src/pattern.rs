//! Bytes that show where in a stream they belong.

/// A stream of bytes that repeats only after 2^64: what is lost, doubled or out of order does not match.
#[derive(Clone, Default)]
pub(crate) struct Pattern {
    position: u64,
}

impl Pattern {
    /// One of many different streams.
    pub(crate) fn new(stream: u64) -> Self {
        Self { position: stream << 32 }
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next()).collect()
    }

    /// Checks that `bytes` are the next.
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let start = self.position;
        for (index, &byte) in bytes.iter().enumerate() {
            let expected = self.next();
            assert_eq!(byte, expected, "byte {} of the stream", (start as u32 as usize) + index);
        }
    }

    fn next(&mut self) -> u8 {
        // The finaliser of splitmix64, shortened: neighbours have nothing in common.
        let mut word = self.position.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        self.position += 1;
        (word >> 56) as u8
    }
}

/// Numbers without a pattern, the same in every run.
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) fn new() -> Self {
        Self { state: 0x2545_F491_4F6C_DD1D }
    }

    /// One of many different sequences.
    pub(crate) fn seeded(seed: u64) -> Self {
        let mut dice = Self { state: (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) };
        // Neighbouring seeds begin alike.
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    /// A number from 1 to `most`.
    pub(crate) fn roll(&mut self, most: usize) -> usize {
        // xorshift64.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % most + 1
    }
}
