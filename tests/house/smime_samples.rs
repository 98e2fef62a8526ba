//! Messages that standards and drafts print, and a message of its time.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealgate::cms::algorithm::SignatureAlgorithm;
use sealgate::cms::{
    Certificate, CmsError, ContentDigests, Decompressor, Progress, SignatureFault, SignerFault, Strictness, Unsealer,
    Weakness, pem_blocks,
};

use crate::cms_signed::{Layer, layers};
use crate::smime_office::try_read;

/// What the examples of draft-ireland-examples-cms have for content.
const CONTENT: &[u8] = b"This is some sample content.";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/house").join(name)
}

fn certificate(name: &str) -> Certificate {
    let file = fs::read(folder("cms_signed").join(format!("{name}.pem"))).unwrap();
    Certificate::read(&pem_blocks(&file).unwrap()[0].der).unwrap()
}

/// The five that are signed, by the keys of RFC 9216 §4 and §7. Those that are sealed stand among the sealed ones of others.
#[test]
fn examples_of_the_draft_are_verified() {
    let others = [certificate("alice"), certificate("carlos")];
    let all = [
        ("signedByAliceRSA", 1),
        ("signedByAliceRSAPSS", 1),
        ("signedByCarlosEd25519", 1),
        ("signedByCarlosDetached", 0),
        ("signedByAliceAndCarlosNoCerts", 1),
    ];
    for (name, signatures) in all {
        let message = fs::read(folder("cms_signed").join(format!("ireland-{name}.der"))).unwrap();
        let (content, data) = try_read(&message).unwrap();
        let reports = if data.has_content() {
            assert_eq!(content, CONTENT, "{name}");
            data.verify(&others, Strictness::Strict)
        } else {
            data.verify_detached(&ContentDigests::of(CONTENT, &data.digests()), &others, Strictness::Strict)
        };
        let reports = reports.unwrap();
        let held = reports.iter().filter(|report| report.verdict == Ok(None)).count();
        assert_eq!(held, signatures, "{name}: {reports:?}");
        for report in reports.iter().filter(|report| report.verdict != Ok(None)) {
            // Ed25519 over the content itself, which it takes whole and twice: of contents we keep digests alone.
            assert_eq!(report.verdict, Err(SignerFault::Signature(SignatureFault::Unsupported)), "{name}");
            assert!(report.signature == Some(SignatureAlgorithm::Ed25519) && report.attributes.is_none(), "{name}");
        }
    }
    println!(
        "draft-ireland-examples-cms: 5 signed messages, 4 of 6 signatures hold, 2 are of a kind that is not served"
    );
}

/// A key that both sides had before, and a cipher that we do not serve: refused by name, and not as damaged.
#[test]
fn examples_that_are_not_served_are_refused() {
    for (name, expected) in [("encryptedKekri", "nobody"), ("authEnvelopedForBobChaCha20Poly1305", "cipher")] {
        let message = fs::read(folder("cms").join(format!("ireland-{name}.der"))).unwrap();
        let (mut unsealer, mut input) = (Unsealer::default(), &message[..]);
        let found = unsealer.read(&mut input, &mut Vec::new());
        match expected {
            "nobody" => {
                assert_eq!(found, Ok(Progress::Recipients));
                let envelope = unsealer.envelope().unwrap();
                assert_eq!((envelope.keys().len(), envelope.unknown()), (0, 1));
            }
            _ => assert!(matches!(found, Err(CmsError::UnknownAlgorithm { .. })), "{found:?}"),
        }
    }
    println!("draft-ireland-examples-cms: 2 messages of kinds that are not served are refused");
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(folder("cms_signed").join(name)).unwrap()
}

/// RFC 8551 §3.3 to 3.6 print five messages, and none of them is one that we would believe: three are sealed for a key
/// that nobody printed or signed by DSA, one does not fit its own digest, and what is called compressed is zlib alone.
#[test]
fn samples_of_rfc_8551_are_read_as_what_they_are() {
    for name in ["rfc8551-enveloped.eml", "rfc8551-authenveloped.eml"] {
        let (found, sealed) = layers(&sample(name), Strictness::AllowWeak).unwrap();
        assert!(matches!(found[..], [Layer::Sealed]), "{name}");
        let (mut unsealer, mut input) = (Unsealer::default(), &sealed[..]);
        assert_eq!(unsealer.read(&mut input, &mut Vec::new()), Ok(Progress::Recipients), "{name}");
        assert_eq!(unsealer.envelope().unwrap().keys().len(), 1, "{name}");
    }
    let (found, content) = layers(&sample("rfc8551-signed.eml"), Strictness::AllowWeak).unwrap();
    let [Layer::Signed(Ok(reports))] = &found[..] else { panic!("{found:?}") };
    assert!(reports.len() == 1 && !reports[0].holds() && content.ends_with(CONTENT), "{reports:?}");
    let (found, _) = layers(&sample("rfc8551-multipart.eml"), Strictness::AllowWeak).unwrap();
    let [Layer::Signed(Ok(reports))] = &found[..] else { panic!("{found:?}") };
    assert!(reports.len() == 1 && !reports[0].holds(), "{reports:?}");
    let text = String::from_utf8(sample("rfc8551-compressed.eml")).unwrap();
    let compressed = STANDARD.decode(text.trim_end().rsplit_once("\r\n").unwrap().1).unwrap();
    assert!(Decompressor::new(10_000).push(&compressed, &mut |_| panic!("a content")).is_err());
    println!("RFC 8551: 5 messages read, none believed");
}

/// From 2013, with the SHA-1 of its time. It is kept with bare line feeds.
#[test]
fn a_message_of_thunderbird_24_is_verified() {
    let message = String::from_utf8(sample("thunderbird-24-signed.eml")).unwrap().replace('\n', "\r\n");
    for (strictness, expected) in [
        (Strictness::AllowWeak, Ok(Some(Weakness::Sha1))),
        (Strictness::Strict, Err(SignerFault::Signature(SignatureFault::Weak))),
    ] {
        let (found, _) = layers(message.as_bytes(), strictness).unwrap();
        let [Layer::Signed(Ok(reports))] = &found[..] else { panic!("{found:?}") };
        let [report] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!(report.verdict, expected);
    }
}
