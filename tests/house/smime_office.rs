//! A folder in which `openssl` certifies people, and how we sign, seal and read there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sealgate::cms::algorithm::{ContentEncryption, SignatureAlgorithm};
use sealgate::cms::{
    Certificate, CmsError, ContentDigests, Opened, Progress, RecipientId, SealTo, SealWay, Sealer, Seconds, Signature,
    SignedData, SignedFault, SignedReader, Signer, SignerReport, Signing, SoftwareKey, Statement, Strictness, Unsealer,
};
use tempfile::TempDir;

pub const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nHej, det h\xc3\xa4r \xc3\xa4r en text.\r\n";
pub const TIME: Seconds = 1_795_000_000;
pub const DATA: der::oid::ObjectIdentifier = der::oid::ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
pub const RSA_2048: &str = "RSA -pkeyopt rsa_keygen_bits:2048";
pub const RSA_3072: &str = "RSA -pkeyopt rsa_keygen_bits:3072";
pub const RSA_4096: &str = "RSA -pkeyopt rsa_keygen_bits:4096";
pub const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";
pub const P384: &str = "EC -pkeyopt ec_paramgen_curve:P-384";

/// A folder with an authority, `root`, and people whom it certifies. What of them is in files is named after them.
pub struct Office {
    folder: TempDir,
}

/// Somebody with a certificate and its key.
pub struct Person {
    pub name: &'static str,
    pub key: SoftwareKey,
    pub certificate: Certificate,
}

impl Office {
    pub fn new() -> Self {
        let office = Self { folder: tempfile::tempdir().unwrap() };
        office.must(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout root.key -out root.pem -subj /CN=Root \
             -days 3650 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
        );
        office.write("text", TEXT);
        office
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, octets: &[u8]) {
        fs::write(self.path(name), octets).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Runs a program here: whether it went well, and what it said.
    pub fn run(&self, command: &mut Command) -> (bool, String) {
        let ran = command.current_dir(self.folder.path()).output().expect("tests/run installs it");
        (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
    }

    pub fn openssl(&self, arguments: &str) -> (bool, String) {
        self.run(Command::new("openssl").args(arguments.split_whitespace()))
    }

    pub fn must(&self, arguments: &str) -> String {
        let (ran, said) = self.openssl(arguments);
        assert!(ran, "openssl {arguments}: {said}");
        said
    }

    /// Makes a key of this algorithm, and a certificate of it for all that it can be used for.
    pub fn person(&self, name: &'static str, algorithm: &str) -> Person {
        self.certify(name, algorithm);
        Person {
            name,
            key: SoftwareKey::read(&self.read(&format!("{name}.p8"))).unwrap(),
            certificate: self.certificate(name),
        }
    }

    pub fn certificate(&self, name: &str) -> Certificate {
        Certificate::read(&self.read(&format!("{name}.der"))).unwrap()
    }

    /// The key in `.key` and `.p8`, the certificate in `.pem` and `.der`.
    pub fn certify(&self, name: &str, algorithm: &str) {
        let extensions = format!(
            "keyUsage=critical,digitalSignature,keyEncipherment,keyAgreement\nextendedKeyUsage=emailProtection\n\
             subjectKeyIdentifier=hash\nsubjectAltName=email:{name}@peer.example\n"
        );
        self.write("extensions", extensions.as_bytes());
        self.must(&format!("genpkey -algorithm {algorithm} -out {name}.key"));
        self.must(&format!("pkcs8 -topk8 -nocrypt -in {name}.key -outform DER -out {name}.p8"));
        // Keys that cannot sign have certificates, too.
        self.must(&format!("pkey -in {name}.key -pubout -out {name}.pub"));
        self.must(&format!(
            "x509 -new -force_pubkey {name}.pub -subj /CN={name} -CA root.pem -CAkey root.key -days 365 \
             -extfile extensions -out {name}.pem"
        ));
        self.must(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
    }
}

impl Person {
    pub fn signer(&self, algorithm: SignatureAlgorithm) -> Signer<'_> {
        let statement = Statement { time: Some(TIME), ..Statement::default() };
        Signer { key: &self.key, certificate: &self.certificate, algorithm, statement }
    }

    pub fn recipient(&self, way: SealWay) -> SealTo {
        SealTo { certificate: self.certificate.clone(), id: RecipientId::by_issuer(&self.certificate), way }
    }
}

/// Opens a message that comes in pieces, for whoever is named in it. A fault tells whether it was unlocked by then.
pub fn open(
    sealed: &[u8],
    person: &Person,
    piece: usize,
    strictness: Strictness,
) -> Result<(Vec<u8>, Opened), (bool, CmsError)> {
    let (mut unsealer, mut plain, mut is_unlocked) = (Unsealer::default(), Vec::new(), false);
    for mut input in sealed.chunks(piece) {
        while unsealer.read(&mut input, &mut plain).map_err(|fault| (is_unlocked, fault))? == Progress::Recipients {
            let keys = unsealer.envelope().unwrap().keys();
            let place = keys.iter().position(|key| key.id().names(&person.certificate));
            let place = place.ok_or((false, CmsError::Unexpected("nobody is named")))?;
            unsealer.unlock(place, &person.key, strictness).map_err(|fault| (false, fault))?;
            is_unlocked = true;
        }
    }
    let opened = unsealer.finish(&mut plain).map_err(|fault| (is_unlocked, fault))?;
    Ok((plain, opened))
}

pub fn seal(plain: &[u8], content: ContentEncryption, recipients: &[SealTo], is_definite: bool) -> Vec<u8> {
    let length = is_definite.then(|| u64::try_from(plain.len()).unwrap());
    let mut out = Vec::new();
    let mut sealer = Sealer::new(content, DATA, recipients, length, &mut out).unwrap();
    plain.chunks(10_000).for_each(|piece| sealer.update(piece, &mut out).unwrap());
    sealer.finish(&mut out).unwrap();
    out
}

/// Reads in pieces of odd length: the content and what is around it.
pub fn read(message: &[u8]) -> (Vec<u8>, SignedData) {
    try_read(message).unwrap()
}

pub fn try_read(message: &[u8]) -> Result<(Vec<u8>, SignedData), CmsError> {
    let (mut content, mut reader) = (Vec::new(), SignedReader::default());
    for piece in message.chunks(37) {
        reader.push(piece, &mut |octets| content.extend_from_slice(octets))?;
    }
    Ok((content, reader.finish()?))
}

/// The reports on a message that has its content, or on one whose content is the text.
pub fn reports(message: &[u8], others: &[Certificate]) -> Result<Vec<SignerReport>, SignedFault> {
    let (_, data) = read(message);
    if data.has_content() {
        data.verify(others, Strictness::Strict)
    } else {
        data.verify_detached(&ContentDigests::of(TEXT, &data.digests()), others, Strictness::Strict)
    }
}

pub fn sign(content: &[u8], signers: Vec<Signer<'_>>) -> Signature {
    let mut signing = Signing::new(signers, &[]).unwrap();
    content.chunks(11).for_each(|piece| signing.push(piece));
    signing.sign().unwrap()
}

pub fn opaque(content: &[u8], signers: Vec<Signer<'_>>) -> Vec<u8> {
    let signature = sign(content, signers);
    [&signature.before()[..], content, signature.behind()].concat()
}
