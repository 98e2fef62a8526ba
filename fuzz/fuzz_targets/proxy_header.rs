//! Whatever a proxy sends, it names a client or it is a fault; and the header is never longer than what came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::net::{Spoken, parse_proxy_header};

fuzz_target!(|octets: &[u8]| {
    if let Ok((spoken, length)) = parse_proxy_header(octets) {
        assert!(length >= 16 && length <= octets.len());
        if let Spoken::For(client) = spoken {
            assert_eq!(client.ip(), client.ip().to_canonical());
        }
    }
});
