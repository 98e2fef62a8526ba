//! Signatures of `openssl cms` verified by us, ours verified by it, and attacks on both.

use std::fs;
use std::path::PathBuf;

use der::oid::ObjectIdentifier;
use sealgate::cms::algorithm::{AesKeyLength, ContentEncryption, DigestAlgorithm, SignatureAlgorithm};
use sealgate::cms::entity::{
    Base64Writer, BodyDecoder, Entity, EntityFault, EntityKind, MultipartSignedWriter, SignedMultipart, SmimeType,
    entity_header,
};
use sealgate::cms::{
    AttributeFault, Capabilities, Certificate, ContentDigests, ContentKind, IssuerAndSerial, KeyPreference,
    OpaqueWriter, Part, PrivateKey, SealTo, SignatureFault, SignatureType, SignedFault, SignedReader, SignerFault,
    SignerId, SignerReport, Signing, Splitter, Statement, Strictness, Weakness, certificates_only,
};
use sealgate::mail::Header;

use crate::smime_office::{Office, P256, P384, Person, RSA_2048, TEXT, TIME, opaque, open, read, reports, seal, sign};

const SHA_256: DigestAlgorithm = DigestAlgorithm::Sha256;

impl Office {
    fn rsa(&self, name: &'static str) -> Person {
        self.person(name, RSA_2048)
    }

    fn p256(&self, name: &'static str) -> Person {
        self.person(name, P256)
    }

    fn p384(&self, name: &'static str) -> Person {
        self.person(name, P384)
    }

    /// What `openssl cms -sign` makes of the text.
    fn signed(&self, name: &str, options: &str) -> Vec<u8> {
        self.must(&format!(
            "cms -sign -binary -in text -signer {name}.pem -inkey {name}.key -outform DER -out signed {options}"
        ));
        self.read("signed")
    }

    /// Whether `openssl cms -verify` believes it, and what it gives for content.
    fn openssl_verifies(&self, message: &[u8], options: &str) -> (bool, Vec<u8>, String) {
        self.write("message", message);
        let (holds, said) = self.openssl(&format!(
            "cms -verify -binary -inform DER -in message -CAfile root.pem -no-CApath -no-CAstore -out content {options}"
        ));
        (holds, self.read("content"), said)
    }
}

fn verdict(message: &[u8]) -> Result<Option<Weakness>, SignerFault> {
    let [report] = &reports(message, &[]).unwrap()[..] else { panic!("more signers than one") };
    report.verdict.clone()
}

#[test]
fn what_openssl_signs_is_verified() {
    let office = Office::new();
    office.rsa("rsa");
    office.p256("p256");
    office.p384("p384");
    let pss = "-keyopt rsa_padding_mode:pss";
    let kinds = [
        ("rsa", String::new()),
        ("p256", String::new()),
        ("p384", String::new()),
        ("rsa", format!("{pss} -keyopt rsa_pss_saltlen:20")),
        ("rsa", format!("{pss} -keyopt rsa_pss_saltlen:32")),
        ("rsa", format!("{pss} -keyopt rsa_pss_saltlen:max")),
    ];
    let forms = [
        "-nodetach",
        "-nodetach -stream",
        "",
        "-nodetach -nosmimecap",
        "-nodetach -keyid",
        "-nodetach -noattr",
        "-noattr",
    ];
    for (name, options) in &kinds {
        for digest in ["sha256", "sha384", "sha512"] {
            // This release of openssl cannot write PSS while it streams.
            for form in forms.iter().filter(|form| options.is_empty() || !form.contains("-stream")) {
                let message = office.signed(name, &format!("{form} -md {digest} {options}"));
                let (content, data) = read(&message);
                assert_eq!(content, if data.has_content() { TEXT } else { b"" });
                assert_eq!(verdict(&message), Ok(None), "{name} {digest} {form} {options}");
                let report = &reports(&message, &[]).unwrap()[0];
                assert_eq!(matches!(report.id, Some(SignerId::KeyId(_))), form.contains("-keyid"));
                assert_eq!(report.signing_time().is_none(), form.contains("-noattr"));
                let capabilities = report.attributes.as_ref().and_then(|said| said.capabilities.as_ref());
                let has_capabilities = !form.contains("-noattr") && !form.contains("-nosmimecap");
                assert_eq!(capabilities.is_some_and(|list| list.content().count() > 2), has_capabilities);
            }
        }
    }
    let sha_1 = office.signed("rsa", "-nodetach -md sha1");
    assert_eq!(verdict(&sha_1), Err(SignerFault::Signature(SignatureFault::Weak)));
    let allowed = read(&sha_1).1.verify(&[], Strictness::AllowWeak).unwrap();
    assert_eq!(allowed[0].verdict, Ok(Some(Weakness::Sha1)));
    let without = office.signed("rsa", "-nodetach -nocerts");
    assert_eq!(verdict(&without), Err(SignerFault::NoCertificate));
    let certificate = Certificate::read(&office.read("rsa.der")).unwrap();
    assert!(reports(&without, &[certificate]).unwrap()[0].holds());
}

#[test]
fn what_we_sign_openssl_verifies() {
    let office = Office::new();
    let (rsa, p256, p384) = (office.rsa("rsa"), office.p256("p256"), office.p384("p384"));
    let mut all = Vec::new();
    for hash in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
        all.push((&rsa, SignatureAlgorithm::RsaPkcs1(Some(hash))));
        all.push((&rsa, SignatureAlgorithm::pss(hash)));
    }
    all.push((&p256, SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256)));
    all.push((&p384, SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha384)));
    for (person, algorithm) in all {
        let detached = sign(TEXT, vec![person.signer(algorithm)]).detached();
        let (holds, content, said) = office.openssl_verifies(&detached, "-content text");
        assert!(holds && content == TEXT, "{algorithm:?}: {said}");
        assert_eq!(verdict(&detached), Ok(None));

        let whole = opaque(TEXT, vec![person.signer(algorithm)]);
        let (holds, content, said) = office.openssl_verifies(&whole, "");
        assert!(holds && content == TEXT, "{algorithm:?}: {said}");
        assert_eq!(verdict(&whole), Ok(None));

        let mut streamed = Vec::new();
        let signing = Signing::new(vec![person.signer(algorithm)], &[]).unwrap();
        let mut writer = OpaqueWriter::new(signing, &mut streamed).unwrap();
        TEXT.chunks(13).for_each(|piece| writer.push(piece, &mut streamed));
        writer.finish(&mut streamed).unwrap();
        let (holds, content, said) = office.openssl_verifies(&streamed, "");
        assert!(holds && content == TEXT, "{algorithm:?}: {said}");
        assert_eq!(verdict(&streamed), Ok(None));
    }
}

#[test]
fn what_a_signer_says_of_himself_is_read_again() {
    let office = Office::new();
    let person = office.p256("p256");
    let mut signer = person.signer(SignatureAlgorithm::Ecdsa(SHA_256));
    signer.statement = Statement {
        time: Some(TIME),
        capabilities: Some(Capabilities::ours()),
        key_preference: Some(KeyPreference::Issued(IssuerAndSerial::of(&person.certificate))),
        types: vec![SignatureType::Domain],
    };
    let message = opaque(TEXT, vec![signer]);
    assert!(office.openssl_verifies(&message, "").0);
    let report = reports(&message, &[]).unwrap().remove(0);
    assert!(report.holds());
    assert_eq!(report.certificate, Some(person.certificate.clone()));
    let said = report.attributes.unwrap();
    assert_eq!((said.signing_time, said.capabilities), (Some(TIME), Some(Capabilities::ours())));
    assert!(said.key_preference.unwrap().names(&person.certificate));
    assert!(said.certificate.unwrap().names(&person.certificate));
    assert_eq!(said.signature_types, [SignatureType::Domain]);
    assert!(said.protection.is_some());
}

#[test]
fn each_of_several_signers_has_a_verdict_of_his_own() {
    let office = Office::new();
    let (rsa, p256) = (office.rsa("rsa"), office.p256("p256"));
    let message = office.signed("rsa", "-nodetach -signer p256.pem -inkey p256.key");
    let found = reports(&message, &[]).unwrap();
    assert!(found.len() == 2 && found.iter().all(SignerReport::holds));

    let pss = SignatureAlgorithm::pss(DigestAlgorithm::Sha512);
    let signers = vec![rsa.signer(pss), p256.signer(SignatureAlgorithm::Ecdsa(SHA_256))];
    let message = opaque(TEXT, signers);
    assert!(office.openssl_verifies(&message, "").0);
    assert!(reports(&message, &[]).unwrap().iter().all(SignerReport::holds));
    // The signature that stands last is changed in its last octet.
    let mut one_bad = message.clone();
    *one_bad.last_mut().unwrap() ^= 1;
    let found = reports(&one_bad, &[]).unwrap();
    assert_eq!(found.iter().filter(|report| report.holds()).count(), 1);
    assert_eq!(
        found.iter().find_map(|report| report.verdict.clone().err()),
        Some(SignerFault::Signature(SignatureFault::Wrong))
    );
    let mut other_content = message;
    let at = other_content.windows(3).position(|octets| octets == b"Hej").unwrap();
    other_content[at] = b'N';
    let found = reports(&other_content, &[]).unwrap();
    assert!(found.iter().all(|report| report.verdict == Err(SignerFault::DigestMismatch)));
}

#[test]
fn ed25519_signs_attributes_as_openssl_checks_them() {
    let office = Office::new();
    let person = office.person("ed", "ED25519");
    let message = sign(TEXT, vec![person.signer(SignatureAlgorithm::Ed25519)]).detached();
    assert_eq!(verdict(&message), Ok(None));
    // This release of openssl has no Ed25519 in CMS; it checks the bare signature over the attributes.
    office.write("message", &message);
    let parsed = office.must("asn1parse -inform DER -in message");
    let place = |line: &str| {
        let number = |after: &str| -> usize {
            let text = line.split_once(after).unwrap().1.trim_start();
            text.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        let start = line.split(':').next().unwrap().trim().parse::<usize>().unwrap();
        start..start + number("hl=") + number(" l=")
    };
    let attributes = parsed.lines().rfind(|line| line.contains("d=5") && line.contains("cont [ 0 ]")).unwrap();
    let mut attributes = message[place(attributes)].to_vec();
    attributes[0] = 0x31;
    let signature = parsed.lines().rfind(|line| line.contains("d=5") && line.contains("OCTET STRING")).unwrap();
    let signature = &message[place(signature)];
    office.write("attributes", &attributes);
    office.write("signature", &signature[signature.len() - 64..]);
    office.must("pkeyutl -verify -rawin -in attributes -sigfile signature -certin -inkey ed.pem");
}

#[test]
fn certificates_alone_are_read_and_written() {
    let office = Office::new();
    let person = office.p256("p256");
    office.must("crl2pkcs7 -nocrl -certfile p256.pem -certfile root.pem -outform DER -out theirs");
    let (_, data) = read(&office.read("theirs"));
    assert!(data.is_certificates_only() && data.certificates().len() == 2);
    assert_eq!(data.verify(&[], Strictness::Strict).unwrap_err(), SignedFault::NobodySigned);
    office.write("ours", &certificates_only(std::slice::from_ref(&person.certificate), &[]));
    assert!(office.must("pkcs7 -inform DER -in ours -print_certs").contains("CN = p256"));
    let (_, data) = read(&office.read("ours"));
    assert_eq!(data.certificates(), [person.certificate]);
}

#[test]
fn what_other_programs_signed_is_verified() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/house/cms_signed");
    let plain = fs::read(folder.join("plain.txt")).unwrap();
    for name in ["gpgsm-signed-opaque.der", "nss-signed-opaque.der", "openssl-signed-opaque.der"] {
        let (content, data) = read(&fs::read(folder.join(name)).unwrap());
        let found = data.verify(&[], Strictness::Strict).unwrap();
        assert!(found.len() == 1 && found[0].holds(), "{name}: {:?}", found[0].verdict);
        assert_eq!(
            String::from_utf8(content).unwrap().replace("\r\n", "\n"),
            String::from_utf8(plain.clone()).unwrap().replace("\r\n", "\n"),
            "{name}"
        );
    }
}

// What attackers do. The messages are put together by hand, with signatures that hold.

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut written = vec![tag];
    match content.len() {
        short @ 0..128 => written.push(u8::try_from(short).unwrap()),
        long @ 128..256 => written.extend([0x81, u8::try_from(long).unwrap()]),
        long => {
            written.push(0x82);
            written.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    [written, content].concat()
}

fn oid(text: &str) -> Vec<u8> {
    der(6, &[ObjectIdentifier::new_unwrap(text).as_bytes()])
}

const ID_DATA: &str = "1.2.840.113549.1.7.1";
const ID_SIGNED: &str = "1.2.840.113549.1.7.2";
const ID_SHA_256: &str = "2.16.840.1.101.3.4.2.1";
const ID_ECDSA: &str = "1.2.840.10045.4.3.2";

fn attribute(id: &str, value: &[u8]) -> Vec<u8> {
    der(0x30, &[&oid(id), &der(0x31, &[value])])
}

fn content_type(id: &str) -> Vec<u8> {
    attribute("1.2.840.113549.1.9.3", &oid(id))
}

fn message_digest(content: &[u8]) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
    attribute("1.2.840.113549.1.9.4", &der(4, &[digest.as_ref()]))
}

/// A message by hand: what it says its content is, the content, and the attributes, which are signed; without them the
/// given octets are.
fn forged(
    person: &Person,
    kind: &str,
    content: Option<&[u8]>,
    attributes: Option<&[Vec<u8>]>,
    signed: &[u8],
) -> Vec<u8> {
    forged_by(person, kind, content, attributes, signed, (ID_SHA_256, ID_ECDSA, SignatureAlgorithm::Ecdsa(SHA_256)))
}

fn forged_by(
    person: &Person,
    kind: &str,
    content: Option<&[u8]>,
    attributes: Option<&[Vec<u8>]>,
    signed: &[u8],
    (digest, algorithm, means): (&str, &str, SignatureAlgorithm),
) -> Vec<u8> {
    let set = attributes.map(|all| all.concat());
    let signed = set.as_ref().map_or_else(|| signed.to_vec(), |set| der(0x31, &[set]));
    let signature = person.key.sign(means, &signed).unwrap();
    let id = der(0x30, &[&IssuerAndSerial::of(&person.certificate).to_content()]);
    let digest = der(0x30, &[&oid(digest)]);
    let attributes = set.map_or_else(Vec::new, |set| der(0xa0, &[&set]));
    let signer =
        der(0x30, &[&[2, 1, 1], &id, &digest, &attributes, &der(0x30, &[&oid(algorithm)]), &der(4, &[&signature])]);
    let content = content.map_or_else(Vec::new, |content| der(0xa0, &[&der(4, &[content])]));
    let inner = der(0x30, &[&oid(kind), &content]);
    let certificates = der(0xa0, &[person.certificate.as_der()]);
    let data = der(0x30, &[&[2, 1, 1], &der(0x31, &[&digest]), &inner, &certificates, &der(0x31, &[&signer])]);
    der(0x30, &[&oid(ID_SIGNED), &der(0xa0, &[&data])])
}

#[test]
fn a_message_by_hand_holds() {
    let office = Office::new();
    let person = office.p256("p256");
    let attributes = [content_type(ID_DATA), message_digest(TEXT)];
    let message = forged(&person, ID_DATA, Some(TEXT), Some(&attributes), b"");
    assert_eq!(verdict(&message), Ok(None));
    assert!(office.openssl_verifies(&message, "").0);
    // Attributes in another order than DER's, signed as they stand.
    let attributes = [message_digest(TEXT), content_type(ID_DATA)];
    assert_eq!(verdict(&forged(&person, ID_DATA, Some(TEXT), Some(&attributes), b"")), Ok(None));
    assert_eq!(verdict(&forged(&person, ID_DATA, Some(TEXT), None, TEXT)), Ok(None));
}

#[test]
fn attributes_of_one_message_cannot_be_the_content_of_another() {
    let office = Office::new();
    let person = office.p256("p256");
    // What was signed is the set of attributes of some other message; here it is the content, and no attributes are left.
    let set = der(0x31, &[&content_type(ID_DATA), &message_digest(TEXT)]);
    let message = forged(&person, ID_DATA, Some(&set), None, &set);
    assert_eq!(verdict(&message), Err(SignerFault::ContentIsLikeAttributes));
    let message = forged(&person, ID_SIGNED, Some(TEXT), None, TEXT);
    assert_eq!(verdict(&message), Err(SignerFault::AttributesAreMissing));
}

#[test]
fn attributes_that_are_missing_or_stand_twice_are_refused() {
    let office = Office::new();
    let person = office.p256("p256");
    let fault =
        |attributes: &[Vec<u8>]| verdict(&forged(&person, ID_DATA, Some(TEXT), Some(attributes), b"")).unwrap_err();
    let (kind, digest) = (content_type(ID_DATA), message_digest(TEXT));
    let twice = SignerFault::Attributes(AttributeFault::Twice);
    assert_eq!(fault(&[kind.clone(), digest.clone(), digest.clone()]), twice);
    assert_eq!(fault(&[kind.clone(), digest.clone(), message_digest(b"other")]), twice);
    assert_eq!(fault(&[kind.clone(), kind.clone(), digest.clone()]), twice);
    assert_eq!(fault(std::slice::from_ref(&kind)), SignerFault::Attributes(AttributeFault::Missing("messageDigest")));
    assert_eq!(fault(std::slice::from_ref(&digest)), SignerFault::Attributes(AttributeFault::Missing("contentType")));
    assert!(matches!(fault(&[]), SignerFault::Attributes(AttributeFault::Malformed(_))));
    let two_values = der(0x30, &[&oid("1.2.840.113549.1.9.3"), &der(0x31, &[&oid(ID_DATA), &oid(ID_DATA)])]);
    let two_values = fault(&[two_values, digest.clone()]);
    assert_eq!(two_values, SignerFault::Attributes(AttributeFault::NotOneValue("contentType")));
    assert_eq!(fault(&[content_type(ID_SIGNED), digest]), SignerFault::ContentType);
    assert_eq!(fault(&[kind, message_digest(b"other")]), SignerFault::DigestMismatch);
}

#[test]
fn algorithms_other_than_those_that_were_signed_are_refused() {
    let office = Office::new();
    let (person, ed) = (office.p256("p256"), office.person("ed", "ED25519"));
    let protection = |digest: &str| {
        let signature = der(0xa1, &[&oid(ID_ECDSA)]);
        attribute("1.2.840.113549.1.9.52", &der(0x30, &[&der(0x30, &[&oid(digest)]), &signature]))
    };
    let held = |digest| [content_type(ID_DATA), message_digest(TEXT), protection(digest)];
    let of = |digest| verdict(&forged(&person, ID_DATA, Some(TEXT), Some(&held(digest)), b""));
    assert_eq!(of(ID_SHA_256), Ok(None));
    assert_eq!(of("2.16.840.1.101.3.4.2.3"), Err(SignerFault::AlgorithmProtection));
    let attributes = [content_type(ID_DATA), message_digest(TEXT)];
    let by = |person, digest, algorithm, means| {
        verdict(&forged_by(person, ID_DATA, Some(TEXT), Some(&attributes), b"", (digest, algorithm, means)))
    };
    let ed25519 = by(&ed, ID_SHA_256, "1.3.101.112", SignatureAlgorithm::Ed25519);
    assert_eq!(ed25519, Err(SignerFault::AlgorithmsDisagree));
    let md5 = by(&person, "1.2.840.113549.2.5", ID_ECDSA, SignatureAlgorithm::Ecdsa(SHA_256));
    assert_eq!(md5, Err(SignerFault::Unsupported));
}

#[test]
fn a_certificate_other_than_the_one_that_was_signed_is_refused() {
    let office = Office::new();
    let (person, other) = (office.p256("p256"), office.p256("other"));
    let named = |certificate: &Certificate| {
        let id = der(0x30, &[&der(0x30, &[&der(0x30, &[&der(4, &[&certificate.fingerprint()])])])]);
        let attributes = [content_type(ID_DATA), message_digest(TEXT), attribute("1.2.840.113549.1.9.16.2.47", &id)];
        verdict(&forged(&person, ID_DATA, Some(TEXT), Some(&attributes), b""))
    };
    assert_eq!(named(&person.certificate), Ok(None));
    assert_eq!(named(&other.certificate), Err(SignerFault::CertificateMismatch));
}

#[test]
fn a_content_that_stands_twice_is_no_signed_content() {
    let office = Office::new();
    office.p256("p256");
    let (_, data) = read(&office.signed("p256", "-nodetach"));
    let other = ContentDigests::of(b"something else", &[]);
    assert_eq!(data.verify_detached(&other, &[], Strictness::Strict).unwrap_err(), SignedFault::ContentStandsTwice);
    let (_, data) = read(&office.signed("p256", ""));
    assert_eq!(data.verify(&[], Strictness::Strict).unwrap_err(), SignedFault::ContentIsMissing);
    let found = data.verify_detached(&other, &[], Strictness::Strict).unwrap();
    assert_eq!(found[0].verdict, Err(SignerFault::DigestMismatch));
}

#[test]
fn nobody_signed_where_no_signer_is() {
    let office = Office::new();
    let person = office.p256("p256");
    let inner = der(0x30, &[&oid(ID_DATA), &der(0xa0, &[&der(4, &[TEXT])])]);
    let certificates = der(0xa0, &[person.certificate.as_der()]);
    let data = der(0x30, &[&[2, 1, 1], &der(0x31, &[]), &inner, &certificates, &der(0x31, &[])]);
    let message = der(0x30, &[&oid(ID_SIGNED), &der(0xa0, &[&data])]);
    assert_eq!(reports(&message, &[]).unwrap_err(), SignedFault::NobodySigned);
}

#[test]
fn one_odd_certificate_does_not_spoil_the_rest() {
    let office = Office::new();
    let person = office.p256("p256");
    let message = forged(&person, ID_DATA, Some(TEXT), Some(&[content_type(ID_DATA), message_digest(TEXT)]), b"");
    let (_, data) = read(&message);
    assert_eq!(data.certificates().len(), 1);
    // The same with a certificate before it that is none, and an attribute certificate behind it.
    let own = person.certificate.as_der();
    let odd = der(0x30, &[&[2, 1, 1], &[2, 24], &[9; 24]]);
    let inner = der(0x30, &[&oid(ID_DATA), &der(0xa0, &[&der(4, &[TEXT])])]);
    let at = message.windows(own.len()).position(|octets| octets == own).unwrap();
    let signers = &message[at + own.len()..];
    let digests = der(0x31, &[&der(0x30, &[&oid(ID_SHA_256)])]);
    let certificates = der(0xa0, &[&odd, own, &der(0xa2, &[&[2, 1, 1]])]);
    let data = der(0x30, &[&[2, 1, 1], &digests, &inner, &certificates, signers]);
    let message = der(0x30, &[&oid(ID_SIGNED), &der(0xa0, &[&data])]);
    assert_eq!(verdict(&message), Ok(None));
    assert_eq!(read(&message).1.certificates().len(), 1);
}

#[test]
fn damaged_messages_never_panic_and_never_hold() {
    let office = Office::new();
    let person = office.p256("p256");
    office.rsa("rsa");
    let by_hand = forged(&person, ID_DATA, Some(TEXT), Some(&[content_type(ID_DATA), message_digest(TEXT)]), b"");
    let streamed = office.signed("rsa", "-nodetach -stream");
    for message in [by_hand, streamed] {
        for at in 0..message.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut damaged = message.clone();
                damaged[at] ^= change;
                let (mut content, mut reader) = (Vec::new(), SignedReader::default());
                let pushed = reader.push(&damaged, &mut |octets| content.extend_from_slice(octets));
                let Ok(data) = pushed.and_then(|()| reader.finish()) else { continue };
                for report in data.verify(&[], Strictness::Strict).unwrap_or_default() {
                    // What is not signed may change; the content may not.
                    assert!(!report.holds() || content == TEXT, "octet {at} by {change}");
                }
            }
        }
    }
}

// Entities: signatures as they stand in mail.

/// What is found of one layer of a message: sealed, or signed.
#[derive(Debug)]
pub enum Layer {
    Sealed,
    Signed(Result<Vec<SignerReport>, SignedFault>),
}

impl Layer {
    pub fn holds(&self) -> bool {
        match self {
            Self::Sealed => true,
            Self::Signed(found) => found.as_ref().is_ok_and(|reports| reports.iter().all(SignerReport::holds)),
        }
    }
}

/// The layers of S/MIME from outside, and what lies within.
pub fn layers(message: &[u8], strictness: Strictness) -> Result<(Vec<Layer>, Vec<u8>), EntityFault> {
    let (mut layers, mut message) = (Vec::new(), message.to_vec());
    loop {
        let split = |end: &[u8]| message.windows(end.len()).position(|octets| octets == end).map(|at| at + end.len());
        let head = split(b"\r\n\r\n").into_iter().chain(split(b"\n\n")).min().unwrap_or(message.len());
        let (header, body) = message.split_at(head);
        let Some(entity) = Entity::of(&Header::new(header))? else { return Ok((layers, message)) };
        let mut content = Vec::new();
        let found = match entity.kind {
            EntityKind::MultipartSigned { boundary, micalg } => {
                let mut multipart = SignedMultipart::new(&boundary, &micalg);
                for piece in body.chunks(61) {
                    multipart.push(piece, &mut |octets| content.extend_from_slice(octets))?;
                }
                multipart.finish(&mut |octets| content.extend_from_slice(octets))?.verify(&[], strictness)
            }
            EntityKind::Cms(_) => {
                let mut decoded = Vec::new();
                let mut decoder = BodyDecoder::new(entity.encoding);
                body.chunks(61).for_each(|piece| decoder.push(piece, &mut |octets| decoded.extend_from_slice(octets)));
                decoder.finish(&mut |octets| decoded.extend_from_slice(octets))?;
                let Some(Part::Before(before)) = Splitter::default().next(&mut &decoded[..])? else { panic!("no CMS") };
                if before.kind != ContentKind::Signed {
                    layers.push(Layer::Sealed);
                    return Ok((layers, decoded));
                }
                let (inside, data) = read(&decoded);
                content = inside;
                data.verify(&[], strictness)
            }
            EntityKind::LoneSignature => panic!("a lone signature"),
        };
        layers.push(Layer::Signed(found));
        message = content;
    }
}

#[test]
fn signed_mail_goes_both_ways_with_openssl() {
    let office = Office::new();
    let person = office.rsa("rsa");
    for options in ["", "-stream", "-nodetach", "-nodetach -stream", "-md sha512", "-crlfeol", "-nodetach -crlfeol"] {
        office.must(&format!("cms -sign -in text -signer rsa.pem -inkey rsa.key -out theirs {options}"));
        let (found, content) = layers(&office.read("theirs"), Strictness::Strict).unwrap();
        assert!(found.len() == 1 && found[0].holds() && content == TEXT, "{options}: {found:?}");
    }
    let signer = || vec![person.signer(SignatureAlgorithm::RsaPkcs1(Some(SHA_256)))];
    let multipart = MultipartSignedWriter::new("=_signed_by_hand");
    let signature = sign(TEXT, signer()).detached();
    let header = [b"MIME-Version: 1.0\r\n", &multipart.header("sha-256")[..], b"\r\n"].concat();
    let ours = [&header[..], &multipart.begin(), TEXT, &multipart.end(&signature)].concat();
    let (found, content) = layers(&ours, Strictness::Strict).unwrap();
    assert!(found.len() == 1 && found[0].holds() && content == TEXT, "{found:?}");
    office.write("ours", &ours);
    office.must("cms -verify -in ours -CAfile root.pem -no-CApath -no-CAstore -out content");
    assert_eq!(office.read("content"), TEXT);

    let mut ours = [b"MIME-Version: 1.0\r\n", &entity_header(SmimeType::Signed)[..], b"\r\n"].concat();
    let mut writer = Base64Writer::default();
    opaque(TEXT, signer()).chunks(100).for_each(|piece| writer.push(piece, &mut ours));
    writer.finish(&mut ours);
    let (found, content) = layers(&ours, Strictness::Strict).unwrap();
    assert!(found.len() == 1 && found[0].holds() && content == TEXT, "{found:?}");
    office.write("ours", &ours);
    office.must("cms -verify -in ours -CAfile root.pem -no-CApath -no-CAstore -out content");
    assert_eq!(office.read("content"), TEXT);
}

#[test]
fn a_signed_message_can_be_signed_again() {
    let office = Office::new();
    let (inner, outer) = (office.p256("inner"), office.p384("outer"));
    let multipart = MultipartSignedWriter::new("=_inner");
    let signature = sign(TEXT, vec![inner.signer(SignatureAlgorithm::Ecdsa(SHA_256))]).detached();
    let signed =
        [&multipart.header("sha-256")[..], b"\r\n", &multipart.begin(), TEXT, &multipart.end(&signature)].concat();
    let mut signing =
        Signing::new(vec![outer.signer(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha384))], &[]).unwrap();
    signing.push(&signed);
    let signature = signing.sign().unwrap();
    let mut twice = [&entity_header(SmimeType::Signed)[..], b"\r\n"].concat();
    let mut writer = Base64Writer::default();
    for part in [&signature.before()[..], &signed, signature.behind()] {
        writer.push(part, &mut twice);
    }
    writer.finish(&mut twice);
    let (found, content) = layers(&twice, Strictness::Strict).unwrap();
    assert!(found.len() == 2 && found.iter().all(Layer::holds) && content == TEXT);
}

/// An entity whose signature stands beside it.
fn clear_signed(person: &Person, content: &[u8], boundary: &str) -> Vec<u8> {
    let multipart = MultipartSignedWriter::new(boundary);
    let signature = sign(content, vec![person.signer(SignatureAlgorithm::RsaPkcs1(Some(SHA_256)))]).detached();
    let header = [b"MIME-Version: 1.0\r\n", &multipart.header("sha-256")[..], b"\r\n"].concat();
    [&header[..], &multipart.begin(), content, &multipart.end(&signature)].concat()
}

#[test]
fn a_message_wrapped_three_times_goes_both_ways_with_openssl() {
    let office = Office::new();
    let person = office.rsa("rsa");
    for (option, cipher, kind) in [
        ("-aes-128-cbc", ContentEncryption::AesCbc(AesKeyLength::Bits128), SmimeType::Enveloped),
        ("-aes-256-gcm", ContentEncryption::AesGcm(AesKeyLength::Bits256), SmimeType::AuthEnveloped),
    ] {
        for form in ["", "-nodetach"] {
            let signer = "-signer rsa.pem -inkey rsa.key";
            office.must(&format!("cms -sign {form} -in text {signer} -out inner"));
            office.must(&format!("cms -encrypt -in inner {option} -out sealed rsa.pem"));
            office.must(&format!("cms -sign {form} -in sealed {signer} -out outer"));
            let (found, sealed) = layers(&office.read("outer"), Strictness::Strict).unwrap();
            assert!(matches!(&found[..], [outer, Layer::Sealed] if outer.holds()), "{option} {form}: {found:?}");
            let (inner, opened) = open(&sealed, &person, 50, Strictness::Strict).unwrap();
            let (found, content) = layers(&inner, Strictness::Strict).unwrap();
            assert!(found.len() == 1 && found[0].holds() && content == TEXT && opened.cipher == cipher);
        }
        let inner = clear_signed(&person, TEXT, "=_inner");
        let to = SealTo::usual(&person.certificate, cipher).unwrap();
        let mut sealed = [&entity_header(kind)[..], b"\r\n"].concat();
        let mut writer = Base64Writer::default();
        writer.push(&seal(&inner, cipher, &[to], true), &mut sealed);
        writer.finish(&mut sealed);
        office.write("outer", &clear_signed(&person, &sealed, "=_outer"));
        let trusted = "-CAfile root.pem -no-CApath -no-CAstore";
        office.must(&format!("cms -verify -in outer -out sealed {trusted}"));
        office.must("cms -decrypt -in sealed -out inner -recip rsa.pem -inkey rsa.key");
        office.must(&format!("cms -verify -in inner -out content {trusted}"));
        assert_eq!(office.read("content"), TEXT, "{option}");
    }
}

#[test]
fn a_content_within_the_signature_of_a_multipart_is_refused() {
    let office = Office::new();
    let person = office.p256("p256");
    let multipart = MultipartSignedWriter::new("=_b");
    // The signature is opaque and holds; the first part says something else.
    let opaque = opaque(TEXT, vec![person.signer(SignatureAlgorithm::Ecdsa(SHA_256))]);
    let other = b"Content-Type: text/plain\r\n\r\nPay the attacker.\r\n";
    for shown in [&other[..], TEXT] {
        let message =
            [&multipart.header("sha-256")[..], b"\r\n", &multipart.begin(), shown, &multipart.end(&opaque)].concat();
        let (found, _) = layers(&message, Strictness::Strict).unwrap();
        assert!(matches!(found[0], Layer::Signed(Err(SignedFault::ContentStandsTwice))), "{found:?}");
    }
}

#[test]
fn a_part_beside_a_signed_one_is_not_signed() {
    let office = Office::new();
    let person = office.p256("p256");
    let multipart = MultipartSignedWriter::new("=_b");
    let signature = sign(TEXT, vec![person.signer(SignatureAlgorithm::Ecdsa(SHA_256))]).detached();
    let signed = [&multipart.begin()[..], TEXT, &multipart.end(&signature)].concat();
    let message = |body: &[u8]| [&multipart.header("sha-256")[..], b"\r\n", body].concat();
    // Before and behind the parts: not signed, and not given.
    let around = [b"Pay the attacker.\r\n", &signed[..], b"Pay the attacker.\r\n"].concat();
    let (found, content) = layers(&message(&around), Strictness::Strict).unwrap();
    assert!(found[0].holds() && content == TEXT);
    // A third part.
    let third = [&signed[..signed.len() - 4], b"\r\nContent-Type: text/plain\r\n\r\nPay.\r\n--=_b--\r\n"].concat();
    assert_eq!(layers(&message(&third), Strictness::Strict).unwrap_err(), EntityFault::NotTwoParts);
    // A signed part among others: what is around is no signed entity.
    let mixed =
        [b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n", &message(&signed)[..], b"\r\n--m--"].concat();
    assert!(layers(&mixed, Strictness::Strict).unwrap().0.is_empty());
    // A digest that is announced and not used: nothing holds by that.
    let lie = [&multipart.header("sha-512")[..], b"\r\n", &signed].concat();
    let (found, _) = layers(&lie, Strictness::Strict).unwrap();
    let Layer::Signed(Ok(reports)) = &found[0] else { panic!("{found:?}") };
    assert_eq!(reports[0].verdict, Err(SignerFault::DigestWasNotTaken));
    let odd = [&multipart.header("whirlpool")[..], b"\r\n", &signed].concat();
    assert!(layers(&odd, Strictness::Strict).unwrap().0[0].holds());
}

#[test]
fn signed_mail_of_other_programs_is_verified() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/house/cms_signed");
    for name in ["openssl-signed-detached.eml", "pyca-signed.eml"] {
        let (found, _) = layers(&fs::read(folder.join(name)).unwrap(), Strictness::Strict).unwrap();
        assert!(found.len() == 1 && found[0].holds(), "{name}: {found:?}");
    }
}

#[test]
fn signed_mail_of_thunderbirds_tests_is_what_its_name_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/smime/thunderbird/smime");
    if !folder.exists() {
        println!("CORPUS MISSING: smime/thunderbird is not beside the project; its cases do not run");
        return;
    }
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".eml") {
            continue;
        }
        let (found, _) = layers(&fs::read(&path).unwrap(), Strictness::AllowWeak).unwrap();
        let held = found.iter().filter(|layer| layer.holds()).count();
        if name.contains("mismatch-econtent") {
            assert!(matches!(found[0], Layer::Signed(Err(SignedFault::ContentStandsTwice))), "{name}: {found:?}");
        } else if name.contains(".bad.") {
            let Layer::Signed(Ok(reports)) = &found[0] else { panic!("{name}: {found:?}") };
            assert_eq!(reports[0].verdict, Err(SignerFault::DigestMismatch), "{name}");
        } else {
            let is_sealed_outside = name.ends_with(".env.eml");
            let is_sealed_within = name.starts_with("alice.env.") && !is_sealed_outside;
            let expected = 1 + usize::from(name.contains(".dave.")) + usize::from(is_sealed_within);
            // What Alice signed over a sealed part is not what stands there; openssl finds so, too.
            let is_broken = name.starts_with("alice.env.dsig.");
            assert_eq!((found.len(), held), (expected, expected - usize::from(is_broken)), "{name}: {found:?}");
        }
        count += 1;
    }
    assert!(count > 60, "{count}");
}
