//! Whatever stands in a revocation list, reading it and asking it ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::cms::Crl;

fuzz_target!(|octets: &[u8]| {
    let Ok(list) = Crl::read(octets) else { return };
    assert!(Crl::read(list.as_der()).is_ok());
    let _ = (list.is_fresh(1_790_000_000, 0), list.scope().is_ok(), list.is_delta(), list.is_understood());
    let _ = list.entry(list.issuer(), &[1]);
});
