//! A message is recognised as S/MIME or not; its signed content is the same however it arrives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::cms::entity::{BodyDecoder, Entity, EntityKind, SignedMultipart};
use sealgate::mail::Header;

/// The octets that are given, and whether the whole could be read.
fn read(kind: &Entity, body: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    match &kind.kind {
        EntityKind::MultipartSigned { boundary, micalg } => {
            let mut multipart = SignedMultipart::new(boundary, micalg);
            for octets in body.chunks(piece) {
                if multipart.push(octets, &mut |octets| content.extend_from_slice(octets)).is_err() {
                    return (content, false);
                }
            }
            let whole = multipart.finish(&mut |octets| content.extend_from_slice(octets)).is_ok();
            (content, whole)
        }
        EntityKind::Cms(_) | EntityKind::LoneSignature => {
            let mut decoder = BodyDecoder::new(kind.encoding);
            body.chunks(piece).for_each(|octets| decoder.push(octets, &mut |octets| content.extend_from_slice(octets)));
            let whole = decoder.finish(&mut |octets| content.extend_from_slice(octets)).is_ok();
            (content, whole)
        }
    }
}

fuzz_target!(|message: &[u8]| {
    let head = message.windows(4).position(|octets| octets == b"\r\n\r\n").map_or(message.len(), |at| at + 4);
    let (header, body) = message.split_at(head);
    let Ok(Some(entity)) = Entity::of(&Header::new(header)) else { return };
    let (content, is_whole) = read(&entity, body, body.len().max(1));
    for piece in [1, 7, 1_000] {
        let (same, whole) = read(&entity, body, piece);
        assert_eq!(whole, is_whole);
        assert!(!is_whole || same == content);
    }
});
