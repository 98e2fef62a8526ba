//! A private key in memory, read from PKCS #8 (RFC 5958), PKCS #1 (RFC 8017 §A.1.2) or SEC 1 (RFC 5915).

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::kem::{AlgorithmId, Ciphertext, DecapsulationKey, ML_KEM_768};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    self, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};
use der::oid::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::cms::algorithm::{DigestAlgorithm, KeyTransport, SignatureAlgorithm};
use crate::cms::element::{
    BIT_STRING, Element, Fields, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, constructed, context, encode,
};
use crate::cms::error::CmsError;
use crate::cms::oaep::BareRsa;
use crate::cms::oid;
use crate::cms::private_key::{KeyFault, PrivateKey};
use crate::ml_kem;

/// A private key in memory. What the library holds of it, it erases when dropped.
pub struct SoftwareKey {
    public_info: Vec<u8>,
    means: Means,
}

enum Means {
    Rsa { signs: rsa::KeyPair, decrypts: PrivateDecryptingKey, bare: Box<BareRsa> },
    Curve { signs: EcdsaKeyPair, agrees: agreement::PrivateKey, hash: DigestAlgorithm },
    Ed25519(Ed25519KeyPair),
    X25519(agreement::PrivateKey),
    MlKem768(DecapsulationKey<AlgorithmId>),
}

const UNKNOWN: CmsError = CmsError::Unexpected("a private key of a kind that we do not read");
const REFUSED: CmsError = CmsError::Unexpected("a private key that is damaged, or whose public half does not fit");

impl SoftwareKey {
    /// Reads a private key in DER, without encryption: RSA from 2,048 bits on, P-256, P-384, Ed25519, X25519, ML-KEM-768.
    ///
    /// # Errors
    /// It is none of these, or its halves do not belong together.
    pub fn read(der: &[u8]) -> Result<Self, CmsError> {
        let mut fields = Element::only(der, SEQUENCE)?.fields();
        fields.take(INTEGER)?;
        match fields.peek() {
            Some(SEQUENCE) => Self::pkcs8(der, fields),
            Some(OCTET_STRING) => {
                fields.take(OCTET_STRING)?;
                let curve = fields.take(constructed(0))?.inner(OID)?;
                Self::curve(identifier(&curve)?, der)
            }
            Some(INTEGER) => Self::rsa(&Zeroizing::new(pkcs8(oid::RSA_ENCRYPTION, der))),
            _ => Err(UNKNOWN),
        }
    }

    fn pkcs8(der: &[u8], mut fields: Fields<'_>) -> Result<Self, CmsError> {
        let mut algorithm = fields.take(SEQUENCE)?.fields();
        let key = fields.take(OCTET_STRING)?.content();
        match identifier(&algorithm.take(OID)?)? {
            oid::RSA_ENCRYPTION => Self::rsa(der),
            // The library knows no restriction of a key to PSS; the certificate has it.
            oid::RSASSA_PSS => Self::rsa(&Zeroizing::new(pkcs8(oid::RSA_ENCRYPTION, key))),
            oid::EC_PUBLIC_KEY => Self::curve(identifier(&algorithm.take(OID)?)?, der),
            oid::ED25519 => {
                let seed = Element::only(key, OCTET_STRING)?.content();
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| REFUSED)?;
                check_public_half(fields, pair.public_key().as_ref())?;
                let public_info = raw_info(oid::ED25519, pair.public_key().as_ref());
                Ok(Self { public_info, means: Means::Ed25519(pair) })
            }
            oid::X25519 => {
                let scalar = Element::only(key, OCTET_STRING)?.content();
                let private = agreement::PrivateKey::from_private_key(&X25519, scalar).map_err(|_| REFUSED)?;
                let public = private.compute_public_key().map_err(|_| REFUSED)?;
                check_public_half(fields, public.as_ref())?;
                Ok(Self { public_info: raw_info(oid::X25519, public.as_ref()), means: Means::X25519(private) })
            }
            oid::ML_KEM_768 => Self::ml_kem_768(key),
            _ => Err(UNKNOWN),
        }
    }

    fn rsa(pkcs8: &[u8]) -> Result<Self, CmsError> {
        let signs = rsa::KeyPair::from_pkcs8(pkcs8).map_err(|_| REFUSED)?;
        let decrypts = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| REFUSED)?;
        let mut fields = Element::only(pkcs8, SEQUENCE)?.fields();
        fields.take(INTEGER)?;
        fields.take(SEQUENCE)?;
        let bare = Box::new(BareRsa::read(fields.take(OCTET_STRING)?.content())?);
        let public_info = encode(
            SEQUENCE,
            &[
                &encode(SEQUENCE, &[&encode(OID, &[oid::RSA_ENCRYPTION.as_bytes()]), &encode(NULL, &[])]),
                &encode(BIT_STRING, &[&[0], signs.public_key().as_ref()]),
            ],
        );
        Ok(Self { public_info, means: Means::Rsa { signs, decrypts, bare } })
    }

    fn curve(curve: ObjectIdentifier, der: &[u8]) -> Result<Self, CmsError> {
        let (signing, agreeing, hash) = match curve {
            oid::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDH_P256, DigestAlgorithm::Sha256),
            oid::P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, &ECDH_P384, DigestAlgorithm::Sha384),
            _ => return Err(UNKNOWN),
        };
        let signs = EcdsaKeyPair::from_private_key_der(signing, der).map_err(|_| REFUSED)?;
        let agrees = agreement::PrivateKey::from_private_key_der(agreeing, der).map_err(|_| REFUSED)?;
        let public: PublicKeyX509Der<'_> = signs.public_key().as_der().map_err(|_| REFUSED)?;
        let public_info = public.as_ref().to_vec();
        Ok(Self { public_info, means: Means::Curve { signs, agrees, hash } })
    }

    /// ML-KEM-768-PrivateKey, RFC 9935 §6: the seed, the expanded key, or both.
    fn ml_kem_768(key: &[u8]) -> Result<Self, CmsError> {
        let mut fields = Fields::of(key);
        let element = fields.any()?;
        fields.end()?;
        let grown = |seed: &[u8]| seed.try_into().map(ml_kem::decapsulation_key).map_err(|_| REFUSED);
        let expanded = match element.tag {
            tag if tag == context(0) => grown(element.content())?,
            OCTET_STRING => Zeroizing::new(element.content().to_vec()),
            SEQUENCE => {
                let mut both = element.fields();
                let expanded = grown(both.take(OCTET_STRING)?.content())?;
                if both.take(OCTET_STRING)?.content() != expanded.as_slice() {
                    return Err(REFUSED);
                }
                expanded
            }
            _ => return Err(UNKNOWN),
        };
        if expanded.len() != ml_kem::DECAPSULATION_KEY {
            return Err(REFUSED);
        }
        let public_info = raw_info(oid::ML_KEM_768, ml_kem::encapsulation_key(&expanded));
        let means = DecapsulationKey::new(&ML_KEM_768, &expanded).map_err(|_| REFUSED)?;
        Ok(Self { public_info, means: Means::MlKem768(means) })
    }
}

impl PrivateKey for SoftwareKey {
    fn public_info(&self) -> &[u8] {
        &self.public_info
    }

    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        match (&self.means, algorithm) {
            (Means::Rsa { signs, .. }, SignatureAlgorithm::RsaPkcs1(Some(hash))) => {
                rsa_sign(signs, pkcs1(hash)?, message)
            }
            (Means::Rsa { signs, .. }, SignatureAlgorithm::RsaPss { .. }) => rsa_sign(signs, pss(algorithm)?, message),
            (Means::Curve { signs, hash, .. }, SignatureAlgorithm::Ecdsa(wanted)) => {
                // The library signs on each curve with the hash of its strength alone (RFC 5753 §4).
                if wanted != *hash {
                    return Err(KeyFault::Unsupported);
                }
                let signature = signs.sign(&SystemRandom::new(), message).map_err(|_| KeyFault::Failed)?;
                Ok(signature.as_ref().to_vec())
            }
            (Means::Ed25519(pair), SignatureAlgorithm::Ed25519) => Ok(pair.sign(message).as_ref().to_vec()),
            (Means::Rsa { .. }, SignatureAlgorithm::RsaPkcs1(None)) => Err(KeyFault::Unsupported),
            _ => Err(KeyFault::Mismatch),
        }
    }

    fn decrypt_key(&self, transport: &KeyTransport, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        let Means::Rsa { decrypts, bare, .. } = &self.means else { return Err(KeyFault::Mismatch) };
        let mut out = Zeroizing::new(vec![0; decrypts.key_size_bytes()]);
        let key = match transport {
            KeyTransport::Pkcs1v15 => Pkcs1PrivateDecryptingKey::new(decrypts.clone())
                .and_then(|key| key.decrypt(encrypted, &mut out).map(|key| key.to_vec())),
            KeyTransport::Oaep { hash, mask, label } => {
                let Some(algorithm) = oaep(*hash, *mask) else {
                    return bare.decrypt(*hash, *mask, label, encrypted).ok_or(KeyFault::Failed);
                };
                OaepPrivateDecryptingKey::new(decrypts.clone())
                    .and_then(|key| key.decrypt(algorithm, encrypted, &mut out, Some(label)).map(|key| key.to_vec()))
            }
        };
        key.map(Zeroizing::new).map_err(|_| KeyFault::Failed)
    }

    fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        let (private, algorithm) = match &self.means {
            Means::Curve { agrees, .. } => (agrees, agrees.algorithm()),
            Means::X25519(private) => (private, &X25519),
            _ => return Err(KeyFault::Mismatch),
        };
        let peer = UnparsedPublicKey::new(algorithm, peer);
        agree(private, peer, KeyFault::Failed, |secret| Ok(Zeroizing::new(secret.to_vec())))
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        let Means::MlKem768(key) = &self.means else { return Err(KeyFault::Mismatch) };
        let secret = key.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| KeyFault::Failed)?;
        Ok(Zeroizing::new(secret.as_ref().to_vec()))
    }
}

/// What it is; nothing of it.
impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftwareKey({:?}, …)", self.kind())
    }
}

fn identifier(element: &Element<'_>) -> Result<ObjectIdentifier, CmsError> {
    ObjectIdentifier::from_bytes(element.content()).map_err(|_| UNKNOWN)
}

/// PrivateKeyInfo of an RSA key, RFC 5958 §2.
fn pkcs8(algorithm: ObjectIdentifier, key: &[u8]) -> Vec<u8> {
    let algorithm = encode(SEQUENCE, &[&encode(OID, &[algorithm.as_bytes()]), &encode(NULL, &[])]);
    encode(SEQUENCE, &[&encode(INTEGER, &[&[0]]), &algorithm, &encode(OCTET_STRING, &[key])])
}

/// SubjectPublicKeyInfo without parameters, RFC 8410 §4, RFC 9935 §4.
fn raw_info(algorithm: ObjectIdentifier, key: &[u8]) -> Vec<u8> {
    let algorithm = encode(SEQUENCE, &[&encode(OID, &[algorithm.as_bytes()])]);
    encode(SEQUENCE, &[&algorithm, &encode(BIT_STRING, &[&[0], key])])
}

/// The public key that may stand behind the private one, RFC 5958 §2.
fn check_public_half(mut fields: Fields<'_>, public: &[u8]) -> Result<(), CmsError> {
    fields.take_if(constructed(0))?;
    match fields.take_if(context(1))? {
        Some(half) if half.octets_of_bits()? != public => Err(REFUSED),
        _ => Ok(()),
    }
}

fn rsa_sign(key: &rsa::KeyPair, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message, &mut signature).map_err(|_| KeyFault::Failed)?;
    Ok(signature)
}

fn pkcs1(hash: DigestAlgorithm) -> Result<&'static dyn RsaEncoding, KeyFault> {
    match hash {
        DigestAlgorithm::Sha256 => Ok(&RSA_PKCS1_SHA256),
        DigestAlgorithm::Sha384 => Ok(&RSA_PKCS1_SHA384),
        DigestAlgorithm::Sha512 => Ok(&RSA_PKCS1_SHA512),
        DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224 => Err(KeyFault::Unsupported),
    }
}

/// The library's salts are as long as the hash, and so are ours.
fn pss(algorithm: SignatureAlgorithm) -> Result<&'static dyn RsaEncoding, KeyFault> {
    let with = |hash| algorithm == SignatureAlgorithm::pss(hash);
    if with(DigestAlgorithm::Sha256) {
        Ok(&RSA_PSS_SHA256)
    } else if with(DigestAlgorithm::Sha384) {
        Ok(&RSA_PSS_SHA384)
    } else if with(DigestAlgorithm::Sha512) {
        Ok(&RSA_PSS_SHA512)
    } else {
        Err(KeyFault::Unsupported)
    }
}

/// The library's OAEP, which has one hash throughout.
fn oaep(hash: DigestAlgorithm, mask: DigestAlgorithm) -> Option<&'static rsa::OaepAlgorithm> {
    match (hash, mask) {
        (DigestAlgorithm::Sha1, DigestAlgorithm::Sha1) => Some(&OAEP_SHA1_MGF1SHA1),
        (DigestAlgorithm::Sha256, DigestAlgorithm::Sha256) => Some(&OAEP_SHA256_MGF1SHA256),
        (DigestAlgorithm::Sha384, DigestAlgorithm::Sha384) => Some(&OAEP_SHA384_MGF1SHA384),
        (DigestAlgorithm::Sha512, DigestAlgorithm::Sha512) => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::cms::public_key::{KeyKind, PublicKey, Strictness};
    use crate::vault::random_octets;

    fn openssl(arguments: &str, input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("openssl")
            .args(arguments.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {arguments}");
        output.stdout
    }

    fn generate(kind: &str) -> Vec<u8> {
        openssl(&format!("genpkey -outform DER -algorithm {kind}"), b"")
    }

    #[test]
    fn keys_are_read_in_each_form_and_sign_what_their_public_half_verifies() {
        let (sha256, sha384) = (DigestAlgorithm::Sha256, DigestAlgorithm::Sha384);
        let all = [
            ("RSA -pkeyopt rsa_keygen_bits:2048", SignatureAlgorithm::RsaPkcs1(Some(sha256))),
            ("RSA -pkeyopt rsa_keygen_bits:2048", SignatureAlgorithm::pss(DigestAlgorithm::Sha512)),
            ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", SignatureAlgorithm::pss(sha256)),
            ("EC -pkeyopt ec_paramgen_curve:P-256", SignatureAlgorithm::Ecdsa(sha256)),
            ("EC -pkeyopt ec_paramgen_curve:P-384", SignatureAlgorithm::Ecdsa(sha384)),
            ("ED25519", SignatureAlgorithm::Ed25519),
        ];
        for (kind, algorithm) in all {
            let pkcs8 = generate(kind);
            let mut forms = vec![pkcs8.clone()];
            if kind.starts_with("RSA ") {
                forms.push(openssl("rsa -inform DER -outform DER -traditional", &pkcs8));
            } else if kind.starts_with("EC ") {
                forms.push(openssl("ec -inform DER -outform DER", &pkcs8));
            }
            for form in forms {
                let key = SoftwareKey::read(&form).unwrap();
                if kind.starts_with("RSA-PSS") {
                    assert_eq!(key.kind(), KeyKind::Rsa(2048));
                } else {
                    assert_eq!(key.public_info(), openssl("pkey -inform DER -pubout -outform DER", &pkcs8), "{kind}");
                }
                let signature = key.sign(algorithm, b"message").unwrap();
                let public = PublicKey::read(key.public_info()).unwrap();
                assert_eq!(public.verify(algorithm, b"message", &signature, Strictness::Strict), Ok(None), "{kind}");
                assert!(public.verify(algorithm, b"massage", &signature, Strictness::Strict).is_err());
                assert!(!format!("{key:?}").contains("[") && format!("{key:?}").contains('…'));
            }
        }
    }

    #[test]
    fn both_sides_agree_on_a_secret_and_on_nothing_with_a_point_that_is_none() {
        for kind in ["EC -pkeyopt ec_paramgen_curve:P-256", "EC -pkeyopt ec_paramgen_curve:P-384", "X25519"] {
            let (ours, theirs) = (generate(kind), generate(kind));
            let (ours, theirs) = (SoftwareKey::read(&ours).unwrap(), SoftwareKey::read(&theirs).unwrap());
            let point = |key: &SoftwareKey| PublicKey::read(key.public_info()).unwrap().octets().to_vec();
            assert_eq!(ours.agree(&point(&theirs)), theirs.agree(&point(&ours)));
            assert!(ours.agree(&point(&theirs)).unwrap().len() >= 32);
            let mut wrong = point(&theirs);
            wrong.fill(0);
            assert_eq!(ours.agree(&wrong), Err(KeyFault::Failed), "{kind}");
            assert_eq!(ours.decapsulate(&[0; 1088]), Err(KeyFault::Mismatch));
        }
    }

    #[test]
    fn a_key_of_ml_kem_is_read_from_its_seed_whole_or_both() {
        let seed: [u8; ml_kem::SEED] = random_octets().unwrap();
        let expanded = ml_kem::decapsulation_key(&seed);
        let wrapped = |key: &[u8]| {
            let algorithm = encode(SEQUENCE, &[&encode(OID, &[oid::ML_KEM_768.as_bytes()])]);
            encode(SEQUENCE, &[&encode(INTEGER, &[&[0]]), &algorithm, &encode(OCTET_STRING, &[key])])
        };
        let (short, long) = (encode(OCTET_STRING, &[&seed]), encode(OCTET_STRING, &[&expanded]));
        let forms = [encode(context(0), &[&seed]), long.clone(), encode(SEQUENCE, &[&short, &long])];
        let public = aws_lc_rs::kem::EncapsulationKey::new(&ML_KEM_768, ml_kem::encapsulation_key(&expanded)).unwrap();
        let (ciphertext, secret) = public.encapsulate().unwrap();
        for form in forms {
            let key = SoftwareKey::read(&wrapped(&form)).unwrap();
            assert_eq!(key.kind(), KeyKind::MlKem(768));
            assert_eq!(key.decapsulate(ciphertext.as_ref()).unwrap().as_slice(), secret.as_ref());
        }
        let other = encode(OCTET_STRING, &[&[7; ml_kem::SEED]]);
        assert!(SoftwareKey::read(&wrapped(&encode(SEQUENCE, &[&other, &long]))).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for kind in ["EC -pkeyopt ec_paramgen_curve:P-521", "X448", "RSA -pkeyopt rsa_keygen_bits:1024"] {
            assert!(SoftwareKey::read(&generate(kind)).is_err(), "{kind}");
        }
        let whole = generate("X25519");
        for cut in 0..whole.len() {
            assert!(SoftwareKey::read(&whole[..cut]).is_err());
        }
    }
}
