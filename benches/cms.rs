//! S/MIME: sign and seal, open and verify, from 4 KiB to 50 MiB, with RSA-3072 and P-256, by us, by `openssl cms` as a process
//! and by OpenSSL's library called in one process (`benches/libcrypto_cms.c`, built with gcc and Debian's libssl-dev), in one
//! run. Beside them what the asymmetric operations alone cost, and the raw cipher. `benches/run cms`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, PaddedBlockEncryptingKey, UnboundCipherKey};
use der::asn1::ObjectIdentifier;
use sealgate::cms::algorithm::{AesKeyLength, ContentEncryption, DigestAlgorithm, SignatureAlgorithm};
use sealgate::cms::{
    Certificate, OpaqueWriter, PrivateKey, Progress, SealTo, Sealer, SignedReader, Signer, Signing, SoftwareKey,
    Statement, Strictness, Unsealer,
};

/// Octets that are read and passed on at a time.
const PIECE: usize = 64 << 10;
const SIZES: [(&str, usize); 4] =
    [("4 KiB", 4 << 10), ("256 KiB", 256 << 10), ("5 MiB", 5 << 20), ("50 MiB", 50 << 20)];
const CBC: ContentEncryption = ContentEncryption::AesCbc(AesKeyLength::Bits256);
const GCM: ContentEncryption = ContentEncryption::AesGcm(AesKeyLength::Bits256);

/// id-data, RFC 5652 §4: as far as the envelope knows, what is signed is a MIME entity.
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");

struct Person {
    certificate: Certificate,
    key: SoftwareKey,
    signs_by: SignatureAlgorithm,
}

impl Person {
    fn new(folder: &Path, name: &str, kind: &str, signs_by: SignatureAlgorithm) -> Self {
        let made = format!(
            "req -x509 -newkey {kind} -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -days 30 -outform PEM"
        );
        openssl(folder, &made);
        openssl(folder, &format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        openssl(folder, &format!("pkey -in {name}.key -outform DER -out {name}.key.der"));
        let read = |file: String| fs::read(folder.join(file)).unwrap();
        Self {
            certificate: Certificate::read(&read(format!("{name}.der"))).unwrap(),
            key: SoftwareKey::read(&read(format!("{name}.key.der"))).unwrap(),
            signs_by,
        }
    }

    /// Signs, and seals to himself what is signed: both stream, as on the mail route.
    fn seal(&self, text: &[u8], cipher: ContentEncryption, sealed: &mut Vec<u8>) {
        sealed.clear();
        let signer = Signer {
            key: &self.key,
            certificate: &self.certificate,
            algorithm: self.signs_by,
            statement: Statement::default(),
        };
        let to = [SealTo::usual(&self.certificate, cipher).unwrap()];
        let mut signed = Vec::with_capacity(2 * PIECE);
        let mut writer = OpaqueWriter::new(Signing::new(vec![signer], &[]).unwrap(), &mut signed).unwrap();
        let mut sealer = Sealer::new(cipher, DATA, &to, None, sealed).unwrap();
        for piece in text.chunks(PIECE) {
            writer.push(piece, &mut signed);
            sealer.update(&signed, sealed).unwrap();
            signed.clear();
        }
        writer.finish(&mut signed).unwrap();
        sealer.update(&signed, sealed).unwrap();
        sealer.finish(sealed).unwrap();
    }

    /// Opens, and verifies what was sealed; the content's octets.
    fn open(&self, sealed: &[u8], spool: &mut Vec<u8>) -> usize {
        spool.clear();
        let mut unsealer = Unsealer::default();
        for mut input in sealed.chunks(PIECE) {
            while unsealer.read(&mut input, spool).unwrap() == Progress::Recipients {
                unsealer.unlock(0, &self.key, Strictness::Strict).unwrap();
            }
        }
        unsealer.finish(spool).unwrap();
        let (mut length, mut reader) = (0, SignedReader::default());
        for piece in spool.chunks(PIECE) {
            reader.push(piece, &mut |octets| length += octets.len()).unwrap();
        }
        let reports = reader.finish().unwrap().verify(&[], Strictness::Strict).unwrap();
        assert!(reports.iter().all(|report| report.verdict == Ok(None)) && reports.len() == 1);
        length
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// The shortest of several times, for work done so often in each.
fn best(rounds: usize, parts: usize, mut work: impl FnMut()) -> Duration {
    let time = |work: &mut dyn FnMut()| {
        let begun = Instant::now();
        (0..parts).for_each(|_| work());
        begun.elapsed() / u32::try_from(parts).unwrap()
    };
    (0..rounds).map(|_| time(&mut work)).min().unwrap()
}

fn shown(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

/// The library's times for both directions.
fn by_library(folder: &Path, name: &str, rounds: usize, parts: usize) -> (Duration, Duration) {
    let ran = Command::new(folder.join("libcrypto_cms"))
        .args(["text", &format!("{name}.pem"), &format!("{name}.key"), &rounds.to_string(), &parts.to_string()])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).unwrap();
    let mut times = text.split_whitespace().map(|word| Duration::from_secs_f64(word.parse().unwrap()));
    (times.next().unwrap(), times.next().unwrap())
}

/// The raw cipher, over the whole in place.
fn by_cipher(text: &[u8], cipher: ContentEncryption, rounds: usize, parts: usize) -> Duration {
    let mut octets = text.to_vec();
    octets.reserve(16);
    best(rounds, parts, || {
        octets.truncate(text.len());
        if cipher == GCM {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key([1; 12]), Aad::empty(), &mut octets).unwrap();
        } else {
            let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &[7; 32]).unwrap()).unwrap();
            key.encrypt(&mut octets).unwrap();
        }
    })
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/libcrypto_cms.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-o"]).arg(folder.join("libcrypto_cms")).args([source, "-lcrypto"]);
    assert!(gcc.status().unwrap().success(), "gcc or libssl-dev is missing");
    let people = [
        (
            "rsa",
            "RSA-3072",
            Person::new(folder, "rsa", "rsa:3072", SignatureAlgorithm::RsaPkcs1(Some(DigestAlgorithm::Sha256))),
        ),
        (
            "p256",
            "P-256",
            Person::new(
                folder,
                "p256",
                "ec -pkeyopt ec_paramgen_curve:P-256",
                SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
            ),
        ),
    ];
    println!(
        "milliseconds, best of the rounds; in brackets how many times as fast as we each is (below 1: slower than we)"
    );
    println!(
        "key       size     cipher   seal: ours  library        process        raw cipher | open: ours  library        process"
    );
    for (name, shown_name, person) in &people {
        for (size_name, size) in SIZES {
            let parts = (4_usize << 20).div_ceil(size).min(200);
            let rounds = if size > 10 << 20 { 5 } else { 7 };
            let text: Vec<u8> = (0..size).map(|at| b' ' + u8::try_from(at % 89).unwrap()).collect();
            fs::write(folder.join("text"), &text).unwrap();
            let (lib_seal, lib_open) = by_library(folder, name, rounds, parts);
            let process_seal = best(3, 1, || {
                let sign = "cms -sign -binary -nodetach -nosmimecap -outform DER -in text -out signed";
                openssl(folder, &format!("{sign} -signer {name}.pem -inkey {name}.key"));
                openssl(
                    folder,
                    &format!("cms -encrypt -binary -aes256 -outform DER -in signed -out sealed {name}.pem"),
                );
            });
            let process_open = best(3, 1, || {
                let opened = "cms -decrypt -binary -inform DER -in sealed -out signed";
                openssl(folder, &format!("{opened} -recip {name}.pem -inkey {name}.key"));
                openssl(
                    folder,
                    &format!("cms -verify -binary -noverify -inform DER -in signed -out plain -certfile {name}.pem"),
                );
            });
            for (cipher_name, cipher) in [("CBC", CBC), ("GCM", GCM)] {
                let (mut sealed, mut spool) = (Vec::new(), Vec::new());
                let seal = best(rounds, parts, || person.seal(&text, cipher, &mut sealed));
                let open = best(rounds, parts, || assert_eq!(person.open(&sealed, &mut spool), size));
                let raw = by_cipher(&text, cipher, rounds, parts);
                let against = |ours: Duration, theirs: Duration| {
                    format!("{:>8} ({:.2})", shown(theirs), ours.as_secs_f64() / theirs.as_secs_f64())
                };
                println!(
                    "{shown_name:<9} {size_name:<8} {cipher_name:<6} {:>10}  {}  {}  {} | {:>8}  {}  {}",
                    shown(seal),
                    against(seal, lib_seal),
                    against(seal, process_seal),
                    against(seal, raw),
                    shown(open),
                    against(open, lib_open),
                    against(open, process_open),
                );
            }
        }
        let sign = best(5, 200, || {
            person.key.sign(person.signs_by, b"what is signed").unwrap();
        });
        println!("{shown_name}: one signature {} ms", shown(sign));
    }
}
