//! Whatever stands in an age file, reading it ends, at once and bit by bit alike; what is locked here opens here.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sealgate::vault::{Epoch, Identity, Locker, Recipient, UnlockingStream, open_with, unarmor};

/// The example identities of the age specification.
const IDENTITIES: [&str; 2] = [
    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
    "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR",
];

fn own() -> &'static [Identity] {
    static OWN: OnceLock<Vec<Identity>> = OnceLock::new();
    OWN.get_or_init(|| IDENTITIES.iter().filter_map(|text| text.parse().ok()).collect())
}

fuzz_target!(|octets: &[u8]| {
    read(octets);
    if let Ok(binary) = unarmor(octets) {
        read(&binary);
    }
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(recipient) = text.parse::<Recipient>()
    {
        assert!(recipient.to_string().parse::<Recipient>().is_ok_and(|again| again == recipient));
    }
    let recipients = own().iter().map(Identity::recipient).collect();
    let locked = Locker::new(Epoch::from_number(1), recipients).lock(octets).expect("locking needs randomness alone");
    assert!(open_with(own(), locked.as_bytes()).is_ok_and(|plain| *plain == *octets));
});

fn read(file: &[u8]) {
    let at_once = open_with(own(), file);
    let (mut reading, mut out) = (UnlockingStream::new(own().to_vec()), Vec::new());
    let mut whole = file.chunks(37).try_for_each(|piece| reading.write(piece, &mut out));
    whole = whole.and_then(|()| reading.finish(&mut out));
    assert_eq!(at_once.is_ok(), whole.is_ok());
    assert!(at_once.is_err() || at_once.is_ok_and(|plain| *plain == *out));
}
