//! SHAKE128 and SHAKE256 (FIPS 202): what the cryptographic library does not offer and the hybrid identity is grown with.

use zeroize::Zeroize;

const ROUNDS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];
/// Where ρ and π take a lane, and how far they turn it (FIPS 202 §3.2.2, §3.2.3).
const MOVES: [(usize, u32); 24] = [
    (10, 1),
    (7, 3),
    (11, 6),
    (17, 10),
    (18, 15),
    (3, 21),
    (5, 28),
    (16, 36),
    (8, 45),
    (21, 55),
    (24, 2),
    (4, 14),
    (15, 27),
    (23, 41),
    (19, 56),
    (13, 8),
    (12, 25),
    (2, 43),
    (20, 62),
    (14, 18),
    (22, 39),
    (9, 61),
    (6, 20),
    (1, 44),
];
const RATE_128: usize = 168;
const RATE_256: usize = 136;
/// The end of what SHAKE absorbs (FIPS 202 §6.2) and the first bit of its padding.
const SHAKE_END: u8 = 0x1f;

/// Octets drawn from a sponge, as many as wanted. Zeroized when dropped.
pub(crate) struct Shake {
    state: [u64; 25],
    rate: usize,
    /// Octets of the present block that were given out.
    given: usize,
}

impl Shake {
    /// SHAKE128 of these octets.
    pub(crate) fn of_128(input: &[u8]) -> Self {
        Self::absorb(RATE_128, input)
    }

    /// SHAKE256 of these octets.
    pub(crate) fn of_256(input: &[u8]) -> Self {
        Self::absorb(RATE_256, input)
    }

    fn absorb(rate: usize, input: &[u8]) -> Self {
        let mut shake = Self { state: [0; 25], rate, given: 0 };
        let mut blocks = input.chunks_exact(rate);
        for block in blocks.by_ref() {
            shake.mix(block);
            shake.permute();
        }
        let rest = blocks.remainder();
        shake.mix(rest);
        shake.mix_one(rest.len(), SHAKE_END);
        shake.mix_one(rate - 1, 0x80);
        shake.permute();
        shake
    }

    /// Fills a buffer with the next octets.
    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            if self.given == self.rate {
                self.permute();
                self.given = 0;
            }
            let lane = self.state.get(self.given / 8).copied().unwrap_or_default();
            *octet = lane.to_le_bytes().get(self.given % 8).copied().unwrap_or_default();
            self.given += 1;
        }
    }

    fn mix(&mut self, block: &[u8]) {
        for (place, octet) in block.iter().enumerate() {
            self.mix_one(place, *octet);
        }
    }

    fn mix_one(&mut self, place: usize, octet: u8) {
        if let Some(lane) = self.state.get_mut(place / 8) {
            *lane ^= u64::from(octet) << (8 * (place % 8));
        }
    }

    /// Keccak-f\[1600\] (FIPS 202 §3.3).
    #[expect(clippy::indexing_slicing, reason = "every index is below 25, the length of the state")]
    fn permute(&mut self) {
        let state = &mut self.state;
        for round in ROUNDS {
            let mut parity = [0; 5];
            for (place, lane) in state.iter().enumerate() {
                parity[place % 5] ^= *lane;
            }
            for (place, lane) in state.iter_mut().enumerate() {
                *lane ^= parity[(place + 4) % 5] ^ parity[(place + 1) % 5].rotate_left(1);
            }
            let mut carried = state[1];
            for (to, turn) in MOVES {
                carried = std::mem::replace(&mut state[to], carried.rotate_left(turn));
            }
            for row in state.chunks_exact_mut(5) {
                let before = [row[0], row[1], row[2], row[3], row[4]];
                for (place, lane) in row.iter_mut().enumerate() {
                    *lane ^= !before[(place + 1) % 5] & before[(place + 2) % 5];
                }
            }
            state[0] ^= round;
        }
    }
}

impl Drop for Shake {
    fn drop(&mut self) {
        self.state.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use crate::ml_kem::keccak::*;

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// NIST's examples for FIPS 202: the empty message, and 200 octets of a3, which take two blocks.
    #[test]
    fn the_examples_of_fips_202_hold() {
        let mut out = [0; 32];
        Shake::of_128(b"").fill(&mut out);
        assert_eq!(hex(&out), "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
        Shake::of_256(b"").fill(&mut out);
        assert_eq!(hex(&out), "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f");
        Shake::of_128(&[0xa3; 200]).fill(&mut out);
        assert_eq!(hex(&out), "131ab8d2b594946b9c81333f9bb6e0ce75c3b93104fa3469d3917457385da037");
        Shake::of_256(&[0xa3; 200]).fill(&mut out);
        assert_eq!(hex(&out), "cd8a920ed141aa0407a22d59288652e9d9f1a7ee0c1e7c1ca699424da84a904d");
    }

    #[test]
    fn what_is_drawn_bit_by_bit_is_what_is_drawn_at_once() {
        let mut at_once = [0; 1000];
        Shake::of_128(b"seed").fill(&mut at_once);
        let (mut shake, mut bit_by_bit) = (Shake::of_128(b"seed"), [0; 1000]);
        bit_by_bit.chunks_mut(7).for_each(|piece| shake.fill(piece));
        assert_eq!(at_once, bit_by_bit);
    }
}
