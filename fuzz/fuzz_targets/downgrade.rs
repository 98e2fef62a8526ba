//! A message written in seven bits is in seven bits, reads the same as before, and comes out the same in pieces.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sealgate::mail::{Downgrade, Header, NotInSevenBits, PartEnd, PartHead, PartSink, Splitter};

#[derive(Default, PartialEq, Eq, Debug)]
struct Seen(Vec<(String, Vec<u8>)>);

impl PartSink for Seen {
    fn header(&mut self, _header: &Header) {}

    fn part(&mut self, head: &PartHead) {
        self.0.push((head.media_type.clone(), Vec::new()));
    }

    fn octets(&mut self, octets: &[u8]) {
        self.0.last_mut().expect("octets belong to a part").1.extend_from_slice(octets);
    }

    fn end(&mut self, _end: PartEnd) {}
}

fn seen(message: &[u8]) -> Seen {
    let (mut seen, mut splitter) = (Seen::default(), Splitter::new());
    splitter.push(message, &mut seen);
    splitter.finish(&mut seen);
    // Headers within are changed where they say how what follows is written.
    seen.0.retain(|(media_type, _)| media_type != "text/rfc822-headers");
    seen
}

fn lowered(message: &[u8], piece: usize) -> Result<Vec<u8>, NotInSevenBits> {
    let (mut downgrade, mut out) = (Downgrade::default(), BytesMut::new());
    for octets in message.chunks(piece) {
        downgrade.push(octets, &mut out)?;
    }
    downgrade.finish(&mut out)?;
    Ok(out.to_vec())
}

fuzz_target!(|text: &[u8]| {
    // As messages are kept: every line ends with CRLF.
    let mut message = Vec::new();
    for line in text.split(|octet| *octet == b'\n') {
        message.extend(line.iter().filter(|octet| **octet != b'\r'));
        message.extend_from_slice(b"\r\n");
    }
    let whole = lowered(&message, message.len());
    for piece in [1, 7, 1_000] {
        assert_eq!(lowered(&message, piece), whole);
    }
    if let Ok(seven) = whole {
        assert!(seven.is_ascii());
        assert_eq!(seen(&seven), seen(&message));
    }
});
