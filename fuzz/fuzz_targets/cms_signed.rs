//! A signed message read whole and in pieces gives the same, every signer gets a verdict, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::cms::{CmsError, ContentDigests, Decompressor, SignedData, SignedReader, Strictness};

fn read(message: &[u8], piece: usize) -> (Vec<u8>, Result<SignedData, CmsError>) {
    let (mut content, mut reader) = (Vec::new(), SignedReader::default());
    for octets in message.chunks(piece) {
        if let Err(fault) = reader.push(octets, &mut |octets| content.extend_from_slice(octets)) {
            return (content, Err(fault));
        }
    }
    (content, reader.finish())
}

fuzz_target!(|message: &[u8]| {
    let (content, whole) = read(message, message.len().max(1));
    for piece in [1, 7, 1_000] {
        let (same, data) = read(message, piece);
        assert_eq!(data.is_ok(), whole.is_ok());
        assert!(whole.is_err() || same == content);
    }
    if let Ok(data) = whole {
        let detached = ContentDigests::of(b"detached", &data.digests());
        let _ = (data.verify(&[], Strictness::AllowWeak), data.verify_detached(&detached, &[], Strictness::Strict));
        let _ = (data.certificates(), data.crls().count());
    }
    let mut octets = 0;
    let mut reader = Decompressor::new(1 << 20);
    if reader.push(message, &mut |given| octets += given.len()).is_ok() {
        let _ = reader.finish();
    }
    assert!(octets <= 1 << 20);
});
