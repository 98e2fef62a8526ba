//! Every algorithm with every other program, both ways: the table of docs/smime.md.
//!
//! A cell is proven by a message that one side made and the other read, or by what the program says when it refuses. A
//! refusal that is not known to be the program's own is a fault.

use std::collections::BTreeMap;
use std::fmt::Write;

use sealgate::cms::algorithm::{
    AesKeyLength, AgreementKdf, ContentEncryption, DigestAlgorithm, KeyAgreement, KeyTransport, KeyWrap,
    SignatureAlgorithm,
};
use sealgate::cms::{
    ContentDigests, Decompressor, Imported, PrivateKey, SealWay, SignedData, Signer, SoftwareKey, Strictness, Unsealer,
    certificates_only,
};

use crate::smime_office::{
    Office, P256, P384, Person, RSA_2048, RSA_3072, RSA_4096, TEXT, opaque, open, seal, sign, try_read,
};
use crate::smime_programs::{Act, BouncyCastle, Gpgsm, Nss, OpenSsl, Program, Step};

const PEOPLE: [(&str, &str); 8] = [
    ("rsa2048", RSA_2048),
    ("rsa3072", RSA_3072),
    ("rsa4096", RSA_4096),
    ("p256", P256),
    ("p384", P384),
    ("p521", "EC -pkeyopt ec_paramgen_curve:P-521"),
    ("x25519", "X25519"),
    ("ed25519", "ED25519"),
];
const HASHES: [(DigestAlgorithm, &str); 3] =
    [(DigestAlgorithm::Sha256, "SHA-256"), (DigestAlgorithm::Sha384, "SHA-384"), (DigestAlgorithm::Sha512, "SHA-512")];
const CIPHERS: [(ContentEncryption, &str); 6] = [
    (ContentEncryption::AesCbc(AesKeyLength::Bits128), "AES-128-CBC"),
    (ContentEncryption::AesCbc(AesKeyLength::Bits192), "AES-192-CBC"),
    (ContentEncryption::AesCbc(AesKeyLength::Bits256), "AES-256-CBC"),
    (ContentEncryption::AesGcm(AesKeyLength::Bits128), "AES-128-GCM"),
    (ContentEncryption::AesGcm(AesKeyLength::Bits192), "AES-192-GCM"),
    (ContentEncryption::AesGcm(AesKeyLength::Bits256), "AES-256-GCM"),
];

/// What a message is.
#[derive(Clone)]
enum Deed {
    Signed {
        who: &'static str,
        algorithm: SignatureAlgorithm,
        is_detached: bool,
    },
    Sealed {
        who: &'static str,
        cipher: ContentEncryption,
        way: SealWay,
    },
    /// Signed, sealed and signed again.
    TripleWrapped,
    CertificatesOnly,
    Compressed,
}

struct Row {
    by: String,
    what: &'static str,
    deed: Deed,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut ways = Vec::new();
    for (who, bits, hashes) in
        [("rsa2048", 2048, &HASHES[..]), ("rsa3072", 3072, &HASHES[..1]), ("rsa4096", 4096, &HASHES[..1])]
    {
        ways.push((who, format!("RSA {bits}, PKCS #1 v1.5"), None));
        for (hash, name) in hashes {
            let oaep = KeyTransport::Oaep { hash: *hash, mask: *hash, label: Vec::new() };
            ways.push((who, format!("RSA {bits}, OAEP with {name}"), Some(oaep)));
        }
    }
    for (who, by, transport) in ways {
        let way = SealWay::Transport(transport.unwrap_or(KeyTransport::Pkcs1v15));
        rows.extend(CIPHERS.map(|(cipher, what)| Row {
            by: by.clone(),
            what,
            deed: Deed::Sealed { who, cipher, way: way.clone() },
        }));
    }
    for (who, curve) in [("p256", "P-256"), ("p384", "P-384"), ("x25519", "X25519")] {
        for (hash, name) in HASHES {
            let (kdf, derivation) =
                if who == "x25519" { (AgreementKdf::Hkdf(hash), "HKDF") } else { (AgreementKdf::X963(hash), "X9.63") };
            rows.extend(CIPHERS.map(|(cipher, what)| {
                let (ContentEncryption::AesCbc(length) | ContentEncryption::AesGcm(length)) = cipher else { panic!() };
                let way = SealWay::Agreement(KeyAgreement { kdf, wrap: KeyWrap(length) });
                let by = format!("ECDH {curve}, {derivation} with {name}, AES wrap");
                Row { by, what, deed: Deed::Sealed { who, cipher, way } }
            }));
        }
    }
    let mut algorithms = Vec::new();
    for (hash, name) in HASHES {
        algorithms.push((
            "rsa2048",
            format!("RSA 2048, PKCS #1 v1.5, {name}"),
            SignatureAlgorithm::RsaPkcs1(Some(hash)),
        ));
        algorithms.push(("rsa2048", format!("RSA 2048, PSS, {name}"), SignatureAlgorithm::pss(hash)));
        for (who, curve) in [("p256", "P-256"), ("p384", "P-384"), ("p521", "P-521")] {
            algorithms.push((who, format!("ECDSA {curve}, {name}"), SignatureAlgorithm::Ecdsa(hash)));
        }
    }
    let sha256 = SignatureAlgorithm::RsaPkcs1(Some(DigestAlgorithm::Sha256));
    algorithms.push(("rsa3072", "RSA 3072, PKCS #1 v1.5, SHA-256".to_owned(), sha256));
    algorithms.push(("rsa4096", "RSA 4096, PKCS #1 v1.5, SHA-256".to_owned(), sha256));
    algorithms.push(("ed25519", "Ed25519, SHA-512".to_owned(), SignatureAlgorithm::Ed25519));
    algorithms.sort_by(|one, other| one.1.split(',').next().cmp(&other.1.split(',').next()));
    for (who, by, algorithm) in algorithms {
        for (is_detached, what) in [(false, "opaque"), (true, "detached")] {
            rows.push(Row { by: by.clone(), what, deed: Deed::Signed { who, algorithm, is_detached } });
        }
    }
    let wrapped = "signed, sealed, signed";
    rows.push(Row { by: "RSA 2048, PKCS #1 v1.5".to_owned(), what: wrapped, deed: Deed::TripleWrapped });
    rows.push(Row { by: "nobody".to_owned(), what: "certificates only", deed: Deed::CertificatesOnly });
    rows.push(Row { by: "zlib".to_owned(), what: "compressed", deed: Deed::Compressed });
    rows
}

/// A message that Thunderbird made stands among those of others which are opened.
const RECORDED: (&str, &[&str]) = ("RSA 2048, PKCS #1 v1.5", &["AES-128-CBC"]);

const TRIPLE: SignatureAlgorithm = SignatureAlgorithm::RsaPkcs1(Some(DigestAlgorithm::Sha256));
const TRIPLE_CIPHER: ContentEncryption = ContentEncryption::AesCbc(AesKeyLength::Bits128);

/// The acts that make a message, the last of which gives it, and those that read it.
fn acts(deed: &Deed) -> (&'static str, Vec<Act>, Vec<Act>) {
    match deed.clone() {
        Deed::Signed { who, algorithm, is_detached } => {
            (who, vec![Act::Sign { algorithm, is_detached }], vec![Act::Verify { is_detached }])
        }
        Deed::Sealed { who, cipher, way } => (who, vec![Act::Seal { cipher, way }], vec![Act::Open]),
        Deed::TripleWrapped => {
            let sign = Act::Sign { algorithm: TRIPLE, is_detached: false };
            let seal = Act::Seal { cipher: TRIPLE_CIPHER, way: SealWay::Transport(KeyTransport::Pkcs1v15) };
            let verify = Act::Verify { is_detached: false };
            ("rsa2048", vec![sign.clone(), seal, sign], vec![verify.clone(), Act::Open, verify])
        }
        Deed::CertificatesOnly => ("p256", vec![Act::Gather], vec![Act::List]),
        Deed::Compressed => ("p256", vec![Act::Compress], vec![]),
    }
}

/// One after the other: each takes what the one before gave.
fn steps(who: &'static str, acts: Vec<Act>, from: &str, into: &str) -> Vec<Step> {
    let last = acts.len().saturating_sub(1);
    let mut from = from.to_owned();
    let mut steps = Vec::new();
    for (at, act) in acts.into_iter().enumerate() {
        let into = if at == last { into.to_owned() } else { format!("{into}.{at}") };
        steps.push(Step { act, who, from: std::mem::replace(&mut from, into.clone()), into });
    }
    steps
}

/// The people, and what we can do for them.
struct House {
    office: Office,
    people: BTreeMap<&'static str, Person>,
}

impl House {
    fn new() -> Self {
        let office = Office::new();
        let mut people = BTreeMap::new();
        for (name, algorithm) in PEOPLE {
            if name == "p521" {
                // We verify with this curve, and have no keys of it.
                office.certify(name, algorithm);
                assert!(SoftwareKey::read(&office.read("p521.p8")).is_err());
            } else {
                people.insert(name, office.person(name, algorithm));
            }
            office.must(&format!(
                "pkcs12 -export -in {name}.pem -inkey {name}.key -name {name} -out {name}.p12 -passout pass:pw \
                 -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1"
            ));
        }
        Self { office, people }
    }

    /// Our message; `None` if we make none of its kind.
    fn ours(&self, deed: &Deed) -> Option<Vec<u8>> {
        match deed {
            Deed::Signed { who, algorithm, is_detached } => {
                let person = self.people.get(who)?;
                // The library signs on each curve with the hash of its strength alone.
                person.key.sign(*algorithm, TEXT).ok()?;
                let signers = vec![signer(person, *algorithm)];
                Some(if *is_detached { sign(TEXT, signers).detached() } else { opaque(TEXT, signers) })
            }
            Deed::Sealed { who, cipher, way } => {
                Some(seal(TEXT, *cipher, &[self.people[who].recipient(way.clone())], true))
            }
            Deed::TripleWrapped => {
                let person = &self.people["rsa2048"];
                let signed = opaque(TEXT, vec![signer(person, TRIPLE)]);
                let to = person.recipient(SealWay::Transport(KeyTransport::Pkcs1v15));
                let sealed = seal(&signed, TRIPLE_CIPHER, &[to], true);
                Some(opaque(&sealed, vec![signer(person, TRIPLE)]))
            }
            Deed::CertificatesOnly => {
                Some(certificates_only(std::slice::from_ref(&self.people["p256"].certificate), &[]))
            }
            Deed::Compressed => None,
        }
    }

    /// Whether their file is what was asked for, by our reading: what it is instead.
    ///
    /// # Panics
    /// It is no message that we can read, or has another content.
    fn read(&self, deed: &Deed, message: &[u8]) -> Result<(), String> {
        match deed {
            Deed::Signed { algorithm, is_detached, .. } => {
                let found = signed_by(message, *is_detached).1;
                match found {
                    found if found == Some(*algorithm) => Ok(()),
                    Some(SignatureAlgorithm::RsaPkcs1(_)) => Err("made PKCS #1 v1.5".to_owned()),
                    found => Err(format!("made {found:?}")),
                }
            }
            Deed::Sealed { who, cipher, way } => self.opened(who, message, *cipher, way).1,
            Deed::TripleWrapped => {
                let (sealed, outer) = signed_by(message, false);
                let way = SealWay::Transport(KeyTransport::Pkcs1v15);
                let (signed, opened) = self.unsealed("rsa2048", &sealed, TRIPLE_CIPHER, &way);
                let (plain, inner) = signed_by(&signed, false);
                assert!(plain == TEXT && outer == inner && outer == Some(TRIPLE));
                opened
            }
            Deed::CertificatesOnly => {
                let Ok((_, data)) = try_read(message) else { return Err("made a bare certificate".to_owned()) };
                assert!(data.is_certificates_only());
                assert!(data.certificates().contains(&self.people["p256"].certificate));
                Ok(())
            }
            Deed::Compressed => {
                let (mut content, mut reader) = (Vec::new(), Decompressor::new(10_000));
                reader.push(message, &mut |octets| content.extend_from_slice(octets)).unwrap();
                reader.finish().unwrap();
                assert_eq!(content, TEXT);
                Ok(())
            }
        }
    }

    fn opened(
        &self,
        who: &str,
        message: &[u8],
        cipher: ContentEncryption,
        way: &SealWay,
    ) -> (Vec<u8>, Result<(), String>) {
        let (plain, found) = self.unsealed(who, message, cipher, way);
        assert_eq!(plain, TEXT);
        (plain, found)
    }

    /// What was sealed, and whether it was in this way.
    fn unsealed(
        &self,
        who: &str,
        message: &[u8],
        cipher: ContentEncryption,
        way: &SealWay,
    ) -> (Vec<u8>, Result<(), String>) {
        let (plain, opened) = open(message, &self.people[who], 50, Strictness::Strict).unwrap();
        if opened.cipher != cipher {
            let name = CIPHERS.iter().find(|(other, _)| *other == opened.cipher).map(|(_, name)| *name);
            return (plain, Err(format!("made {}", name.unwrap())));
        }
        let holds = |oid: der::oid::ObjectIdentifier| {
            message.windows(oid.as_bytes().len()).any(|octets| octets == oid.as_bytes())
        };
        let (mut unsealer, mut input) = (Unsealer::default(), message);
        unsealer.read(&mut input, &mut Vec::new()).unwrap();
        let is_pkcs1v15 = unsealer.envelope().unwrap().keys()[0].is_pkcs1v15();
        let is_so = match way {
            SealWay::Transport(KeyTransport::Pkcs1v15) => is_pkcs1v15,
            SealWay::Transport(oaep @ KeyTransport::Oaep { hash, .. }) => {
                holds(oaep.identifier().unwrap().oid) && holds(hash.oid())
            }
            SealWay::Agreement(scheme) => holds(scheme.identifier().unwrap().oid) && holds(scheme.wrap.oid()),
            SealWay::Kem => panic!("no row has it"),
        };
        (
            plain,
            if is_so {
                Ok(())
            } else if is_pkcs1v15 {
                Err("made PKCS #1 v1.5".to_owned())
            } else {
                panic!("another way")
            },
        )
    }
}

/// Signs now: programs compare that with the validity of the certificate.
fn signer(person: &Person, algorithm: SignatureAlgorithm) -> Signer<'_> {
    let mut signer = person.signer(algorithm);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    signer.statement.time = Some(i64::try_from(now.as_secs()).unwrap());
    signer
}

/// The content of a signed message and its signer's algorithm: the signature holds.
fn signed_by(message: &[u8], is_detached: bool) -> (Vec<u8>, Option<SignatureAlgorithm>) {
    let (content, data): (Vec<u8>, SignedData) = try_read(message).unwrap();
    assert_eq!(data.has_content(), !is_detached);
    let reports = if is_detached {
        data.verify_detached(&ContentDigests::of(TEXT, &data.digests()), &[], Strictness::Strict)
    } else {
        data.verify(&[], Strictness::Strict)
    };
    let [report] = &reports.unwrap()[..] else { panic!("not one signer") };
    assert_eq!(report.verdict, Ok(None));
    // Where the digest stands elsewhere, the identifier of the signature lacks it.
    let algorithm = match report.signature {
        Some(SignatureAlgorithm::RsaPkcs1(None)) => Some(SignatureAlgorithm::RsaPkcs1(report.digest)),
        other => other,
    };
    (content, algorithm)
}

/// What came of one direction.
#[derive(Clone, PartialEq, Eq)]
enum Outcome {
    Proven,
    /// The number of what it says.
    PeerCannot(usize),
    WeWriteNone,
}

/// From them to us, and from us to them.
type Cell = [Outcome; 2];

fn shown([to_us, to_them]: &Cell) -> String {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Proven => "proven".to_owned(),
        Outcome::PeerCannot(note) => format!("peer cannot [{note}]"),
        Outcome::WeWriteNone => "we write none".to_owned(),
    };
    if to_us == to_them { word(to_us) } else { format!("← {}, → {}", word(to_us), word(to_them)) }
}

/// All refusals, in the order of the programs: they are numbered from one.
fn notes(programs: &[&dyn Program]) -> Vec<(&'static str, &'static str, &'static str)> {
    let of = |program: &&dyn Program| {
        let name = program.name();
        program.refusals().iter().map(move |(said, meaning)| (name, *said, *meaning)).collect::<Vec<_>>()
    };
    programs.iter().flat_map(of).collect()
}

/// Finds which refusal this is.
fn refusal(program: &dyn Program, notes: &[(&str, &str, &str)], row: &Row, said: &str) -> Result<Outcome, String> {
    let known = notes
        .iter()
        .position(|(name, part, _)| *name == program.name() && part.split('|').any(|part| said.contains(part)));
    known.map(|at| Outcome::PeerCannot(at + 1)).ok_or(format!("{}: {}, {}: {said}", program.name(), row.by, row.what))
}

/// A column, and what is wrong in it.
fn column(
    house: &House,
    program: &dyn Program,
    rows: &[Row],
    notes: &[(&str, &str, &str)],
    number: usize,
) -> (Vec<Cell>, Vec<String>) {
    let mut all = Vec::new();
    let mut ends = Vec::new();
    for (at, Row { deed, .. }) in rows.iter().enumerate() {
        let (who, write, read) = acts(deed);
        let (theirs, ours, given) =
            (format!("{number}-{at}-theirs"), format!("{number}-{at}-ours"), format!("{number}-{at}-given"));
        let write = steps(who, write, "text", &theirs);
        let message = house.ours(deed);
        let read = message.as_ref().map_or_else(Vec::new, |message| {
            house.office.write(&ours, message);
            steps(who, read, &ours, &given)
        });
        ends.push((all.len()..all.len() + write.len(), all.len() + write.len()..all.len() + write.len() + read.len()));
        all.extend(write);
        all.extend(read);
    }
    let said = program.take(&house.office, &all);
    let first_refusal = |range: std::ops::Range<usize>| said[range].iter().find_map(|said| said.as_ref().err());
    let (mut cells, mut faults) = (Vec::new(), Vec::new());
    for (at, (row, (write, read))) in rows.iter().zip(ends).enumerate() {
        let mut judged = |refused: Option<String>| match refused {
            None => Outcome::Proven,
            Some(said) => refusal(program, notes, row, &said).unwrap_or_else(|fault| {
                faults.push(fault);
                Outcome::WeWriteNone
            }),
        };
        let wrote = first_refusal(write).cloned();
        let to_us =
            judged(wrote.or_else(|| house.read(&row.deed, &house.office.read(&format!("{number}-{at}-theirs"))).err()));
        let to_them = if read.is_empty() {
            Outcome::WeWriteNone
        } else {
            let refused = first_refusal(read).cloned();
            let holds = refused.is_some() || {
                let given = house.office.read(&format!("{number}-{at}-given"));
                match row.deed {
                    Deed::CertificatesOnly => {
                        Imported::read(&given, None).unwrap().certificates.contains(&house.people["p256"].certificate)
                    }
                    _ => given == TEXT,
                }
            };
            assert!(holds, "{} gives another content: {}, {}", program.name(), row.by, row.what);
            judged(refused)
        };
        cells.push([to_us, to_them]);
    }
    (cells, faults)
}

/// Every program refuses a content that was changed behind its signature: what it proves is worth something.
fn refuses_what_is_forged(house: &House, program: &dyn Program, number: usize) {
    let mut message = opaque(TEXT, vec![signer(&house.people["rsa2048"], TRIPLE)]);
    let at = message.windows(3).position(|octets| octets == b"Hej").unwrap();
    message[at] = b'N';
    let (from, into) = (format!("{number}-forged"), format!("{number}-forged-given"));
    house.office.write(&from, &message);
    let step = Step { act: Act::Verify { is_detached: false }, who: "rsa2048", from, into };
    assert!(program.take(&house.office, &[step])[0].is_err(), "{} believes a forgery", program.name());
}

#[test]
fn the_matrix_holds() {
    let house = House::new();
    let (gpgsm, nss) = (Gpgsm::new(&house.office, &PEOPLE), Nss::new(&house.office, &PEOPLE));
    let castle = BouncyCastle::new(&house.office);
    let programs: [&dyn Program; 4] = [&OpenSsl, &gpgsm, &nss, &castle];
    let (rows, notes) = (rows(), notes(&programs));
    let columns: Vec<_> = std::thread::scope(|scope| {
        let (house, rows, notes) = (&house, &rows, &notes);
        let runs: Vec<_> = programs
            .iter()
            .enumerate()
            .map(|(number, program)| {
                scope.spawn(move || {
                    refuses_what_is_forged(house, *program, number);
                    column(house, *program, rows, notes, number)
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let lines: Vec<Vec<&Cell>> =
        (0..rows.len()).map(|at| columns.iter().map(|(cells, _)| &cells[at]).collect()).collect();
    let table = table(&programs, &rows, &lines);
    let proven = lines.iter().flatten().flat_map(|cell| cell.iter()).filter(|outcome| **outcome == Outcome::Proven);
    let count = format!("{} combinations, {} directions proven\n", rows.len(), proven.count());
    println!("{table}\n{count}");
    let faults: Vec<&String> = columns.iter().flat_map(|(_, faults)| faults).collect();
    assert!(faults.is_empty(), "refusals that are not known:\n{faults:#?}");
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/smime.md")).unwrap_or_default();
    assert!(page.contains(&table) && page.contains(count.trim()), "docs/smime.md must hold this:\n{table}\n{count}");
}

/// The table as the page shows it. Neighbours of one kind that went alike stand in one line.
fn table(programs: &[&dyn Program], rows: &[Row], lines: &[Vec<&Cell>]) -> String {
    let mut table = "| key and way | message |".to_owned();
    programs.iter().for_each(|program| write!(table, " {} |", program.name()).unwrap());
    table.push_str(" Thunderbird |\n| --- | --- |");
    table.push_str(&" --- |".repeat(programs.len() + 1));
    table.push('\n');
    let mut at = 0;
    while at < rows.len() {
        let alike = (at..rows.len()).take_while(|other| rows[*other].by == rows[at].by && lines[*other] == lines[at]);
        let until = at + alike.count();
        let whats: Vec<&str> = rows[at..until].iter().map(|row| row.what).collect();
        write!(table, "| {} | {} |", rows[at].by, whats.join(", ")).unwrap();
        lines[at].iter().for_each(|cell| write!(table, " {} |", shown(cell)).unwrap());
        table.push_str(if RECORDED == (rows[at].by.as_str(), &whats[..]) {
            " ← recorded |\n"
        } else {
            " not run here |\n"
        });
        at = until;
    }
    let used = |note: usize| {
        lines.iter().flatten().flat_map(|cell| cell.iter()).any(|outcome| *outcome == Outcome::PeerCannot(note))
    };
    table.push('\n');
    for (at, (name, said, meaning)) in notes(programs).into_iter().enumerate() {
        assert!(used(at + 1), "{name} never says {said}:\n{table}");
        let said = said.replace('|', "` or `");
        writeln!(table, "{}. {name} {meaning}: `{said}`.", at + 1).unwrap();
    }
    table
}
