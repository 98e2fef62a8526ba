//! ML-KEM-768 from a seed (FIPS 203), and the sponge it is grown with (FIPS 202).

mod keccak;
mod seed;

pub(crate) use keccak::Shake;
pub(crate) use seed::{DECAPSULATION_KEY, ENCAPSULATION_KEY, SEED, decapsulation_key, encapsulation_key};
