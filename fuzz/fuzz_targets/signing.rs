//! Whatever a message consists of, it is signed and sealed, within its bounds; its body is hashed alike in any pieces.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sealgate::mail::Header;
use sealgate::net::Time;
use sealgate::sender_auth::{Algorithm, RelaxedBody, Chain, Signer, SigningKey, publishes};

static SIGNER: LazyLock<Option<Signer>> = LazyLock::new(|| {
    let key = Arc::new(SigningKey::generate(Algorithm::Ed25519).ok()?);
    Some(Signer { domain: "sundby.example".parse().ok()?, selector: "gw1".to_owned(), key })
});

fuzz_target!(|input: (&[u8], &[u8], usize)| {
    let (header, body, cut) = input;
    let (mut whole, mut cut_up) = (RelaxedBody::default(), RelaxedBody::default());
    whole.write(body);
    let (first, second) = body.split_at(cut.min(body.len()));
    cut_up.write(first);
    cut_up.write(second);
    let digest = whole.finish();
    assert_eq!(digest, cut_up.finish());
    let Some(signer) = SIGNER.as_ref() else { return };
    let now = Time::from_unix_ms(0);
    let _ = publishes(&String::from_utf8_lossy(header), Algorithm::Rsa, "AAAA");
    let header = Header::new(header);
    let field = signer.dkim(&header, digest, now);
    assert!(field.is_ok_and(|field| field.len() < 16 * 1024 && field.ends_with(b"\r\n")));
    for chain in [Chain::None, Chain::Pass, Chain::Fail] {
        let _ = signer.arc(&header, digest, &String::from_utf8_lossy(body), chain, now);
    }
});
