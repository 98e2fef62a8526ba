//! A message taken apart whole and in pieces gives the same parts, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::mail::{Bounce, Header, PartEnd, PartHead, PartSink, Splitter};

#[derive(Default, PartialEq, Eq, Debug)]
struct Seen(Vec<(String, Vec<u8>, bool)>);

impl PartSink for Seen {
    fn header(&mut self, header: &Header) {
        for field in header.fields() {
            let _ = (field.text(), field.unfolded());
        }
        let _ = (header.addresses("To"), header.message_ids("References"));
    }

    fn part(&mut self, head: &PartHead) {
        self.0.push((head.media_type.clone(), Vec::new(), false));
    }

    fn octets(&mut self, octets: &[u8]) {
        self.0.last_mut().expect("octets belong to a part").1.extend_from_slice(octets);
    }

    fn end(&mut self, end: PartEnd) {
        self.0.last_mut().expect("an end belongs to a part").2 = end == PartEnd::Damaged;
    }
}

fn split(message: &[u8], piece: usize) -> Seen {
    let mut seen = Seen::default();
    let mut splitter = Splitter::new();
    for octets in message.chunks(piece) {
        splitter.push(octets, &mut seen);
    }
    splitter.finish(&mut seen);
    seen
}

fuzz_target!(|message: &[u8]| {
    let whole = split(message, message.len().max(1));
    for piece in [1, 7, 1_000] {
        assert_eq!(split(message, piece), whole);
    }
    let _ = Bounce::read(message);
});
