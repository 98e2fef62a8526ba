//! Other programs that speak CMS, each doing the same steps in its own way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use sealgate::cms::algorithm::{
    AesKeyLength, AgreementKdf, ContentEncryption, DigestAlgorithm, KeyTransport, SignatureAlgorithm,
};
use sealgate::cms::{PublicKey, SealWay};

use crate::smime_office::Office;

/// What is to be done.
#[derive(Clone)]
pub enum Act {
    Sign {
        algorithm: SignatureAlgorithm,
        is_detached: bool,
    },
    /// Gives the content, which is the file `text` if the signature is detached.
    Verify {
        is_detached: bool,
    },
    Seal {
        cipher: ContentEncryption,
        way: SealWay,
    },
    Open,
    Compress,
    /// Makes a message that has the certificate and nothing else.
    Gather,
    /// Gives the certificate that such a message has, in DER or PEM.
    List,
}

/// Something to do with somebody's key, from a file into a file.
pub struct Step {
    pub act: Act,
    pub who: &'static str,
    pub from: String,
    pub into: String,
}

pub trait Program: Sync {
    fn name(&self) -> &'static str;
    /// What it says where it refuses, parts of that parted by `|`, and what it means. What it made instead of what it was
    /// asked for is told after "made".
    fn refusals(&self) -> &'static [(&'static str, &'static str)];
    /// Does the steps one by one; of each, what it said if it refused.
    fn take(&self, office: &Office, steps: &[Step]) -> Vec<Result<(), String>>;
}

/// The people of the matrix: those whose keys every program of theirs is given, as far as it takes them.
pub type People = [(&'static str, &'static str)];

fn told((ran, said): (bool, String)) -> Result<(), String> {
    if ran { Ok(()) } else { Err(said) }
}

fn digest_name(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm.digest().unwrap() {
        DigestAlgorithm::Sha1 => "SHA1",
        DigestAlgorithm::Sha224 => "SHA224",
        DigestAlgorithm::Sha256 => "SHA256",
        DigestAlgorithm::Sha384 => "SHA384",
        DigestAlgorithm::Sha512 => "SHA512",
    }
}

fn bits(length: AesKeyLength) -> usize {
    length.octets() * 8
}

pub struct OpenSsl;

impl Program for OpenSsl {
    fn name(&self) -> &'static str {
        "OpenSSL"
    }

    fn refusals(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("operation not supported for this keytype", "writes to no X25519"),
            ("no matching recipient", "reads nothing sealed to X25519"),
            ("eddsa_digest_signverify_init:invalid digest", "has no Ed25519 in CMS"),
            ("unsupported compression algorithm", "is built without zlib, as Debian does"),
        ]
    }

    fn take(&self, office: &Office, steps: &[Step]) -> Vec<Result<(), String>> {
        steps.iter().map(|step| told(office.openssl(&Self::command(step)))).collect()
    }
}

impl OpenSsl {
    fn command(Step { act, who, from, into }: &Step) -> String {
        let files = format!("-in {from} -out {into}");
        match act {
            Act::Sign { algorithm, is_detached } => {
                let form = if *is_detached { "" } else { "-nodetach" };
                let padding = match algorithm {
                    SignatureAlgorithm::RsaPss { salt_octets, .. } => {
                        format!("-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:{salt_octets}")
                    }
                    _ => String::new(),
                };
                let digest = digest_name(*algorithm);
                format!(
                    "cms -sign -binary {files} -outform DER -signer {who}.pem -inkey {who}.key -md {digest} {form} {padding}"
                )
            }
            Act::Verify { is_detached } => {
                let content = if *is_detached { "-content text" } else { "" };
                format!("cms -verify -binary -inform DER {files} -CAfile root.pem -no-CApath -no-CAstore {content}")
            }
            Act::Seal { cipher, way } => {
                let cipher = match cipher {
                    ContentEncryption::AesCbc(length) => format!("-aes-{}-cbc", bits(*length)),
                    ContentEncryption::AesGcm(length) => format!("-aes-{}-gcm", bits(*length)),
                    ContentEncryption::TripleDesCbc => "-des3".to_owned(),
                };
                let way = match way {
                    SealWay::Transport(KeyTransport::Oaep { hash, .. }) => {
                        format!("-keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:{}", hash.micalg().replace('-', ""))
                    }
                    SealWay::Agreement(scheme) => {
                        let (AgreementKdf::X963(hash) | AgreementKdf::Hkdf(hash)) = scheme.kdf;
                        let hash = hash.micalg().replace('-', "");
                        format!("-aes{}-wrap -keyopt ecdh_kdf_md:{hash}", bits(scheme.wrap.0))
                    }
                    SealWay::Transport(KeyTransport::Pkcs1v15) | SealWay::Kem => String::new(),
                };
                format!("cms -encrypt -binary {files} -outform DER {cipher} -recip {who}.pem {way}")
            }
            Act::Open => {
                format!("cms -decrypt -binary -inform DER {files} -recip {who}.pem -inkey {who}.key")
            }
            Act::Compress => format!("cms -compress -binary {files} -outform DER"),
            Act::Gather => format!("crl2pkcs7 -nocrl -certfile {who}.pem -outform DER -out {into}"),
            Act::List => format!("pkcs7 -inform DER {files} -print_certs"),
        }
    }
}

pub struct Gpgsm {
    home: PathBuf,
}

impl Gpgsm {
    /// A home that trusts the authority and has the people's keys.
    pub fn new(office: &Office, people: &People) -> Self {
        let program = Self { home: office.path("gpgsm") };
        fs::create_dir(&program.home).unwrap();
        fs::set_permissions(&program.home, fs::Permissions::from_mode(0o700)).unwrap();
        let print = office.must("x509 -in root.pem -noout -fingerprint -sha1");
        let trusted = format!("{} S relax\n", print.trim().rsplit_once('=').unwrap().1);
        fs::write(program.home.join("trustlist.txt"), trusted).unwrap();
        let (ran, said) = program.run(office, "--import root.pem");
        assert!(ran, "gpgsm: {said}");
        fs::create_dir_all(program.home.join("private-keys-v1.d")).unwrap();
        for (name, algorithm) in people {
            let (ran, said) = program.run(office, &format!("--import {name}.pem"));
            assert!(ran, "gpgsm: {said}");
            if algorithm.starts_with("RSA") {
                let (ran, said) = program.run(office, &format!("--import {name}.p12"));
                assert!(ran, "gpgsm: {said}");
            } else if algorithm.starts_with("EC") {
                program.give_curve_key(office, name);
            }
        }
        program
    }

    /// From PKCS #12 this release reads keys of RSA alone. So the key goes where its agent keeps it, in its form.
    fn give_curve_key(&self, office: &Office, name: &str) {
        let (_, said) = self.run(office, &format!("--with-colons --with-keygrip --list-keys {name}"));
        let grip = said.lines().find_map(|line| line.strip_prefix("grp:::::::::")).unwrap().trim_end_matches(':');
        let certificate = office.certificate(name);
        let info = certificate.public_key().unwrap();
        let point = PublicKey::octets(&info);
        let octets = (point.len() - 1) / 2;
        let curve = match octets {
            32 => "NIST P-256",
            48 => "NIST P-384",
            _ => "NIST P-521",
        };
        // ECPrivateKey, RFC 5915 §3, begins with its version and the secret.
        let key = office.read(&format!("{name}.p8"));
        let head = [2, 1, 1, 4, u8::try_from(octets).unwrap()];
        let at = key.windows(5).position(|found| found == head).unwrap() + 5;
        let secret = &key[at..at + octets];
        let sized = |octets: &[u8]| [format!("{}:", octets.len()).as_bytes(), octets].concat();
        let pair = |name: &str, octets: &[u8]| [b"(", &sized(name.as_bytes())[..], &sized(octets), b")"].concat();
        let all = [pair("curve", curve.as_bytes()), pair("q", point), pair("d", secret)].concat();
        let whole = [b"(11:private-key(3:ecc", &all[..], b"))"].concat();
        fs::write(self.home.join(format!("private-keys-v1.d/{grip}.key")), whole).unwrap();
    }

    fn run(&self, office: &Office, arguments: &str) -> (bool, String) {
        office.write("phrase", b"pw\n");
        office.run(
            Command::new("gpgsm")
                .args(["--batch", "--yes", "--disable-crl-checks", "--pinentry-mode", "loopback"])
                .args(["--passphrase-fd", "0"])
                .args(arguments.split_whitespace())
                .env("GNUPGHOME", &self.home)
                .stdin(fs::File::open(office.path("phrase")).unwrap()),
        )
    }

    fn do_one(&self, office: &Office, Step { act, who, from, into }: &Step) -> Result<(), String> {
        let command = match act {
            Act::Sign { algorithm, is_detached } => {
                let form = if *is_detached { "--detach-sign" } else { "--sign" };
                format!("--digest-algo {} --local-user {who} --output {into} {form} {from}", digest_name(*algorithm))
            }
            Act::Verify { is_detached: true } => {
                told(self.run(office, &format!("--verify {from} text")))?;
                office.write(into, &office.read("text"));
                return Ok(());
            }
            Act::Verify { is_detached: false } => format!("--output {into} --verify {from}"),
            Act::Seal { cipher, .. } => {
                let cipher = match cipher {
                    ContentEncryption::AesCbc(length) => format!("AES{}", bits(*length)),
                    ContentEncryption::AesGcm(length) => format!("AES{}-GCM", bits(*length)),
                    ContentEncryption::TripleDesCbc => "3DES".to_owned(),
                };
                format!("--cipher-algo {cipher} --recipient {who} --output {into} --encrypt {from}")
            }
            Act::Open => format!("--output {into} --decrypt {from}"),
            Act::Compress => format!("--output {into} --compress {from}"),
            Act::Gather => format!("--output {into} --export {who}"),
            Act::List => {
                told(self.run(office, &format!("--import {from}")))?;
                format!("--output {into} --export {who}")
            }
        };
        told(self.run(office, &command))
    }
}

impl Drop for Gpgsm {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", &self.home).status();
    }
}

impl Program for Gpgsm {
    fn name(&self) -> &'static str {
        "gpgsm"
    }

    fn refusals(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("selected cipher algorithm is invalid", "writes no AES-GCM"),
            ("Buffer too short", "reads no AES-GCM"),
            ("made PKCS #1 v1.5", "writes neither OAEP nor PSS, and has no switch for them"),
            ("error getting encrypted session key", "reads nothing sealed by OAEP or to X25519"),
            ("ksba_cms_set_enc_val failed|encryption failed for recipient", "writes to no curve"),
            ("Invalid session key", "reads nothing sealed to P-256 or P-384"),
            ("error creating signature: Invalid length", "signs no digest shorter than the curve"),
            ("can't sign using", "signs with no Ed25519"),
            ("DSA requires the hash length to be a multiple of 8 bits", "verifies no Ed25519"),
            ("made a bare certificate", "exports certificates without a message around them"),
            ("invalid option \"--compress\"", "compresses nothing in CMS"),
        ]
    }

    fn take(&self, office: &Office, steps: &[Step]) -> Vec<Result<(), String>> {
        steps.iter().map(|step| self.do_one(office, step)).collect()
    }
}

/// NSS by its `cmsutil`.
pub struct Nss;

impl Nss {
    pub fn new(office: &Office, people: &People) -> Self {
        let must = |program: &str, arguments: &str| {
            let (ran, said) = Self::run(office, program, arguments);
            assert!(ran, "{program} {arguments}: {said}");
        };
        for name in ["nss", "strangers"] {
            fs::create_dir(office.path(name)).unwrap();
            must("certutil", &format!("-N -d sql:{name} --empty-password"));
        }
        must("certutil", "-A -d sql:nss -n root -t C,C,C -i root.pem");
        for (name, _) in people {
            // Of a key that it does not know, the certificate alone, if it takes that.
            if !Self::run(office, "pk12util", &format!("-d sql:nss -W pw -i {name}.p12")).0 {
                Self::run(office, "certutil", &format!("-A -d sql:nss -n {name} -t ,, -i {name}.pem"));
            }
        }
        Self
    }

    fn run(office: &Office, program: &str, arguments: &str) -> (bool, String) {
        office.run(Command::new(program).args(arguments.split_whitespace()))
    }
}

impl Program for Nss {
    fn name(&self) -> &'static str {
        "NSS"
    }

    fn refusals(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("made AES-128-CBC|made AES-256-CBC", "chooses the cipher by the size of the key, and has no switch"),
            ("SEC_ERROR_UNRECOGNIZED_OID", "reads no AES-GCM"),
            ("made PKCS #1 v1.5", "writes neither OAEP nor PSS, and has no switch for them"),
            ("SEC_ERROR_UNSUPPORTED_KEYALG", "reads no OAEP"),
            ("SEC_ERROR_INVALID_ALGORITHM", "writes to no curve"),
            ("SEC_ERROR_BAD_DER", "reads nothing sealed to a curve"),
            ("cannot find certificate", "takes in no certificate of X25519"),
            ("the corresponding cert for key", "takes in no certificate of Ed25519"),
            ("SEC_ERROR_PKCS7_BAD_SIGNATURE", "verifies no Ed25519"),
            ("Usage:  cmsutil", "compresses nothing in CMS"),
        ]
    }

    fn take(&self, office: &Office, steps: &[Step]) -> Vec<Result<(), String>> {
        let command = |Step { act, who, from, into }: &Step| match act {
            Act::Sign { algorithm, is_detached } => {
                let form = if *is_detached { "-T" } else { "" };
                format!("-S -N {who} -H {} -G {form} -i {from} -o {into}", digest_name(*algorithm))
            }
            Act::Verify { is_detached: true } => format!("-D -c text -i {from} -o {into}"),
            Act::Verify { is_detached: false } | Act::Open => format!("-D -i {from} -o {into}"),
            Act::List => format!("-A -n {from} -t ,, -i {from}"),
            Act::Seal { .. } => format!("-E -r {who}@peer.example -i {from} -o {into}"),
            Act::Compress => "-Z".to_owned(),
            Act::Gather => format!("-O -r {who}@peer.example -o {into}"),
        };
        let take = |step: &Step| {
            if let Act::List = step.act {
                told(Self::run(office, "certutil", &(command(step) + " -d sql:strangers")))?;
                let (ran, said) = Self::run(office, "certutil", &format!("-L -d sql:strangers -n {} -a", step.from));
                office.write(&step.into, said.as_bytes());
                return told((ran, said));
            }
            told(Self::run(office, "cmsutil", &(command(step) + " -d sql:nss")))
        };
        steps.iter().map(take).collect()
    }
}

/// Bouncy Castle, by tests/peers/BouncyCastle.java: one program run for all steps.
pub struct BouncyCastle {
    classes: String,
}

impl BouncyCastle {
    pub fn new(office: &Office) -> Self {
        let jars = ["bcmail", "bcpkix", "bcprov", "bcutil"].map(|name| format!("/usr/share/java/{name}.jar")).join(":");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/BouncyCastle.java");
        fs::create_dir(office.path("java")).unwrap();
        let (ran, said) = office.run(Command::new("ecj").args([
            "-nowarn",
            "-proc:none",
            "-17",
            "-d",
            "java",
            "-classpath",
            &jars,
            source,
        ]));
        assert!(ran, "ecj: {said}");
        Self { classes: format!("java:{jars}") }
    }

    fn line(Step { act, who, from, into }: &Step) -> String {
        let (word, besides) = match act {
            Act::Sign { algorithm, is_detached } => {
                let hash = digest_name(*algorithm);
                let algorithm = match algorithm {
                    SignatureAlgorithm::RsaPkcs1(_) => format!("{hash}withRSA"),
                    SignatureAlgorithm::RsaPss { .. } => format!("{hash}withRSAandMGF1"),
                    SignatureAlgorithm::Ecdsa(_) => format!("{hash}withECDSA"),
                    SignatureAlgorithm::Ed25519 => "Ed25519".to_owned(),
                };
                let form = if *is_detached { "detached" } else { "opaque" };
                ("sign", format!("{algorithm}\t{form}"))
            }
            Act::Verify { is_detached } => ("verify", if *is_detached { "text" } else { "" }.to_owned()),
            Act::Seal { cipher, way } => {
                let way = match way {
                    SealWay::Transport(KeyTransport::Pkcs1v15) => "rsa\t".to_owned(),
                    SealWay::Transport(KeyTransport::Oaep { hash, .. }) => {
                        format!("oaep\t{}", hash.micalg().to_uppercase())
                    }
                    SealWay::Agreement(scheme) => {
                        format!("{}\t{}", scheme.identifier().unwrap().oid, scheme.wrap.oid())
                    }
                    SealWay::Kem => "kem\t".to_owned(),
                };
                ("seal", format!("{}\t{way}", cipher.oid()))
            }
            Act::Open => ("open", String::new()),
            Act::Compress => ("compress", String::new()),
            Act::Gather => ("gather", String::new()),
            Act::List => ("list", String::new()),
        };
        format!("{word}\t{who}\t{from}\t{into}\t{besides}")
    }
}

impl Program for BouncyCastle {
    fn name(&self) -> &'static str {
        "Bouncy Castle"
    }

    fn refusals(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("Unknown key agreement algorithm", "writes to no X25519"),
            ("cannot create key agreement: no such algorithm", "reads nothing sealed to X25519"),
        ]
    }

    fn take(&self, office: &Office, steps: &[Step]) -> Vec<Result<(), String>> {
        let lines: String = steps.iter().map(|step| Self::line(step) + "\n").collect();
        office.write("steps", lines.as_bytes());
        let (ran, said) = office.run(Command::new("java").args(["-cp", &self.classes, "BouncyCastle", "steps"]));
        assert!(ran && said.lines().count() == steps.len(), "java: {said}");
        said.lines().map(|line| if line == "ok" { Ok(()) } else { Err(line.to_owned()) }).collect()
    }
}
