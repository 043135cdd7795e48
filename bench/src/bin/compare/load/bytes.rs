//! What the clients send: a stream of pseudo-random bytes for each connection, which can be had at any
//! offset. So a server that drops, repeats, changes or swaps bytes, also between connections, sends back
//! something that differs from the stream at some offset.

/// Bytes that come out of one number.
const WORD: u64 = 8;

/// Writes the bytes of stream `seed` from `offset` on into `buf`.
pub fn fill(seed: u64, offset: u64, buf: &mut [u8]) {
    let mut word = offset / WORD;
    // The first may begin in the middle of a word.
    let skip = (offset % WORD) as usize;
    let head = buf.len().min((WORD as usize - skip) % WORD as usize);
    let (head, rest) = buf.split_at_mut(head);
    if !head.is_empty() {
        head.copy_from_slice(&mix(seed, word)[skip..skip + head.len()]);
        word += 1;
    }
    for piece in rest.chunks_mut(WORD as usize) {
        piece.copy_from_slice(&mix(seed, word)[..piece.len()]);
        word += 1;
    }
}

/// Word `index` of stream `seed`: SplitMix64, whose state is a counter.
fn mix(seed: u64, index: u64) -> [u8; WORD as usize] {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn a_stream_is_the_same_in_pieces_of_any_size() {
        let mut whole = [0; 100];
        fill(7, 0, &mut whole);
        for size in 1..40 {
            let mut pieces = Vec::new();
            while pieces.len() < whole.len() {
                let mut piece = vec![0; size.min(whole.len() - pieces.len())];
                fill(7, pieces.len() as u64, &mut piece);
                pieces.extend(piece);
            }
            assert_eq!(pieces, whole, "in pieces of {size}");
        }
    }

    #[test]
    fn streams_differ() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        fill(1, 0, &mut one);
        fill(2, 0, &mut other);
        assert_ne!(one, other);
    }
}
