//! AES-GCM piece by piece (NIST SP 800-38D): the library has it for whole messages alone, and gives out nothing before the
//! tag; a message of hundreds of MiB is spooled instead.

use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use zeroize::Zeroizing;

use crate::cms::cipher::aes::{BLOCK, Blocks, Counter};
use crate::cms::error::CmsError;
use crate::cms::limits;

/// The element of the field that is one.
const ONE: [u8; BLOCK] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// AES-GCM under one key and nonce. The additional data comes last, as AuthEnvelopedData has it behind the content
/// (RFC 5083 §2.1).
pub(crate) struct Gcm {
    counter: Counter,
    hash_key: Zeroizing<[u8; BLOCK]>,
    mask: Zeroizing<[u8; BLOCK]>,
    sum: Sum,
}

/// GHASH over ciphertext.
struct Sum {
    hash: GHash,
    /// Octets of a block that is not full.
    rest: [u8; BLOCK],
    filled: usize,
    octets: u64,
}

impl Gcm {
    /// With this key and a nonce of one octet or more.
    pub(crate) fn new(key: &[u8], nonce: &[u8]) -> Result<Self, CmsError> {
        let blocks = Blocks::new(key)?;
        let mut hash_key = Zeroizing::new([0; BLOCK]);
        blocks.encrypt(&mut hash_key)?;
        let first = first_block(&hash_key, nonce);
        let mut mask = Zeroizing::new(first);
        blocks.encrypt(&mut mask)?;
        let hash = GHash::new(&Block::from(*hash_key));
        let sum = Sum { hash, rest: [0; BLOCK], filled: 0, octets: 0 };
        Ok(Self { counter: Counter::after(key, &first)?, hash_key, mask, sum })
    }

    /// Encrypts and appends the ciphertext.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CmsError> {
        let start = out.len();
        self.counter.apply(plain, out)?;
        self.sum.add(out.get(start..).unwrap_or_default())
    }

    /// Decrypts and appends what is not to be believed before [`Self::tag`] was compared.
    pub(crate) fn open(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), CmsError> {
        self.sum.add(sealed)?;
        self.counter.apply(sealed, out)
    }

    /// The tag over all of it, and the additional data.
    pub(crate) fn tag(self, additional: &[u8]) -> [u8; BLOCK] {
        let key = Block::from(*self.hash_key);
        let octets = self.sum.octets;
        let (content, blocks) = self.sum.finish();
        // The additional data would have come first: each block behind it multiplies once more by the key.
        let mut front = GHash::new(&key);
        front.update_padded(additional);
        let front = product(&front.finalize(), &power(&key, blocks));
        let bits = |octets: u64| octets.wrapping_mul(8).to_be_bytes();
        let lengths = [bits(u64::try_from(additional.len()).unwrap_or(u64::MAX)), bits(octets)].concat();
        let mut last = [0; BLOCK];
        for (place, ((front, content), length)) in last.iter_mut().zip(front.iter().zip(&content).zip(lengths)) {
            *place = front ^ content ^ length;
        }
        let mut tag = [0; BLOCK];
        for (place, (hash, mask)) in tag.iter_mut().zip(product(&Block::from(last), &key).iter().zip(*self.mask)) {
            *place = hash ^ mask;
        }
        tag
    }
}

impl Sum {
    fn add(&mut self, mut octets: &[u8]) -> Result<(), CmsError> {
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        if self.octets > limits::GCM_OCTETS {
            return Err(CmsError::TooMany { what: "octets under one nonce", limit: usize::MAX });
        }
        if self.filled > 0 {
            let (now, later) = octets.split_at(octets.len().min(BLOCK - self.filled));
            for (place, octet) in self.rest.iter_mut().skip(self.filled).zip(now) {
                *place = *octet;
            }
            self.filled += now.len();
            octets = later;
            if self.filled < BLOCK {
                return Ok(());
            }
            self.hash.update(&[Block::from(self.rest)]);
        }
        let (blocks, rest) = Block::slice_as_chunks(octets);
        self.hash.update(blocks);
        self.rest = [0; BLOCK];
        for (place, octet) in self.rest.iter_mut().zip(rest) {
            *place = *octet;
        }
        self.filled = rest.len();
        Ok(())
    }

    /// The sum, and how many blocks went into it.
    fn finish(mut self) -> (Block, u64) {
        if let Some(rest) = self.rest.get(..self.filled) {
            self.hash.update_padded(rest);
        }
        (self.hash.finalize(), self.octets.div_ceil(16))
    }
}

/// The block that the counter starts from, NIST SP 800-38D §7.1 step 2.
fn first_block(hash_key: &[u8; BLOCK], nonce: &[u8]) -> [u8; BLOCK] {
    if nonce.len() == 12 {
        let mut block = [0; BLOCK];
        for (place, octet) in block.iter_mut().zip(nonce.iter().copied().chain([0, 0, 0, 1])) {
            *place = octet;
        }
        return block;
    }
    let mut hash = GHash::new(&Block::from(*hash_key));
    hash.update_padded(nonce);
    let bits = u128::try_from(nonce.len()).unwrap_or(u128::MAX).wrapping_mul(8);
    hash.update(&[Block::from(bits.to_be_bytes())]);
    hash.finalize().into()
}

fn product(left: &Block, right: &Block) -> Block {
    let mut hash = GHash::new(right);
    hash.update(&[*left]);
    hash.finalize()
}

fn power(base: &Block, exponent: u64) -> Block {
    let (mut power, mut base, mut exponent) = (Block::from(ONE), *base, exponent);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = product(&power, &base);
        }
        base = product(&base, &base);
        exponent >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// Test case 6 of "The Galois/Counter Mode of Operation" (McGrew, Viega): a nonce of 60 octets.
    #[test]
    fn a_long_nonce_is_hashed_into_the_first_block() {
        let plain = octets(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let nonce = octets(
            "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728\
             c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
        );
        let mut gcm = Gcm::new(&octets("feffe9928665731c6d6a8f9467308308"), &nonce).unwrap();
        let mut sealed = Vec::new();
        plain.chunks(7).for_each(|piece| gcm.seal(piece, &mut sealed).unwrap());
        let expected = octets(
            "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7\
             01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5",
        );
        assert_eq!(sealed, expected);
        let additional = octets("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        assert_eq!(gcm.tag(&additional).to_vec(), octets("619cc5aefffe0bfa462af43c1699d050"));
    }

    #[test]
    fn pieces_make_what_the_library_makes_of_the_whole() {
        for (algorithm, key) in [(&AES_128_GCM, &[1; 16][..]), (&AES_192_GCM, &[2; 24]), (&AES_256_GCM, &[3; 32])] {
            for length in [0, 1, 15, 16, 17, 31, 32, 1000, 70_000] {
                let plain: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
                for additional in [&b""[..], &[5; 16], &[6; 77]] {
                    let whole = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
                    let mut expected = plain.clone();
                    let nonce = Nonce::assume_unique_for_key([9; 12]);
                    let tag = whole.seal_in_place_separate_tag(nonce, Aad::from(additional), &mut expected).unwrap();
                    for piece in [1, 16, 23, 65_536] {
                        let (mut seals, mut opens) =
                            (Gcm::new(key, &[9; 12]).unwrap(), Gcm::new(key, &[9; 12]).unwrap());
                        let (mut sealed, mut opened) = (Vec::new(), Vec::new());
                        plain.chunks(piece).for_each(|piece| seals.seal(piece, &mut sealed).unwrap());
                        assert_eq!(sealed, expected);
                        assert_eq!(seals.tag(additional), tag.as_ref());
                        sealed.chunks(piece).for_each(|piece| opens.open(piece, &mut opened).unwrap());
                        assert_eq!((opened == plain, opens.tag(additional).as_ref()), (true, tag.as_ref()));
                    }
                }
            }
        }
    }
}
