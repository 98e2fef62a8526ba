//! Bech32 (BIP 173) without its length limit, as the age format writes keys.

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM: usize = 6;

/// Writes octets under a human-readable part, lower case.
pub(crate) fn encode(hrp: &str, octets: &[u8]) -> String {
    let mut values = to_five_bits(octets);
    let mut check = expand(hrp);
    check.extend(&values);
    check.extend([0; CHECKSUM]);
    let sum = polymod(&check) ^ 1;
    values.extend((0..CHECKSUM).map(|place| (sum >> (5 * (CHECKSUM - 1 - place)) & 31) as u8));
    let letters = values.iter().map(|value| char::from(CHARSET.get(usize::from(*value)).copied().unwrap_or(b'q')));
    hrp.chars().chain(['1']).chain(letters).collect()
}

/// The human-readable part (lower case) and the octets; `None` if the text is not bech32.
pub(crate) fn decode(text: &str) -> Option<(String, Vec<u8>)> {
    let mixed = text.bytes().any(|b| b.is_ascii_lowercase()) && text.bytes().any(|b| b.is_ascii_uppercase());
    if mixed || !text.is_ascii() {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let (hrp, letters) = lower.rsplit_once('1')?;
    if hrp.is_empty() || letters.len() < CHECKSUM {
        return None;
    }
    let value = |letter: u8| CHARSET.iter().position(|known| *known == letter).and_then(|v| u8::try_from(v).ok());
    let values: Vec<u8> = letters.bytes().map(value).collect::<Option<_>>()?;
    let mut check = expand(hrp);
    check.extend(&values);
    if polymod(&check) != 1 {
        return None;
    }
    let kept = values.get(..values.len() - CHECKSUM)?;
    Some((hrp.to_owned(), to_octets(kept)?))
}

fn expand(hrp: &str) -> Vec<u8> {
    hrp.bytes().map(|b| b >> 5).chain([0]).chain(hrp.bytes().map(|b| b & 31)).collect()
}

fn polymod(values: &[u8]) -> u32 {
    values.iter().fold(1, |sum, value| {
        let top = sum >> 25;
        let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(*value);
        GENERATOR
            .iter()
            .enumerate()
            .fold(next, |next, (bit, generator)| if top >> bit & 1 == 1 { next ^ generator } else { next })
    })
}

fn to_five_bits(octets: &[u8]) -> Vec<u8> {
    let mut values = Vec::with_capacity(octets.len() * 8 / 5 + 1);
    let (mut bits, mut count) = (0_u32, 0);
    for octet in octets {
        bits = (bits << 8 | u32::from(*octet)) & 0xfff;
        count += 8;
        while count >= 5 {
            count -= 5;
            values.push((bits >> count & 31) as u8);
        }
    }
    if count > 0 {
        values.push((bits << (5 - count) & 31) as u8);
    }
    values
}

fn to_octets(values: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(values.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0);
    for value in values {
        bits = (bits << 5 | u32::from(*value)) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count & 255) as u8);
        }
    }
    // What is left over must be fewer than five bits, all zero.
    (count < 5 && bits & ((1 << count) - 1) == 0).then_some(octets)
}
