//! ML-KEM-768 key generation from a seed (FIPS 203 §6.1). The cryptographic library encapsulates and decapsulates; it
//! grows no key from a given seed, and seeds are what the age format and RFC 9935 §6 keep.

use aws_lc_rs::digest;
use zeroize::{Zeroize, Zeroizing};

use crate::ml_kem::keccak::Shake;

/// Octets of the seed: d, then z.
pub(crate) const SEED: usize = 64;
/// Octets of an encapsulation key.
pub(crate) const ENCAPSULATION_KEY: usize = 1184;
/// Octets of a decapsulation key.
pub(crate) const DECAPSULATION_KEY: usize = 2400;

const RANK: u8 = 3;
const DEGREE: usize = 256;
const MODULUS: u32 = 3329;
/// ⌊2^36 / q⌋: the quotient it gives is right or one too small for anything below 2^32.
const RECIPROCAL: u64 = (1 << 36) / MODULUS as u64;
/// Octets of noise that a polynomial takes (η = 2).
const NOISE: usize = 128;

/// Coefficients below the modulus. Zeroized by whoever holds secret ones.
type Polynomial = [u32; DEGREE];

/// 17 to the power of the bit-reversed place (FIPS 203, appendix A).
const ZETAS: [u32; 128] = powers_of_17(1, 0);
/// 17 to the power of twice the bit-reversed place and one.
const GAMMAS: [u32; 128] = powers_of_17(2, 1);

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn powers_of_17(times: u32, plus: u32) -> [u32; 128] {
    let mut powers = [1; 128];
    let mut place: u8 = 0;
    while place < 128 {
        let mut left = (place.reverse_bits() >> 1) as u32 * times + plus;
        while left > 0 {
            powers[place as usize] = powers[place as usize] * 17 % MODULUS;
            left -= 1;
        }
        place += 1;
    }
    powers
}

/// The decapsulation key of a seed. Its encapsulation key stands inside it: see [`encapsulation_key`].
pub(crate) fn decapsulation_key(seed: &[u8; SEED]) -> Zeroizing<Vec<u8>> {
    let (d, z) = seed.split_at(SEED / 2);
    let mut grown = Zeroizing::new([0; 64]);
    grown.copy_from_slice(digest::digest(&digest::SHA3_512, &Zeroizing::new([d, &[RANK]].concat())).as_ref());
    let (rho, sigma) = grown.split_at(32);

    let mut secret: Vec<Zeroizing<Polynomial>> = (0..RANK).map(|number| noise(sigma, number)).collect();
    secret.iter_mut().for_each(|polynomial| transform(polynomial));

    let mut key = Zeroizing::new(Vec::with_capacity(DECAPSULATION_KEY));
    secret.iter().for_each(|polynomial| encode(polynomial, &mut key));
    for row in 0..RANK {
        let mut sum = noise(sigma, RANK + row);
        transform(&mut sum);
        for (column, polynomial) in (0..RANK).zip(&secret) {
            add_product(&mut sum, &matrix(rho, row, column), polynomial);
        }
        encode(&sum, &mut key);
    }
    key.extend_from_slice(rho);
    let hash = digest::digest(&digest::SHA3_256, encapsulation_key(&key));
    key.extend_from_slice(hash.as_ref());
    key.extend_from_slice(z);
    key
}

/// The public part of a decapsulation key (FIPS 203, algorithm 16).
pub(crate) fn encapsulation_key(decapsulation_key: &[u8]) -> &[u8] {
    let secret = DECAPSULATION_KEY - ENCAPSULATION_KEY - 64;
    decapsulation_key.get(secret..secret + ENCAPSULATION_KEY).unwrap_or_default()
}

/// Below the modulus, without a division or a branch: the time tells nothing.
fn reduce(number: u32) -> u32 {
    let quotient = ((u64::from(number) * RECIPROCAL) >> 36) as u32;
    let rest = number - quotient * MODULUS;
    let lower = rest.wrapping_sub(MODULUS);
    lower.wrapping_add(MODULUS & (lower >> 31).wrapping_neg())
}

/// An entry of the public matrix, in the transform's domain (FIPS 203, algorithm 7).
fn matrix(rho: &[u8], row: u8, column: u8) -> Polynomial {
    let mut shake = Shake::of_128(&[rho, &[column, row]].concat());
    let mut entry = [0; DEGREE];
    let mut places = entry.iter_mut();
    let mut place = places.next();
    while place.is_some() {
        let mut drawn = [0; 3];
        shake.fill(&mut drawn);
        let [low, middle, high] = drawn.map(u32::from);
        for candidate in [low | (middle & 15) << 8, middle >> 4 | high << 4] {
            if candidate < MODULUS
                && let Some(coefficient) = place
            {
                *coefficient = candidate;
                place = places.next();
            }
        }
    }
    entry
}

/// A small secret polynomial (FIPS 203, algorithm 8): each coefficient is two bits less two bits.
fn noise(sigma: &[u8], number: u8) -> Zeroizing<Polynomial> {
    let mut drawn = Zeroizing::new([0; NOISE]);
    Shake::of_256(&Zeroizing::new([sigma, &[number]].concat())).fill(drawn.as_mut());
    let mut polynomial = Zeroizing::new([0; DEGREE]);
    for (pair, octet) in polynomial.chunks_exact_mut(2).zip(drawn.iter()) {
        for (coefficient, bits) in pair.iter_mut().zip([u32::from(octet & 15), u32::from(octet >> 4)]) {
            let (more, less) = ((bits & 1) + (bits >> 1 & 1), (bits >> 2 & 1) + (bits >> 3));
            *coefficient = reduce(more + MODULUS - less);
        }
    }
    polynomial
}

/// The number-theoretic transform, in place (FIPS 203, algorithm 9).
fn transform(polynomial: &mut Polynomial) {
    let mut zetas = ZETAS.iter().skip(1);
    for half in [128, 64, 32, 16, 8, 4, 2] {
        for (block, zeta) in polynomial.chunks_exact_mut(2 * half).zip(zetas.by_ref().take(DEGREE / 2 / half)) {
            let (left, right) = block.split_at_mut(half);
            for (low, high) in left.iter_mut().zip(right) {
                let turned = reduce(zeta * *high);
                *high = reduce(*low + MODULUS - turned);
                *low = reduce(*low + turned);
            }
        }
    }
}

/// Adds a product in the transform's domain (FIPS 203, algorithms 11 and 12).
fn add_product(sum: &mut Polynomial, left: &Polynomial, right: &Polynomial) {
    let pairs = left.chunks_exact(2).zip(right.chunks_exact(2)).zip(GAMMAS);
    for (out, ((left, right), gamma)) in sum.chunks_exact_mut(2).zip(pairs) {
        if let ([even, odd], [a0, a1], [b0, b1]) = (out, left, right) {
            *even = reduce(*even + a0 * b0 + reduce(a1 * b1) * gamma);
            *odd = reduce(*odd + a0 * b1 + a1 * b0);
        }
    }
}

/// Twelve bits a coefficient (FIPS 203, algorithm 5).
fn encode(polynomial: &Polynomial, out: &mut Vec<u8>) {
    for pair in polynomial.chunks_exact(2) {
        if let [low, high] = pair {
            let mut bits = (low | high << 12).to_le_bytes();
            out.extend(bits.iter().take(3));
            bits.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::kem::{DecapsulationKey, EncapsulationKey, ML_KEM_768};

    use crate::ml_kem::seed::*;
    use crate::vault::random_octets;

    #[test]
    fn reduction_is_right_at_the_edges_and_between() {
        for number in (0..100_000).chain((0..=u32::MAX).step_by(65_537)).chain([u32::MAX, 3 * 3328 * 3328]) {
            assert_eq!(reduce(number), number % MODULUS, "{number}");
        }
    }

    /// The library checks the public half's form and hash, and the two halves must agree on a secret.
    #[test]
    fn the_library_takes_keys_grown_here() {
        for _ in 0..50 {
            let key = decapsulation_key(&random_octets().unwrap());
            assert_eq!(key.len(), DECAPSULATION_KEY);
            let public = EncapsulationKey::new(&ML_KEM_768, encapsulation_key(&key)).unwrap();
            let (ciphertext, secret) = public.encapsulate().unwrap();
            let private = DecapsulationKey::new(&ML_KEM_768, &key).unwrap();
            assert_eq!(private.decapsulate(ciphertext).unwrap().as_ref(), secret.as_ref());
        }
    }
}
