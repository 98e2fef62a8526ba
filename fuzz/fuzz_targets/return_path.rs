//! Marked return paths: whatever they say, reading one ends, and one we did not make leads nowhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::mail::{Address, ReversePath, Srs};
use sealgate::net::Time;
use sealgate::vault::IndexKey;

fuzz_target!(|text: &str| {
    let _ = Srs::read(text);
    let Ok(address) = text.parse::<Address>() else { return };
    let plain = address.untagged();
    assert!(plain.to_string().parse::<Address>().is_ok());
    let (key, hostname) = (IndexKey::new(&[7; 32]), "gw.sundby.example".parse().unwrap());
    let paths = sealgate::flow::ReturnPaths { key: &key, hostname: &hostname };
    let now = Time::from_unix_ms(1_790_000_000_000);
    if let ReversePath::Mailbox(path) = paths.of(&address, now) {
        let is_first = !matches!(Srs::read(address.local().as_str()), Some(Srs::Further { .. }));
        let home = paths.home(&path, now);
        assert!(!is_first || home.is_some_and(|home| home.folded() == address.folded()));
    }
});
