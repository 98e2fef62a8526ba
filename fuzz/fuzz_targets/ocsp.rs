//! Whatever a responder answers, judging it ends, and an answer nobody signed is never good.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sealgate::cms::{Certificate, Imported, OcspCheck, Strictness, ocsp_status};

fn own() -> &'static Certificate {
    static OWN: OnceLock<Certificate> = OnceLock::new();
    OWN.get_or_init(|| {
        let mut read = Imported::read(include_bytes!("../seeds/own.pem"), None).expect("it was written by openssl");
        read.certificates.remove(0)
    })
}

fuzz_target!(|octets: &[u8]| {
    let check = OcspCheck { at: 1_790_000_000, grace: 0, nonce: None, strictness: Strictness::AllowWeak };
    assert!(ocsp_status(octets, own(), own(), &check).is_err());
});
