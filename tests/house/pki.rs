//! Paths, revocation lists and OCSP answers that `openssl` makes, judged by us and by `openssl`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use sealgate::cms::{
    CertStatus, Certificate, Check, Crl, Evidence, Flaw, NameFlaw, OcspCheck, OcspFault, Path, PathFault, PolicyDemand,
    Pool, Purpose, Seconds, SignatureFault, Sources, Strictness, ocsp_request, ocsp_status,
};
use tempfile::TempDir;

const DAY: Seconds = 24 * 3600;

fn now() -> Seconds {
    Seconds::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A folder in which `openssl` makes authorities, certificates, lists and answers.
struct Office {
    folder: TempDir,
}

const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
const RSA: &str = "-newkey rsa:2048";
const PSS_512: &str = "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:64 -sigopt rsa_mgf1_md:sha512";
const PSS_256: &str = "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32";
const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign";
const PERSON: &str =
    "keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nsubjectAltName=email:a@sundby.example";

impl Office {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) -> (bool, String) {
        let ran = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .expect("openssl is installed by tests/run");
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn must(&self, arguments: &str) -> String {
        let (ran, said) = self.openssl(arguments);
        assert!(ran, "openssl {arguments}: {said}");
        said
    }

    /// A certificate that signs itself, valid for ten years.
    fn root(&self, name: &str, key: &str, signature: &str) -> Certificate {
        self.must(&format!(
            "req -x509 {key} -noenc -keyout {name}.key -out {name}.pem -subj /O=Office/CN={name} -days 3650 {signature} \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
        ));
        self.certificate(name)
    }

    /// A certificate that `issuer` signs, valid for a year.
    fn issue(&self, name: &str, issuer: &str, key: &str, signature: &str, extensions: &str) -> Certificate {
        fs::write(self.path(&format!("{name}.ext")), extensions).unwrap();
        self.must(&format!("req -new {key} -noenc -keyout {name}.key -out {name}.csr -subj /O=Office/CN={name}"));
        self.must(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -days 365 {signature} \
             -extfile {name}.ext -out {name}.pem"
        ));
        self.certificate(name)
    }

    fn certificate(&self, name: &str) -> Certificate {
        self.must(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        Certificate::read(&fs::read(self.path(&format!("{name}.der"))).unwrap()).unwrap()
    }

    /// Whether `openssl verify` finds a path for mail at that time.
    fn openssl_agrees(&self, name: &str, root: &str, others: &[&str], at: Seconds) -> (bool, String) {
        let mut untrusted = String::new();
        for other in others {
            untrusted.push_str(&fs::read_to_string(self.path(&format!("{other}.pem"))).unwrap());
        }
        fs::write(self.path("untrusted.pem"), untrusted).unwrap();
        self.openssl(&format!(
            "verify -CAfile {root}.pem -no-CApath -no-CAstore -untrusted untrusted.pem -purpose smimesign -attime {at} {name}.pem"
        ))
    }

    /// Both judges on one path; the second must agree with the first.
    fn judged(&self, name: &str, root: &str, others: &[&str], at: Seconds) -> Result<Path, PathFault> {
        let judged = judge(&self.certificate(name), &[self.certificate(root)], &self.all(others), at);
        let (agrees, said) = self.openssl_agrees(name, root, others, at);
        assert_eq!(judged.is_ok(), agrees, "{name}: we say {judged:?}, openssl says {said}");
        judged
    }

    fn all(&self, names: &[&str]) -> Vec<Certificate> {
        names.iter().map(|name| self.certificate(name)).collect()
    }

    /// A list of `issuer` that revokes these, by reason where one is named.
    fn list(&self, issuer: &str, revoked: &[(&str, &str)]) -> Crl {
        let mut index = String::new();
        for (name, reason) in revoked {
            let serial = self.must(&format!("x509 -in {name}.pem -noout -serial"));
            let serial = serial.trim().trim_start_matches("serial=");
            index.push_str(&format!("R\t491231235959Z\t250101000000Z{reason}\t{serial}\tunknown\t/CN={name}\n"));
        }
        fs::write(self.path("index.txt"), index).unwrap();
        fs::write(self.path("ca.cnf"), "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\n").unwrap();
        self.must(&format!(
            "ca -gencrl -config ca.cnf -cert {issuer}.pem -keyfile {issuer}.key -crldays 30 -out l.pem"
        ));
        self.must("crl -in l.pem -outform DER -out l.der");
        Crl::read(&fs::read(self.path("l.der")).unwrap()).unwrap()
    }

    /// The answer of `openssl ocsp` to our question, signed by `signer`.
    fn answer(&self, question: &[u8], issuer: &str, signer: &str) -> Vec<u8> {
        fs::write(self.path("question.der"), question).unwrap();
        self.must(&format!(
            "ocsp -index index.txt -CA {issuer}.pem -rsigner {signer}.pem -rkey {signer}.key -reqin question.der \
             -respout answer.der -ndays 1"
        ));
        fs::read(self.path("answer.der")).unwrap()
    }
}

fn check(at: Seconds) -> Check {
    Check { at, purpose: Purpose::Sign, strictness: Strictness::Strict, policies: PolicyDemand::default() }
}

fn judge(
    certificate: &Certificate,
    anchors: &[Certificate],
    others: &[Certificate],
    at: Seconds,
) -> Result<Path, PathFault> {
    let (anchors, others): (Pool, Pool) = (anchors.iter().cloned().collect(), others.iter().cloned().collect());
    Sources { anchors: &anchors, others: &others }.find(certificate, &check(at), &mut |_| Ok(()))
}

fn flaw(judged: Result<Path, PathFault>) -> (usize, Flaw) {
    let fault = judged.unwrap_err();
    (fault.certificate, fault.flaw)
}

/// As OCES3 has it (PSS with SHA-512 and a salt of 64 above, SHA-256 and 32 below; no EKU, no address), and on each curve.
#[test]
fn paths_hold_whatever_they_are_signed_by() {
    let office = Office::new();
    office.root("pss-root", RSA, PSS_512);
    office.issue(
        "pss-ca",
        "pss-root",
        RSA,
        PSS_512,
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign",
    );
    office.issue("organisation", "pss-ca", RSA, PSS_256, "keyUsage=critical,digitalSignature,keyEncipherment");
    let path = office.judged("organisation", "pss-root", &["pss-ca"], now() + DAY).unwrap();
    assert_eq!(path.certificates.len(), 3);
    let organisation = office.certificate("organisation");
    assert!(organisation.addresses().is_empty());
    let (anchors, others) =
        ([office.certificate("pss-root")].into_iter().collect(), [office.certificate("pss-ca")].into_iter().collect());
    let seal = Check { purpose: Purpose::Seal, ..check(now() + DAY) };
    Sources { anchors: &anchors, others: &others }.find(&organisation, &seal, &mut |_| Ok(())).unwrap();

    for (name, key, digest) in [
        ("p384", "-newkey ec -pkeyopt ec_paramgen_curve:P-384", "-sha384"),
        ("p521", "-newkey ec -pkeyopt ec_paramgen_curve:P-521", "-sha512"),
        ("ed25519", "-newkey ed25519", ""),
        ("rsa", RSA, "-sha384"),
    ] {
        let (root, ca, leaf) = (format!("{name}-root"), format!("{name}-ca"), format!("{name}-leaf"));
        office.root(&root, key, digest);
        office.issue(&ca, &root, key, digest, AUTHORITY);
        let person = office.issue(&leaf, &ca, EC, digest, PERSON);
        office.judged(&leaf, &root, &[&ca], now() + DAY).unwrap();
        assert_eq!(person.addresses()[0].to_string(), "a@sundby.example");
    }
}

#[test]
fn what_is_wrong_with_a_path_is_told_exactly() {
    let office = Office::new();
    let root = office.root("root", EC, "");
    office.issue(
        "ca",
        "root",
        EC,
        "",
        &format!("{AUTHORITY},digitalSignature").replace("CA:TRUE", "CA:TRUE,pathlen:0"),
    );
    let person = office.issue("person", "ca", EC, "", PERSON);
    let at = now() + DAY;
    office.judged("person", "root", &["ca"], at).unwrap();

    let (_, until) = person.validity().unwrap();
    assert_eq!(
        flaw(office.judged("person", "root", &["ca"], at + 2 * 365 * DAY)).1,
        Flaw::HasExpired(office.certificate("ca").validity().unwrap().1)
    );
    assert!(until > at);
    let early = flaw(office.judged("person", "root", &["ca"], at - 10 * DAY)).1;
    assert!(matches!(early, Flaw::IsNotYetValid(_)), "{early:?}");
    assert_eq!(flaw(office.judged("person", "root", &[], at)), (0, Flaw::IssuerIsMissing));

    office.issue("web", "ca", EC, "", &PERSON.replace("emailProtection", "serverAuth"));
    assert_eq!(flaw(office.judged("web", "root", &["ca"], at)), (0, Flaw::Purpose));
    office.issue("locks", "ca", EC, "", &PERSON.replace("digitalSignature", "keyAgreement"));
    assert_eq!(flaw(office.judged("locks", "root", &["ca"], at)), (0, Flaw::KeyUsage));
    office.issue("odd", "ca", EC, "", &format!("{PERSON}\n1.2.3.4=critical,ASN1:NULL"));
    assert_eq!(flaw(office.judged("odd", "root", &["ca"], at)), (0, Flaw::CriticalExtension(vec![0x2a, 3, 4])));
    office.issue("vouched", "person", EC, "", PERSON);
    assert_eq!(flaw(office.judged("vouched", "root", &["ca", "person"], at)), (1, Flaw::IsNoAuthority));
    office.issue("deeper", "ca", EC, "", AUTHORITY);
    office.issue("deep", "deeper", EC, "", PERSON);
    assert_eq!(flaw(office.judged("deep", "root", &["ca", "deeper"], at)), (1, Flaw::PathIsTooLong));
    // One of the same name and another key signed nothing here, and does not hide the one that did.
    let other = Office::new();
    other.root("root", EC, "");
    let impostor = other.issue("ca", "root", EC, "", AUTHORITY);
    judge(&person, std::slice::from_ref(&root), &[impostor.clone(), office.certificate("ca")], at).unwrap();
    assert_eq!(flaw(judge(&person, &[root], &[impostor], at)), (0, Flaw::Signature(SignatureFault::Wrong)));
    // A stranger who signs himself.
    let stranger = other.certificate("root");
    assert_eq!(flaw(judge(&stranger, &[], std::slice::from_ref(&stranger), at)), (0, Flaw::IsNotTrusted));
}

#[test]
fn an_authority_with_constraints_speaks_for_its_names_alone() {
    let office = Office::new();
    office.root("root", EC, "");
    let constraints = "nameConstraints=critical,permitted;email:sundby.example,permitted;email:.sundby.example,excluded;email:chef@sundby.example";
    office.issue("ca", "root", EC, "", &format!("{AUTHORITY}\n{constraints}"));
    let at = now() + DAY;
    for (name, address, expected) in [
        ("in", "a@sundby.example", None),
        ("below", "a@skole.sundby.example", None),
        ("out", "a@evil.example", Some(NameFlaw::NotPermitted)),
        ("like", "a@notsundby.example", Some(NameFlaw::NotPermitted)),
        ("excluded", "chef@sundby.example", Some(NameFlaw::Excluded)),
    ] {
        office.issue(name, "ca", EC, "", &PERSON.replace("a@sundby.example", address));
        let judged = office.judged(name, "root", &["ca"], at);
        assert_eq!(judged.err().map(|fault| fault.flaw), expected.map(Flaw::Name), "{name}");
    }
}

#[test]
fn a_certificate_that_is_an_anchor_itself_is_trusted_and_vouches_for_nobody() {
    let office = Office::new();
    office.must(&format!("req -x509 {EC} -noenc -keyout partner.key -out partner.pem -subj /CN=partner -days 30 -addext basicConstraints=CA:FALSE"));
    let partner = office.certificate("partner");
    let at = now() + DAY;
    let path = judge(&partner, std::slice::from_ref(&partner), &[], at).unwrap();
    assert_eq!(path.certificates.as_slice(), std::slice::from_ref(&partner));
    let friend = office.issue("friend", "partner", EC, "", PERSON);
    assert_eq!(flaw(judge(&friend, &[partner], &[], at)), (1, Flaw::IsNoAuthority));
}

/// RFC 9216 has two roots that sign each other; here three, and a search that must end.
#[test]
fn authorities_that_sign_each_other_are_no_endless_way() {
    let office = Office::new();
    let names = ["a", "b", "c"];
    for name in names {
        office.root(name, EC, "");
    }
    let person = office.issue("person", "a", EC, "", PERSON);
    let mut others = office.all(&names);
    for (signer, signed) in [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"), ("c", "a"), ("a", "c")] {
        fs::write(office.path("cross.ext"), AUTHORITY).unwrap();
        office.must(&format!("req -new -key {signed}.key -subj /O=Office/CN={signed} -out cross.csr"));
        office.must(&format!(
            "x509 -req -in cross.csr -CA {signer}.pem -CAkey {signer}.key -CAcreateserial -days 30 -extfile cross.ext -out x.pem"
        ));
        others.push(office.certificate("x"));
    }
    let at = now() + DAY;
    assert!(judge(&person, &[], &others, at).is_err());
    judge(&person, &[office.certificate("c")], &others, at).unwrap();
}

#[test]
fn a_list_tells_who_is_revoked_and_who_is_not() {
    let office = Office::new();
    let root = office.root("root", RSA, "");
    let (good, bad) = (office.issue("good", "root", EC, "", PERSON), office.issue("bad", "root", EC, "", PERSON));
    let list = office.list("root", &[("bad", ",keyCompromise")]);
    let at = now() + DAY;
    let anchors: Pool = [root].into_iter().collect();
    let others = Pool::default();
    let sources = Sources { anchors: &anchors, others: &others };
    let judged = |certificate: &Certificate, lists: &[Crl], at, grace| {
        let evidence = Evidence { lists, answers: &[], sources, at, grace, strictness: Strictness::Strict };
        sources.find(certificate, &check(at), &mut |path| evidence.check(path)).map_err(|fault| fault.flaw).map(|_| ())
    };
    let lists = [list];
    assert_eq!(judged(&good, &lists, at, 0), Ok(()));
    assert_eq!(judged(&bad, &lists, at, 0), Err(Flaw::IsRevoked(1_735_689_600, 1)));
    assert_eq!(judged(&good, &[], at, 0), Err(Flaw::RevocationIsUnknown));
    // The list is good for 30 days, and for as long as an outage may last.
    assert_eq!(judged(&good, &lists, at + 40 * DAY, 0), Err(Flaw::RevocationIsUnknown));
    assert_eq!(judged(&good, &lists, at + 40 * DAY, 20 * DAY), Ok(()));
    // Nobody else's list speaks for this authority.
    let other = Office::new();
    other.root("root", RSA, "");
    assert_eq!(judged(&good, &[other.list("root", &[])], at, 0), Err(Flaw::RevocationIsUnknown));
}

#[test]
fn an_ocsp_answer_is_believed_of_the_issuer_and_its_responder() {
    let office = Office::new();
    let root = office.root("root", EC, "");
    office.issue("responder", "root", EC, "", "keyUsage=digitalSignature\nextendedKeyUsage=OCSPSigning");
    office.issue("intruder", "root", EC, "", PERSON);
    let (good, bad) = (office.issue("good", "root", EC, "", PERSON), office.issue("bad", "root", EC, "", PERSON));
    office.list("root", &[("bad", ",superseded")]);
    let index = fs::read_to_string(office.path("index.txt")).unwrap();
    let serial = office.must("x509 -in good.pem -noout -serial");
    let serial = serial.trim().trim_start_matches("serial=");
    fs::write(office.path("index.txt"), format!("{index}V\t491231235959Z\t\t{serial}\tunknown\t/CN=good\n")).unwrap();

    let nonce = [7; 32];
    let question = |certificate| ocsp_request(certificate, &root, Some(&nonce)).unwrap();
    let check = OcspCheck { at: now(), grace: 0, nonce: Some(&nonce), strictness: Strictness::Strict };
    for signer in ["root", "responder"] {
        let answer = office.answer(&question(&good), "root", signer);
        let status = ocsp_status(&answer, &good, &root, &check).unwrap();
        assert!(matches!(status, CertStatus::Good(until) if until > now()), "{signer}: {status:?}");
        assert_eq!(ocsp_status(&answer, &bad, &root, &check), Err(OcspFault::AnotherCertificate));
        let other = OcspCheck { nonce: Some(&[8; 32]), ..check };
        assert_eq!(ocsp_status(&answer, &good, &root, &other), Err(OcspFault::AnotherNonce));
        let late = OcspCheck { at: now() + 3 * DAY, ..check };
        assert_eq!(ocsp_status(&answer, &good, &root, &late), Err(OcspFault::NotFresh));
        let late = OcspCheck { at: now() + 3 * DAY, grace: 5 * DAY, ..check };
        assert!(ocsp_status(&answer, &good, &root, &late).is_ok());
        // One bit of the nonce, which stands in what is signed.
        let mut forged = answer.clone();
        let place = forged.windows(nonce.len()).position(|octets| octets == nonce).unwrap();
        forged[place] ^= 1;
        let unasked = OcspCheck { nonce: None, ..check };
        assert!(ocsp_status(&answer, &good, &root, &unasked).is_ok());
        let fault = ocsp_status(&forged, &good, &root, &unasked).unwrap_err();
        assert_eq!(fault, OcspFault::Signature(SignatureFault::Wrong), "{signer}");
        let answer = office.answer(&question(&bad), "root", signer);
        assert_eq!(ocsp_status(&answer, &bad, &root, &check), Ok(CertStatus::Revoked(1_735_689_600, 4)));
    }
    let answer = office.answer(&question(&good), "root", "intruder");
    assert_eq!(ocsp_status(&answer, &good, &root, &check), Err(OcspFault::NoResponder));
    let answer = office.answer(&question(&office.certificate("intruder")), "root", "root");
    assert_eq!(ocsp_status(&answer, &office.certificate("intruder"), &root, &check), Ok(CertStatus::Unknown));
    // The responder's refusal: unauthorized.
    assert_eq!(ocsp_status(&[0x30, 3, 0x0a, 1, 6], &good, &root, &check), Err(OcspFault::Refused(6)));
}
