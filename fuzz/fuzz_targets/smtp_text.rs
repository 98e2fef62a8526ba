//! Wherever the blocks part, the same message comes out; it ends at the first CRLF.CRLF and nowhere else; and what is
//! taken holds no CR or LF that stands alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::smtp::{TextFault, Unstuffer};

fn unstuff(blocks: &[&[u8]]) -> (Vec<u8>, Option<TextFault>, Option<usize>) {
    let mut unstuffer = Unstuffer::new(1_000);
    let (mut message, mut used) = (Vec::new(), 0);
    for block in blocks {
        let mut block = block.to_vec();
        let step = unstuffer.unstuff(&mut block);
        message.extend_from_slice(&block[..step.kept]);
        used += step.used;
        if step.ended {
            return (message, unstuffer.fault(), Some(used));
        }
    }
    (message, unstuffer.fault(), None)
}

fuzz_target!(|input: (u16, &[u8])| {
    let (at, wire) = input;
    let (front, back) = wire.split_at(usize::from(at).min(wire.len()));
    let whole = unstuff(&[wire]);
    assert_eq!(unstuff(&[front, back]), whole);
    let behind_greeting = [b"\r\n", wire].concat();
    let end = behind_greeting.windows(5).position(|five| five == b"\r\n.\r\n").map(|at| at + 3);
    assert_eq!(whole.2, end);
    if whole.1.is_none() && end.is_some() {
        let text = String::from_utf8_lossy(&whole.0).replace("\r\n", "");
        assert!(!text.contains(['\r', '\n']));
    }
});
