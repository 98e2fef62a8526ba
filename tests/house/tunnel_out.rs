//! Mail that leaves sealed: the real program, with `openssl` as the authority before and as the partner behind it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use sealgate::mail::Header;
use serde_json::Value;

use crate::inbound::{all_has_left, send};
use crate::mail_sink::Sink;
use crate::running::{Gateway, wait_until};

const ANNA: &str = "anna.berg@sundby.example";
const KARIN: &str = "karin@partner.example";
/// What stands in subject and text: none of it may be read outside, on the disk or in the log.
const SECRETS: [&str; 3] = ["HEMLIGTÄRENDE", "HEMLIGT", "HEMLIGTEXT"];

struct Scene {
    outside: Sink,
    inside: Sink,
    gateway: Gateway,
    folder: tempfile::TempDir,
}

impl Scene {
    /// A gateway that has a certificate, and what more its configuration says.
    async fn raise(more: &str) -> Self {
        let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
        let folder = tempfile::tempdir().unwrap();
        let gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
        let scene = Self { outside, inside, gateway, folder };
        scene.openssl(
            "req -x509 -newkey rsa:2048 -noenc -keyout root.key -out root.pem -subj /O=Office/CN=Root -days 3650 \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        scene.issue("ours", "rsa:2048", "/O=Sundby/CN=domain-signing-authority", "-days 400");
        scene.configure("[trust]\nroots = [\"root.pem\"]\n");
        scene.configure(
            "[[own_certificate]]\nfor = \"sundby.example\"\ncertificate = \"ours.pem\"\nkey = \"ours.key\"\n",
        );
        scene.configure(more);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn configure(&self, text: &str) {
        let before = fs::read_to_string(self.gateway.config()).unwrap();
        fs::write(self.gateway.config(), format!("{before}\n{text}")).unwrap();
    }

    fn openssl(&self, arguments: &str) -> Vec<u8> {
        let words = arguments.split_whitespace();
        let ran = Command::new("openssl").args(words).current_dir(self.folder.path()).output().unwrap();
        assert!(ran.status.success(), "{arguments}: {}", String::from_utf8_lossy(&ran.stderr));
        ran.stdout
    }

    /// A certificate by the root, with its key.
    fn issue(&self, name: &str, key: &str, subject: &str, dates: &str) {
        let usage =
            if key.starts_with("ec:") { "digitalSignature,keyAgreement" } else { "digitalSignature,keyEncipherment" };
        fs::write(self.path("ext"), format!("keyUsage=critical,{usage}\nextendedKeyUsage=emailProtection")).unwrap();
        self.openssl(&format!("req -new -newkey {key} -noenc -keyout {name}.key -out {name}.csr -subj {subject}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial {dates} -extfile ext -out {name}.pem"
        ));
        fs::set_permissions(self.path(&format!("{name}.key")), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn partner(&self, name: &str) {
        self.issue(name, "rsa:3072", &format!("/O=Partner/CN={name}"), "-days 400");
    }

    fn fingerprint(&self, name: &str) -> String {
        let shown =
            String::from_utf8(self.openssl(&format!("x509 -in {name}.pem -noout -fingerprint -sha256"))).unwrap();
        shown.trim().split_once('=').unwrap().1.replace(':', "").to_lowercase()
    }

    fn send(&self, to: &[&str], message: &str) {
        // The line end before the last dot is the message's own.
        let reply = send(self.gateway.outbound, ANNA, to, message.strip_suffix("\r\n").unwrap());
        assert!(reply.starts_with("250"), "{reply}");
    }

    /// What left to this recipient, the oldest first.
    fn left_for(&self, address: &str) -> Vec<Vec<u8>> {
        let wanted = format!("X-Rcpt-Args: <{address}>");
        self.outside.messages().into_iter().filter(|octets| String::from_utf8_lossy(octets).contains(&wanted)).collect()
    }

    fn sealed_for(&self, address: &str) -> Vec<u8> {
        wait_until("what leaves", || !self.left_for(address).is_empty());
        all_has_left(&self.gateway);
        let mut left = self.left_for(address);
        assert_eq!(left.len(), 1);
        left.remove(0)
    }

    /// What a partner with this key finds inside, opened and verified; lines ended by LF.
    fn opened(&self, sealed: &[u8], name: &str) -> String {
        fs::write(self.path("sealed.eml"), sealed).unwrap();
        self.openssl(&format!("cms -decrypt -in sealed.eml -recip {name}.pem -inkey {name}.key -out signed.eml"));
        self.openssl("cms -verify -in signed.eml -CAfile root.pem -out inside.eml -signer signer.pem");
        let signer = String::from_utf8(self.openssl("x509 -in signer.pem -noout -fingerprint -sha256")).unwrap();
        assert_eq!(signer.trim().split_once('=').unwrap().1.replace(':', "").to_lowercase(), self.fingerprint("ours"));
        String::from_utf8(fs::read(self.path("inside.eml")).unwrap()).unwrap().replace("\r\n", "\n")
    }

    fn letters(&self) -> Vec<String> {
        self.inside.messages().iter().map(|octets| crate::route::decoded(&String::from_utf8_lossy(octets))).collect()
    }

    fn letter_with(&self, word: &str) -> String {
        wait_until(word, || self.letters().iter().any(|letter| letter.contains(word)));
        self.letters().into_iter().find(|letter| letter.contains(word)).unwrap()
    }

    fn explained(&self, to: &str, message: &str) -> Value {
        fs::write(self.path("asked.eml"), message).unwrap();
        let at = self.at("asked.eml");
        self.gateway.ask(&["explain", "--from", ANNA, "--to", to, &at])["recipients"][0].clone()
    }

    fn events(&self) -> String {
        String::from_utf8(self.gateway.command(&["audit", "export"]).output().unwrap().stdout).unwrap()
    }
}

fn message(to: &str, tag: &str, body: &str) -> String {
    format!(
        "From: Anna Berg <{ANNA}>\r\nTo: {to}\r\nSubject: {tag}=?utf-8?Q?HEMLIGT=C3=84RENDE?=\r\nThread-Topic: HEMLIGT\r\n\
         Message-ID: <original@sundby.example>\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}"
    )
}

fn parts(mail: &str) -> (Header, &str) {
    let (header, body) = mail.split_once("\n\n").unwrap();
    (Header::new(format!("{header}\n").replace('\n', "\r\n")), body)
}

const TUNNEL: &str = "[[tunnel]]\ndomain = \"partner.example\"\ncertificate = \"partner.pem\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_a_partner_leaves_signed_and_sealed_and_says_nothing_outside() {
    let mut scene = Scene::raise(TUNNEL).await;
    scene.partner("partner");
    scene.gateway.start();
    let body = "HEMLIGTEXT åäö\r\n\r\n.punkt\r\nslut  \r\n";
    scene.send(&[KARIN], &message(KARIN, "[sikker] ", &body.replace("\r\n.p", "\r\n..p")));
    let sealed = scene.sealed_for(KARIN);
    let text = String::from_utf8_lossy(&sealed).into_owned();
    assert!(!SECRETS.iter().any(|secret| text.contains(secret)) && !text.contains("Thread-Topic"), "{text}");
    let (outer, _) = parts(&text);
    assert_eq!(outer.text("Subject").as_deref(), Some("[...]"));
    assert!(outer.text("From").unwrap().contains(ANNA) && outer.text("To").unwrap().contains(KARIN));
    assert_eq!(outer.message_ids("Message-ID"), ["<original@sundby.example>"]);
    assert!(outer.text("Content-Type").unwrap().contains("smime-type=enveloped-data"));
    assert!(text.contains("X-Mail-Args: <bounce+"), "{text}");

    let inside = scene.opened(&sealed, "partner");
    let (inner, found) = parts(&inside);
    assert_eq!(found, body.replace("\r\n", "\n"));
    assert_eq!(inner.text("Subject").as_deref(), Some("HEMLIGTÄRENDE"), "the mark is off: {inside}");
    assert!(inside.contains("Content-Type: text/plain; charset=utf-8;\n hp=\"cipher\"\n"), "{inside}");
    for field in ["HP-Outer: Subject: [...]\n", "HP-Outer: Message-ID: <original@sundby.example>\n", "Thread-Topic: "] {
        assert!(inside.contains(field), "{inside}");
    }
    assert_eq!(inner.addresses("Reply-To")[0].1.to_string(), "bygg@sundby.example");
    let shown = String::from_utf8(scene.openssl("cms -cmsout -print -in signed.eml")).unwrap();
    assert!(shown.contains("1.2.840.113549.1.9.16.2.28") || shown.contains("signatureType"), "{shown}");

    let receipt = scene.letter_with("krypterat till partner.example");
    assert!(receipt.contains("Svar kommer till bygg@sundby.example"), "{receipt}");
    let events = scene.events();
    let partner = scene.fingerprint("partner");
    assert!(
        events.contains(&format!(
            "channel=tunnel domain=partner.example certificate={partner} cipher=aes256-cbc key=rsa-oaep signer={}",
            scene.fingerprint("ours")
        )),
        "{events}"
    );
    assert_eq!(scene.gateway.readable(&SECRETS), Vec::<String>::new());

    let tunnel = scene.gateway.ask(&["tunnel", "show", "partner.example"]);
    assert!(tunnel["last_success"].is_string(), "{tunnel}");
    let explained = scene.explained(KARIN, &message(KARIN, "[sikker] ", "text\r\n"));
    assert_eq!((explained["treatment"].as_str(), explained["certificate"].as_str()), (Some("tunnel"), Some(&*partner)));
    assert!(explained["reasons"].to_string().contains("can be sealed to"), "{explained}");
    let pass = scene.explained(KARIN, &message(KARIN, "", "text\r\n"));
    assert_eq!((pass["treatment"].as_str(), &pass["certificate"]), (Some("pass"), &Value::Null), "{pass}");
    let other = scene.explained("eva@live.example", &message("eva@live.example", "[sikker] ", "text\r\n"));
    assert_eq!(other["treatment"], "pickup", "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_gets_its_mail_as_it_can_open_it() {
    let more = |name: &str, lines: &str| {
        format!("[[tunnel]]\ndomain = \"{name}.example\"\ncertificate = \"{name}.pem\"\ntrust = \"pinned\"\n{lines}\n")
    };
    let mut scene = Scene::raise(
        &[
            more("old", "cipher = \"aes128-cbc\"\nkey_transport = \"pkcs1\"\nsubject = \"open\""),
            more("new", "cipher = \"aes256-gcm\"\nsubject = \"neutral\""),
            more("curve", ""),
        ]
        .concat(),
    )
    .await;
    scene.partner("old");
    scene.partner("new");
    scene.openssl("ecparam -name prime256v1 -out p256");
    scene.issue("curve", "ec:p256", "/O=Curve/CN=curve", "-days 400");
    scene.gateway.start();
    let to = ["a@old.example", "a@new.example", "a@curve.example"];
    scene.send(&to, &message(&to.join(", "), "[sikker] [svar: bygg] ", "HEMLIGTEXT\r\n"));
    for (address, kind, content, key, subject, outside) in [
        (to[0], "enveloped-data", "aes-128-cbc", "rsaEncryption", "HEMLIGTÄRENDE", true),
        (
            to[1],
            "authEnveloped-data",
            "aes-256-gcm",
            "rsaesOaep",
            "Du har fått ett säkert meddelande från Sundby kommun",
            true,
        ),
        (to[2], "enveloped-data", "aes-256-cbc", "dhSinglePass-stdDH-sha256kdf-scheme", "[...]", false),
    ] {
        let sealed = scene.sealed_for(address);
        let text = String::from_utf8_lossy(&sealed).into_owned();
        let (outer, _) = parts(&text);
        assert!(outer.text("Content-Type").unwrap().contains(&format!("smime-type={kind};")), "{text}");
        assert_eq!(outer.text("Subject").as_deref(), Some(subject), "{address}");
        assert_eq!(outer.first("Reply-To").is_some(), outside, "{address}");
        assert!(!text.contains("HEMLIGTEXT"));
        let name = address.trim_start_matches("a@").trim_end_matches(".example");
        let inside = scene.opened(&sealed, name);
        assert_eq!(parts(&inside).1, "HEMLIGTEXT\n");
        let shown = String::from_utf8(scene.openssl("cms -cmsout -print -in sealed.eml")).unwrap();
        assert!(shown.contains(content) && shown.contains(key), "{address}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_shares_one_message_and_a_blind_copy_has_an_envelope_of_its_own() {
    let mut scene = Scene::raise(TUNNEL).await;
    scene.partner("partner");
    scene.gateway.start();
    let to = [KARIN, "lars@partner.example", "blind@partner.example"];
    scene.send(&to, &message(&to[..2].join(", "), "[sikker] ", "HEMLIGTEXT\r\n"));
    let visible = scene.sealed_for(KARIN);
    let text = String::from_utf8_lossy(&visible).into_owned();
    assert!(text.contains("X-Rcpt-Args: <lars@") && !text.contains("blind@"), "{text}");
    let blind = scene.sealed_for("blind@partner.example");
    assert!(!String::from_utf8_lossy(&blind).contains("X-Rcpt-Args: <karin@"));
    assert_eq!(scene.opened(&blind, "partner"), scene.opened(&visible, "partner"));
    assert_eq!(scene.events().matches("channel=tunnel").count(), 1, "sealed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_partners_certificate_has_expired_mail_waits_and_goes_when_there_is_a_new_one() {
    let mut scene = Scene::raise(TUNNEL).await;
    scene.partner("new");
    scene.partner("partner");
    let dates = "20200101000000Z";
    fs::write(
        scene.path("ca.conf"),
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\norganizationName=optional\ncommonName=optional\n[e]\nkeyUsage=digitalSignature,keyEncipherment\n",
    )
    .unwrap();
    fs::write(scene.path("index"), "").unwrap();
    fs::write(scene.path("serial"), "77\n").unwrap();
    scene.openssl(&format!(
        "ca -batch -config ca.conf -cert root.pem -keyfile root.key -startdate {dates} -enddate 20210101000000Z -in partner.csr -out partner.pem -notext"
    ));
    scene.gateway.start();
    scene.send(&[KARIN], &message(KARIN, "[sikker] ", "HEMLIGTEXT\r\n"));
    let receipt = scene.letter_with("certifikat kan inte användas");
    assert!(receipt.contains(KARIN), "{receipt}");
    assert!(scene.outside.messages().is_empty(), "nothing left");
    let queued = scene.gateway.ask(&["queue", "list"]);
    assert_eq!(queued[0]["recipients"][0]["state"], "deferred", "{queued}");
    let explained = scene.explained(KARIN, &message(KARIN, "[sikker] ", "text\r\n"));
    assert_eq!(explained["treatment"], "hold", "{explained}");
    assert!(explained["reasons"].to_string().contains(&scene.fingerprint("partner")[..16]), "{explained}");
    assert!(explained["reasons"].to_string().contains("expired"), "{explained}");
    let log = fs::read_to_string(scene.gateway.folder.join("log")).unwrap();
    assert!(log.contains("mail cannot be sealed and waits"), "{log}");

    // Tried again, nothing is told again; then somebody brings a new one, and it goes by itself.
    scene.gateway.ask(&["queue", "retry", "--all"]);
    let certificate = scene.at("new.pem");
    scene.gateway.ask(&["tunnel", "add", "partner.example", "--certificate", &certificate]);
    let sealed = scene.sealed_for(KARIN);
    assert_eq!(parts(&scene.opened(&sealed, "new")).1, "HEMLIGTEXT\n");
    scene.letter_with("krypterat till partner.example");
    assert_eq!(scene.letters().iter().filter(|letter| letter.contains("kan inte användas")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_certificate_gets_sealed_mail_where_the_channels_say_so() {
    let rule = "[[rule]]\nname = \"to the portal\"\nif.any = [{ subject = \"PORTAL\" }]\nchannels = [\"pickup\"]\n";
    let mut scene = Scene::raise(rule).await;
    scene.issue("eva", "rsa:2048", "/CN=Eva/emailAddress=eva@live.example", "-days 400");
    let certificate = scene.at("eva.pem");
    scene.gateway.start();
    scene.gateway.ask(&["certificate", "import", &certificate]);
    let eva = "eva@live.example";
    scene.send(&[eva], &message(eva, "[sikker] ", "HEMLIGTEXT\r\n"));
    let sealed = scene.sealed_for(eva);
    assert_eq!(parts(&scene.opened(&sealed, "eva")).1, "HEMLIGTEXT\n");
    scene.letter_with("krypterat till mottagarens eget certifikat");
    let explained = scene.explained(eva, &message(eva, "[sikker] ", "text\r\n"));
    assert_eq!(explained["treatment"], "personal");
    assert_eq!(explained["certificate"].as_str(), Some(&*scene.fingerprint("eva")));
    // Where the rule says so, and where a number must be proven, no certificate will do.
    for tags in ["[sikker] PORTAL ", "[id: 19850101-2382] "] {
        let explained = scene.explained(eva, &message(eva, tags, "text\r\n"));
        assert_eq!(
            (explained["treatment"].as_str(), &explained["certificate"]),
            (Some("pickup"), &Value::Null),
            "{explained}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_sealed_in_little_memory() {
    let mut scene = Scene::raise(TUNNEL).await;
    scene.partner("partner");
    scene.gateway.start();
    let line = "HEMLIGTEXT 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n";
    let body = line.repeat((20 << 20) / line.len());
    scene.send(&[KARIN], &message(KARIN, "[sikker] ", &body));
    let sealed = scene.sealed_for(KARIN);
    let inside = scene.opened(&sealed, "partner");
    assert!(parts(&inside).1 == body.replace("\r\n", "\n"), "not what was sent");
    let status = fs::read_to_string(format!("/proc/{}/status", scene.gateway.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    let peak: u64 = peak.trim().parse().unwrap();
    assert!(peak < 96 << 10, "{peak} KiB");
    assert_eq!(scene.gateway.readable(&SECRETS), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_of_ours_nothing_leaves_unsigned() {
    let mut scene = Scene::raise(TUNNEL).await;
    scene.partner("partner");
    let config = fs::read_to_string(scene.gateway.config()).unwrap();
    let without = config.split("[[own_certificate]]").next().unwrap().to_owned() + TUNNEL;
    fs::write(scene.gateway.config(), without).unwrap();
    scene.gateway.start();
    scene.send(&[KARIN], &message(KARIN, "[sikker] ", "HEMLIGTEXT\r\n"));
    scene.letter_with("vårt eget certifikat kan inte användas");
    assert!(scene.outside.messages().is_empty(), "nothing left");
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_mail_that_comes_back_is_told_of_once_and_what_refers_to_it_is_secure() {
    let mut scene = Scene::raise(TUNNEL).await;
    scene.partner("partner");
    scene.gateway.start();
    scene.send(&[KARIN], &message(KARIN, "[sikker] ", "HEMLIGTEXT\r\n"));
    let sealed = String::from_utf8_lossy(&scene.sealed_for(KARIN)).into_owned();
    let path = sealed.lines().find_map(|line| line.strip_prefix("X-Mail-Args: <")).unwrap();
    let path = path.split_once('>').unwrap().0;
    let report = format!(
        "Subject: failure\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry\r\n--b\r\n\
         Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.partner.example\r\n\r\nFinal-Recipient: rfc822; {KARIN}\r\n\
         Action: failed\r\nStatus: 5.1.1\r\n--b--\r\n"
    );
    for _ in 0..2 {
        assert!(send(scene.gateway.inbound, "", &[path], &report).starts_with("250"));
    }
    let told = scene.letter_with("kom i retur");
    assert!(told.contains(KARIN), "{told}");
    let reply = message(KARIN, "", "HEMLIGTEXT igen\r\n").replace("<original@", "<second@");
    scene.send(&[KARIN], &format!("In-Reply-To: <original@sundby.example>\r\n{reply}"));
    wait_until("the second", || scene.left_for(KARIN).len() == 2);
    all_has_left(&scene.gateway);
    assert!(scene.left_for(KARIN).iter().all(|mail| !String::from_utf8_lossy(mail).contains("HEMLIGTEXT")));
    assert_eq!(scene.letters().iter().filter(|letter| letter.contains("har inte fått det")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_wrote_and_is_forwarded_is_sealed_and_not_signed() {
    let mut scene = Scene::raise(TUNNEL).await;
    scene.partner("partner");
    let config = fs::read_to_string(scene.gateway.config()).unwrap();
    let door = "[smtpd.outbound] ";
    fs::write(scene.gateway.config(), config.replace(door, "[smtpd.outbound]\nforwarded = \"srs\" ")).unwrap();
    scene.gateway.start();
    let forwarded = message(KARIN, "", "19850101-2382").replace(ANNA, "eva@live.example");
    let reply = send(scene.gateway.outbound, "eva@live.example", &[KARIN], &forwarded);
    assert!(reply.starts_with("250"), "{reply}");
    let sealed = scene.sealed_for(KARIN);
    let text = String::from_utf8_lossy(&sealed).into_owned();
    assert!(text.contains("X-Mail-Args: <SRS0=") && !text.contains("19850101"), "{text}");
    fs::write(scene.path("sealed.eml"), &sealed).unwrap();
    let inside = scene.openssl("cms -decrypt -in sealed.eml -recip partner.pem -inkey partner.key");
    let inside = String::from_utf8(inside).unwrap().replace("\r\n", "\n");
    assert_eq!(parts(&inside).1, "19850101-2382\n");
    assert!(scene.events().contains("signer=none"));
}
