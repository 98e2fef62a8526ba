//! Files with certificates and keys as `openssl` and Java write them, read by us.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sealgate::cms::{CmsError, ImportFault, Imported, Password};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// A folder with an authority, a certificate of it, and its key.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(key: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.must("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout ca.key -out ca.pem -subj /CN=CA -days 30");
        desk.must(&format!(
            "req -x509 {key} -noenc -keyout leaf.key -out leaf.pem -subj /CN=Leaf -days 30 -CA ca.pem -CAkey ca.key"
        ));
        fs::write(desk.path("chain.pem"), [desk.octets("leaf.pem"), desk.octets("ca.pem")].concat()).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn octets(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn run(&self, program: &str, arguments: &str) -> (bool, String) {
        let ran = Command::new(program)
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .expect("tests/run installs it");
        (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
    }

    fn must(&self, arguments: &str) {
        let (ran, said) = self.run("openssl", arguments);
        assert!(ran, "openssl {arguments}: {said}");
    }

    fn read(&self, name: &str, secret: Option<&str>) -> Result<Imported, ImportFault> {
        let secret = secret.map(|text| Password::new(Zeroizing::new(text.to_owned())).unwrap());
        Imported::read(&self.octets(name), secret.as_ref())
    }

    /// That a file has both certificates, and the key of one of them.
    fn has_all(&self, name: &str, secret: Option<&str>) {
        let read = self.read(name, secret).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let (certificates, keys) = (&read.certificates, &read.keys);
        assert_eq!((certificates.len(), keys.len()), (2, 1), "{name}");
        assert_eq!(certificates.iter().filter(|it| keys[0].belongs_to(it)).count(), 1, "{name}");
    }
}

const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";

#[test]
fn pkcs12_opens_as_every_program_locks_it() {
    let desk = Desk::new(EC);
    let export = "pkcs12 -export -in chain.pem -inkey leaf.key -passout pass:blåbär";
    for (name, how) in [
        ("default", ""),
        ("aes128-sha1", "-keypbe AES-128-CBC -certpbe AES-128-CBC -macalg sha1"),
        ("aes256-sha512", "-keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha512 -iter 100000"),
        ("open-certificates", "-certpbe NONE"),
        ("all-open", "-keypbe NONE -certpbe NONE"),
        ("no-mac", "-nomac"),
    ] {
        desk.must(&format!("{export} -out {name}.p12 {how}"));
        desk.has_all(&format!("{name}.p12"), Some("blåbär\n"));
        if name != "all-open" {
            let wrong = desk.read(&format!("{name}.p12"), Some("blabar")).err();
            assert_eq!(wrong, Some(ImportFault::PasswordWrong), "{name}");
        }
        assert_eq!(desk.read(&format!("{name}.p12"), None).err(), Some(ImportFault::PasswordMissing), "{name}");
    }
    desk.must("pkcs12 -export -in chain.pem -inkey leaf.key -passout pass: -out empty.p12");
    desk.has_all("empty.p12", Some(""));
    // Written by `keytool -importkeystore -deststoretype PKCS12` of Java 17.
    fs::copy("tests/house/certificates/keytool.p12", desk.path("java.p12")).unwrap();
    desk.has_all("java.p12", Some("annanlosen"));
}

#[test]
fn a_lock_of_the_last_century_is_named_with_the_way_out() {
    let desk = Desk::new(EC);
    desk.must("pkcs12 -export -legacy -in chain.pem -inkey leaf.key -passout pass:x -out old.p12");
    let fault = desk.read("old.p12", Some("x")).err().unwrap();
    assert_eq!(fault, ImportFault::LegacyLock);
    assert!(fault.hint().contains("openssl pkcs12 -legacy -noenc"));
    // The way out leads out.
    desk.must("pkcs12 -legacy -noenc -in old.p12 -passin pass:x -out all.pem");
    desk.must("pkcs12 -export -in all.pem -passout pass:x -out new.p12");
    desk.has_all("new.p12", Some("x"));

    desk.must("ec -aes128 -in leaf.key -passout pass:x -out old.key");
    assert_eq!(desk.read("old.key", Some("x")).err(), Some(ImportFault::LegacyKey));
    desk.must("pkcs8 -topk8 -in old.key -passin pass:x -passout pass:x -out new.key");
    assert_eq!(desk.read("new.key", Some("x")).unwrap().keys.len(), 1);
}

#[test]
fn keys_are_read_in_every_form_and_belong_to_their_certificate_alone() {
    for key in ["-newkey rsa:2048", EC, "-newkey ec -pkeyopt ec_paramgen_curve:P-384", "-newkey ed25519"] {
        let desk = Desk::new(key);
        desk.must("pkey -in leaf.key -outform DER -out leaf.key.der");
        let mut forms = vec!["leaf.key", "leaf.key.der"];
        if key != "-newkey ed25519" {
            desk.must("pkey -traditional -in leaf.key -out old.key");
            desk.must("pkey -traditional -in leaf.key -outform DER -out old.key.der");
            forms.extend(["old.key", "old.key.der"]);
        }
        for cipher in ["aes-128-cbc", "aes-256-cbc"] {
            for hash in ["hmacWithSHA1", "hmacWithSHA256", "hmacWithSHA512"] {
                desk.must(&format!(
                    "pkcs8 -topk8 -in leaf.key -v2 {cipher} -v2prf {hash} -passout pass:x -out {cipher}-{hash}.key"
                ));
                let read = desk.read(&format!("{cipher}-{hash}.key"), Some("x")).unwrap();
                assert_eq!(read.keys.len(), 1);
            }
        }
        let (leaf, ca) = (desk.read("leaf.pem", None).unwrap(), desk.read("ca.pem", None).unwrap());
        for form in forms {
            let read = desk.read(form, None).unwrap_or_else(|fault| panic!("{key} {form}: {fault}"));
            assert!(read.keys[0].belongs_to(&leaf.certificates[0]), "{key} {form}");
            assert!(!read.keys[0].belongs_to(&ca.certificates[0]), "{key} {form}");
        }
        assert_eq!(desk.read("aes-128-cbc-hmacWithSHA1.key", None).err(), Some(ImportFault::PasswordMissing));
        assert_eq!(desk.read("aes-128-cbc-hmacWithSHA1.key", Some("y")).err(), Some(ImportFault::PasswordWrong));
    }
}

#[test]
fn certificates_and_lists_are_read_from_pem_der_and_pkcs7() {
    let desk = Desk::new(EC);
    desk.must("x509 -in leaf.pem -outform DER -out leaf.der");
    assert_eq!(desk.read("leaf.der", None).unwrap().certificates.len(), 1);
    desk.must("crl2pkcs7 -nocrl -certfile chain.pem -out chain.p7b");
    desk.must("crl2pkcs7 -nocrl -certfile chain.pem -outform DER -out chain.p7c");
    for name in ["chain.pem", "chain.p7b", "chain.p7c"] {
        assert_eq!(desk.read(name, None).unwrap().certificates.len(), 2, "{name}");
    }
    desk.must("x509 -in leaf.pem -trustout -addtrust emailProtection -out trusted.pem");
    assert_eq!(desk.read("trusted.pem", None).unwrap().certificates.len(), 1);

    fs::write(
        desk.path("ca.conf"),
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=9\ncrlnumber=number\n",
    )
    .unwrap();
    fs::write(desk.path("index"), "").unwrap();
    fs::write(desk.path("number"), "01").unwrap();
    desk.must("ca -config ca.conf -gencrl -cert ca.pem -keyfile ca.key -out list.pem");
    desk.must("crl -in list.pem -outform DER -out list.der");
    desk.must("crl2pkcs7 -in list.pem -certfile ca.pem -out both.p7b");
    for (name, certificates) in [("list.pem", 0), ("list.der", 0), ("both.p7b", 1)] {
        let read = desk.read(name, None).unwrap();
        assert_eq!((read.lists.len(), read.certificates.len()), (1, certificates), "{name}");
    }
}

#[test]
fn what_is_nothing_of_ours_is_refused_and_what_is_empty_is_empty() {
    let desk = Desk::new(EC);
    for junk in [&b""[..], b"hello", &[0x30, 0x03, 0x02, 0x01, 0x00], &[0x30, 0x80], &[0xff; 400]] {
        assert!(matches!(Imported::read(junk, None).err(), Some(ImportFault::NoKnownForm)), "{junk:?}");
    }
    desk.must("req -new -key leaf.key -subj /CN=x -out request.pem");
    assert!(desk.read("request.pem", None).unwrap().is_empty());
    let mut cut = desk.octets("leaf.pem");
    cut.truncate(200);
    assert_eq!(Imported::read(&cut, None).err(), Some(ImportFault::Pem));
    desk.must("pkcs12 -export -in chain.pem -inkey leaf.key -passout pass:x -out all.p12");
    let whole = desk.octets("all.p12");
    for length in (0..whole.len()).step_by(17) {
        let secret = Password::new(Zeroizing::new("x".to_owned())).unwrap();
        assert!(Imported::read(&whole[..length], Some(&secret)).is_err(), "{length}");
    }
    let fault = ImportFault::Cms(CmsError::Unexpected("x"));
    assert!(fault.hint().contains("asn1parse"));
}

#[test]
fn a_file_that_asks_for_endless_work_is_refused_at_once() {
    let desk = Desk::new(EC);
    desk.must("pkcs8 -topk8 -in leaf.key -v2 aes-128-cbc -iter 20000000 -passout pass:x -out slow.key");
    assert_eq!(desk.read("slow.key", Some("x")).err(), Some(ImportFault::TooMuchWork));
}
