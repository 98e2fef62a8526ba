//! Whatever a domain publishes, the places it names are few and none is but mail or HTTPS at its usual port.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::mail::{ReportPlace, report_places};

fuzz_target!(|text: &str| {
    let places = report_places(&[text.to_owned()]);
    assert!(places.len() <= 4);
    for place in places {
        match place {
            ReportPlace::Mail(address) => assert!(address.to_string().is_ascii()),
            ReportPlace::Https(_, path) => {
                assert!(path.starts_with('/') && path.bytes().all(|octet| octet.is_ascii_graphic()));
            }
        }
    }
});
