//! Whatever stands in a file that a password opens, reading it ends within its bounds of work.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::cms::{Imported, Password};
use zeroize::Zeroizing;

fuzz_target!(|octets: &[u8]| {
    let Ok(password) = Password::new(Zeroizing::new("password".to_owned())) else { return };
    let Ok(read) = Imported::read(octets, Some(&password)) else { return };
    for key in &read.keys {
        let again = Imported::read(key.as_der(), None).map(|again| again.keys.len());
        assert_eq!(again, Ok(1));
    }
});
