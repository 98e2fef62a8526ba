//! Whatever stands in a sealed message, opening it ends, at once and in pieces alike; what is sealed here opens here.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sealgate::cms::algorithm::{AesKeyLength, ContentEncryption};
use sealgate::cms::{
    Certificate, CmsError, Opened, PrivateKey, Progress, RecipientId, SealTo, Sealer, SoftwareKey, Strictness, Unsealer,
};

/// An X25519 key: PKCS #8 around a scalar of sevens.
fn own() -> &'static (SoftwareKey, Certificate) {
    static OWN: OnceLock<(SoftwareKey, Certificate)> = OnceLock::new();
    OWN.get_or_init(|| {
        let algorithm = tlv(0x30, &[&tlv(6, &[&[0x2b, 0x65, 0x6e]])]);
        let scalar = tlv(4, &[&tlv(4, &[&[7; 32]])]);
        let key = SoftwareKey::read(&tlv(0x30, &[&[2, 1, 0], &algorithm, &scalar])).expect("a key");
        let name = tlv(0x30, &[]);
        let signed = tlv(0x30, &[&[2, 1, 9], &algorithm, &name, &tlv(0x30, &[]), &name, key.public_info()]);
        let certificate = tlv(0x30, &[&signed, &algorithm, &tlv(3, &[&[0]])]);
        (key, Certificate::read(&certificate).expect("a certificate"))
    })
}

/// Lengths below 256 are enough here.
fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = u8::try_from(contents.len()).expect("short");
    let length = if length < 128 { vec![length] } else { vec![0x81, length] };
    [&[tag], &length[..], &contents].concat()
}

fuzz_target!(|octets: &[u8]| {
    let at_once = open(octets, octets.len().max(1));
    let in_pieces = open(octets, 7);
    assert_eq!(at_once.is_ok(), in_pieces.is_ok());
    if let (Ok(one), Ok(other)) = (at_once, in_pieces) {
        assert!(one == other);
    }
    let (_, certificate) = own();
    for content in [ContentEncryption::AesGcm(AesKeyLength::Bits256), ContentEncryption::AesCbc(AesKeyLength::Bits128)] {
        let to = SealTo::usual(certificate, content).expect("X25519 seals");
        assert_eq!(to.id, RecipientId::by_issuer(certificate));
        for length in [None, u64::try_from(octets.len()).ok()] {
            let mut sealed = Vec::new();
            let identifier = "1.2.840.113549.1.7.1".parse().expect("an identifier");
            let mut sealer = Sealer::new(content, identifier, &[to.clone()], length, &mut sealed).expect("sealing");
            octets.chunks(100).for_each(|piece| sealer.update(piece, &mut sealed).expect("sealing"));
            sealer.finish(&mut sealed).expect("sealing");
            assert!(open(&sealed, 1000).is_ok_and(|(plain, _)| plain == octets));
        }
    }
});

fn open(sealed: &[u8], piece: usize) -> Result<(Vec<u8>, Opened), CmsError> {
    let (mut unsealer, mut plain) = (Unsealer::default(), Vec::new());
    for mut input in sealed.chunks(piece) {
        while unsealer.read(&mut input, &mut plain)? == Progress::Recipients {
            unsealer.unlock(0, &own().0, Strictness::AllowWeak)?;
        }
    }
    let opened = unsealer.finish(&mut plain)?;
    Ok((plain, opened))
}
