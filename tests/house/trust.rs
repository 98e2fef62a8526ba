//! Certificates of partners and of ours, as an operator meets them: the real program, and authorities that `openssl` plays.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::running::{Gateway, free};

/// A gateway on paper, and an authority beside it.
pub struct Scene {
    pub gateway: Gateway,
    folder: tempfile::TempDir,
}

pub const MAIL: &str = "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection";

impl Scene {
    pub fn raise() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
        let scene = Self { gateway, folder };
        scene.openssl(
            "req -x509 -newkey rsa:2048 -noenc -keyout root.key -out root.pem -subj /O=Office/CN=Root -days 3650 \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        scene.configure("[trust]\nroots = [\"root.pem\"]\n");
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn configure(&self, text: &str) {
        let before = fs::read_to_string(self.gateway.config()).unwrap();
        fs::write(self.gateway.config(), format!("{before}\n{text}")).unwrap();
    }

    pub fn openssl(&self, arguments: &str) {
        let arguments = arguments.split_whitespace().map(|word| word.replace('~', " "));
        let ran = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A certificate by the root, for as many days, with its key.
    pub fn issue(&self, name: &str, subject: &str, days: u32, extensions: &str) {
        fs::write(self.path("ext"), format!("{MAIL}\n{extensions}")).unwrap();
        self.openssl(&format!("req -new -newkey rsa:2048 -noenc -keyout {name}.key -out {name}.csr -subj {subject}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial -days {days} -extfile ext -out {name}.pem"
        ));
        fs::set_permissions(self.path(&format!("{name}.key")), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn base64(&self, name: &str) -> String {
        self.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        STANDARD.encode(fs::read(self.path(&format!("{name}.der"))).unwrap())
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn tunnels(&self) -> Vec<Value> {
        self.gateway.ask(&["tunnel", "list"]).as_array().unwrap().clone()
    }

    pub fn tunnel(&self, domain: &str) -> Value {
        self.tunnels().into_iter().find(|it| it["domain"] == domain).unwrap_or(Value::Null)
    }

    pub fn outcomes(&self, words: &[&str]) -> Vec<String> {
        let answer = self.gateway.ask(words);
        let taken = answer["taken"].as_array().unwrap();
        taken.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect()
    }

    pub fn refused(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.gateway.command(words).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn check(&self) -> Vec<(String, String)> {
        let output = self.gateway.command(&["check"]).output().unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let faults = value["faults"].as_array().unwrap();
        faults
            .iter()
            .filter(|fault| fault["cause"] != "not served yet")
            .map(|fault| (fault["severity"].as_str().unwrap().to_owned(), fault["cause"].as_str().unwrap().to_owned()))
            .collect()
    }
}

#[test]
fn a_tunnel_is_added_shown_and_removed_whether_the_daemon_runs_or_not() {
    let mut scene = Scene::raise();
    assert_eq!(scene.tunnels(), Vec::<Value>::new());
    scene.issue("partner", "/O=Partner/CN=Partner", 400, "");
    let certificate = scene.at("partner.pem");
    let add = ["tunnel", "add", "partner.example", "--certificate", certificate.as_str()];
    assert_eq!(scene.outcomes(&add), ["new"]);
    scene.gateway.start();
    assert_eq!(scene.outcomes(&add), ["known"]);
    let tunnel = scene.tunnel("partner.example");
    assert_eq!(tunnel["source"], "operator");
    assert_eq!(tunnel["trust"], "accepted");
    assert_eq!(tunnel["last_success"], Value::Null);
    assert_eq!(tunnel["certificates"][0]["usable"], json!(true), "{tunnel}");
    assert_eq!(tunnel["certificates"][0]["fingerprint"].as_str().unwrap().len(), 64);
    assert!(tunnel["certificates"][0]["not_after"].as_str().unwrap().ends_with('Z'));
    let shown = scene.gateway.ask(&["tunnel", "show", "partner.example"]);
    assert_eq!(shown["certificates"], tunnel["certificates"]);
    assert_eq!(scene.gateway.ask(&["tunnel", "remove", "partner.example"])["removed"], 1);
    let (code, said) = scene.refused(&["tunnel", "show", "partner.example"]);
    assert_eq!((code, said.trim()), (Some(65), "no tunnel to partner.example is known"));
    let events = scene.gateway.command(&["audit", "export"]).output().unwrap().stdout;
    let events = String::from_utf8(events).unwrap();
    assert!(
        events.contains("trust-changed") && events.contains("partner.example removed, by the operator"),
        "{events}"
    );
}

#[test]
fn tables_are_read_in_every_form_and_what_is_wrong_stops_nothing_else() {
    let scene = Scene::raise();
    for name in ["a", "b", "c", "d"] {
        scene.issue(name, &format!("/O={name}/CN={name}"), 400, "");
    }
    scene.issue(
        "e",
        "/O=E/CN=domain-confidentiality-authority",
        400,
        "subjectAltName=email:domain-confidentiality-authority@e.example",
    );
    let (a, c, d) = (scene.base64("a"), scene.base64("c"), scene.base64("d"));
    let pem = fs::read_to_string(scene.path("b.pem")).unwrap();

    let csv = format!(
        "Navn;Domæne;Certifikat\r\nA;a.example;{a}\r\nB;b.example;\"{pem}\"\r\n;;\r\nX;x.example;junk\r\nY;not a domain;{a}\r\n"
    );
    let csv = scene.file("table.csv", &csv);
    // That not all could be read shows in the exit code too.
    let output = scene.gateway.command(&["tunnel", "import", &csv]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(65) && said.contains("2 rows could not be read; the others were taken"),
        "{said}"
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["taken"].as_array().unwrap().len(), 2, "{answer}");
    let faults: Vec<&str> =
        answer["faults"].as_array().unwrap().iter().map(|it| it["place"].as_str().unwrap()).collect();
    let line_after_the_certificate = 3 + pem.lines().count() + 1;
    assert_eq!(
        faults,
        [format!("line {}", line_after_the_certificate + 1), format!("line {}", line_after_the_certificate + 2)]
    );

    let json = scene.file("table.json", &json!([{ "domain": "c.example", "certificate": c, "note": 1 }]).to_string());
    assert_eq!(scene.outcomes(&["tunnel", "import", &json]), ["new"]);
    let json = scene.file("map.json", &json!({ "c.example": c, "d.example": [d] }).to_string());
    assert_eq!(scene.outcomes(&["tunnel", "import", &json]), ["known", "new"]);

    let folded: String =
        d.as_bytes().chunks(70).map(|part| format!("{}\n ", std::str::from_utf8(part).unwrap())).collect();
    let ldif = format!(
        "version: 1\n\ndn: cn=x\nassociatedDomain: ldif.example\nmail: info@ldif.example\nuserCertificate;binary:: {}\n\ndn: cn=y\nmail: eva@live.example\nuserCertificate;binary:: {c}\n",
        folded.trim_end()
    );
    let ldif = scene.file("people.ldif", &ldif);
    assert_eq!(scene.outcomes(&["tunnel", "import", &ldif]), ["new", "new"]);
    let people = scene.gateway.ask(&["certificate", "list"]);
    assert_eq!(people[0]["for"], "eva@live.example");

    // RFC 3183 §4.1 tells the domain where only certificates are given.
    let bundle = scene
        .file("bundle.pem", &["e.pem", "root.pem"].map(|name| fs::read_to_string(scene.path(name)).unwrap()).concat());
    assert_eq!(scene.outcomes(&["tunnel", "import", &bundle]), ["new"]);
    let domains: Vec<String> = scene.tunnels().iter().map(|it| it["domain"].as_str().unwrap().to_owned()).collect();
    assert_eq!(domains, ["a.example", "b.example", "c.example", "d.example", "e.example", "ldif.example"]);
    assert!(scene.tunnels().iter().all(|it| it["certificates"][0]["usable"] == true && it["source"] == "table"));

    let (code, said) = scene.refused(&["tunnel", "import", &scene.at("a.pem")]);
    assert_eq!(code, Some(65), "{said}");
    let (code, said) = scene.refused(&["tunnel", "import", &scene.file("junk", "hello")]);
    assert!(code == Some(65) && said.contains("hint: `openssl asn1parse"), "{said}");
}

#[test]
fn one_in_use_is_never_replaced_in_silence_and_a_renewal_is_none() {
    let scene = Scene::raise();
    scene.issue("old", "/O=P/CN=P", 400, "");
    scene.issue("other", "/O=P/CN=P", 400, "");
    let table =
        |name: &str, certificate: &str| scene.file(name, &format!("domain,certificate\np.example,{certificate}\n"));
    assert_eq!(scene.outcomes(&["tunnel", "import", &table("one.csv", &scene.base64("old"))]), ["new"]);
    assert_eq!(scene.outcomes(&["tunnel", "import", &table("two.csv", &scene.base64("other"))]), ["conflict"]);
    let tunnel = scene.tunnel("p.example");
    assert_eq!(tunnel["trust"], "conflict");
    let usable =
        |tunnel: &Value| tunnel["certificates"].as_array().unwrap().iter().filter(|it| it["usable"] == true).count();
    assert_eq!(usable(&tunnel), 1, "{tunnel}");
    let waiting = tunnel["certificates"].as_array().unwrap().iter().find(|it| it["usable"] == false).unwrap();
    let id = waiting["id"].as_str().unwrap();
    let told = scene.gateway.ask(&["certificate", "accept", &id[..12]]);
    assert_eq!(told[0]["usable"], true, "{told}");
    assert_eq!(usable(&scene.tunnel("p.example")), 2);
    scene.gateway.ask(&["certificate", "refuse", id]);
    assert_eq!(usable(&scene.tunnel("p.example")), 1);

    // The same key under a new certificate.
    fs::write(scene.path("ext"), MAIL).unwrap();
    scene.openssl(
        "x509 -req -in old.csr -CA root.pem -CAkey root.key -CAcreateserial -days 800 -extfile ext -out renewed.pem",
    );
    assert_eq!(scene.outcomes(&["tunnel", "import", &table("three.csv", &scene.base64("renewed"))]), ["renewed"]);

    // The same organisation of OCES with the same key UUID, and another key.
    let oces = "/C=DK/organizationIdentifier=NTRDK-12345678/O=Q/serialNumber=UI:DK-O:G:1c2a1c0e-0000-4000-8000-000000000001/CN=Q";
    scene.issue("q1", oces, 400, "");
    scene.issue("q2", oces, 1000, "");
    let table =
        |name: &str, certificate: &str| scene.file(name, &format!("domain,certificate\nq.example,{certificate}\n"));
    assert_eq!(scene.outcomes(&["tunnel", "import", &table("q1.csv", &scene.base64("q1"))]), ["new"]);
    assert_eq!(scene.outcomes(&["tunnel", "import", &table("q2.csv", &scene.base64("q2"))]), ["renewed"]);
    let newest = scene.tunnel("q.example")["certificates"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        scene.gateway.ask(&["certificate", "show", &newest])[0]["identity"],
        "12345678/1c2a1c0e-0000-4000-8000-000000000001"
    );
}

#[test]
fn what_leads_to_no_root_is_kept_and_not_used() {
    let scene = Scene::raise();
    scene.openssl("req -x509 -newkey rsa:2048 -noenc -keyout s.key -out self.pem -subj /CN=self -days 400 -addext basicConstraints=CA:FALSE");
    scene.gateway.ask(&["tunnel", "add", "self.example", "--certificate", &scene.at("self.pem")]);
    let tunnel = scene.tunnel("self.example");
    assert_eq!(tunnel["certificates"][0]["usable"], false);
    assert_eq!(tunnel["certificates"][0]["why"], "it is signed by itself, and is no trust anchor");
    // Named and pinned by the configuration, it is.
    scene.configure("[[tunnel]]\ndomain = \"pinned.example\"\ncertificate = \"self.pem\"\ntrust = \"pinned\"\n");
    let tunnel = scene.tunnel("pinned.example");
    assert_eq!((&tunnel["source"], &tunnel["trust"]), (&json!("configuration"), &json!("pinned")));
    assert_eq!(tunnel["certificates"][0]["usable"], true, "{tunnel}");
    let (code, said) = scene.refused(&["tunnel", "remove", "pinned.example"]);
    assert_eq!(
        (code, said.trim()),
        (Some(65), "the configuration names pinned.example: take its [[tunnel]] entry out")
    );
    // A certificate that names places of revocation which nobody can reach is not used either, unless we say so.
    scene.issue("crl", "/CN=crl", 400, "crlDistributionPoints=URI:http://127.0.0.1:9/a.crl");
    scene.gateway.ask(&["tunnel", "add", "crl.example", "--certificate", &scene.at("crl.pem")]);
    assert_eq!(scene.tunnel("crl.example")["certificates"][0]["why"], "nothing at hand tells whether it is revoked");
    let text = fs::read_to_string(scene.gateway.config()).unwrap();
    fs::write(scene.gateway.config(), text.replace("[trust]", "[trust]\nunknown_revocation = \"use\"")).unwrap();
    assert_eq!(scene.tunnel("crl.example")["certificates"][0]["usable"], true);
    // A list from a file decides.
    fs::write(scene.path("index.txt"), "").unwrap();
    fs::write(scene.path("ca.cnf"), "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\n").unwrap();
    scene.openssl("ca -config ca.cnf -cert root.pem -keyfile root.key -revoke crl.pem");
    scene.openssl("ca -config ca.cnf -cert root.pem -keyfile root.key -gencrl -crldays 9 -out list.pem");
    let text = fs::read_to_string(scene.gateway.config()).unwrap();
    fs::write(scene.gateway.config(), text.replace("[trust]", "[trust]\ncrls = [\"list.pem\"]")).unwrap();
    assert_eq!(scene.tunnel("crl.example")["certificates"][0]["why"], "it is revoked");
}

#[test]
fn a_key_is_made_for_a_request_and_takes_up_the_certificate_that_comes_back() {
    let scene = Scene::raise();
    let answer = scene.gateway.ask(&["certificate", "request", "--for", "bygg@sundby.example"]);
    scene.file("ours.csr", answer["request"].as_str().unwrap());
    scene.openssl("req -in ours.csr -noout -verify");
    let listed = scene.gateway.ask(&["certificate", "list"]);
    assert_eq!(listed[0]["why"], "its key waits for a certificate");
    fs::write(scene.path("ext"), format!("{MAIL}\nsubjectAltName=email:bygg@sundby.example")).unwrap();
    scene.openssl(
        "x509 -req -in ours.csr -CA root.pem -CAkey root.key -CAcreateserial -days 400 -extfile ext -out ours.pem",
    );
    let answer = scene.gateway.ask(&["certificate", "import", &scene.at("ours.pem")]);
    assert_eq!(answer["own"], "bygg@sundby.example");
    let listed = scene.gateway.ask(&["certificate", "list"]);
    assert_eq!((&listed[0]["own"], &listed[0]["usable"]), (&json!(true), &json!(true)), "{listed}");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    // The key lies locked.
    let keys: Vec<Vec<u8>> = fs::read_dir(scene.gateway.data().join("certificates"))
        .unwrap()
        .map(|it| fs::read(it.unwrap().path()).unwrap())
        .collect();
    assert!(keys.len() == 1 && keys[0].starts_with(b"age-encryption.org/v1\n"));
}

#[test]
fn a_pkcs12_file_brings_our_key_and_another_its_owner() {
    let scene = Scene::raise();
    scene.issue("ours", "/CN=Sundby", 400, "subjectAltName=email:info@sundby.example");
    scene.openssl("pkcs12 -export -in ours.pem -inkey ours.key -certfile root.pem -passout pass:secret -out ours.p12");
    let (code, said) = scene.refused(&["certificate", "import", &scene.at("ours.p12")]);
    assert!(code == Some(65) && said.contains("no password was given") && said.contains("--password-file"), "{said}");
    let password = scene.file("password", "secret\n");
    let answer = scene.gateway.ask(&[
        "certificate",
        "import",
        &scene.at("ours.p12"),
        "--for",
        "sundby.example",
        "--password-file",
        &password,
    ]);
    assert_eq!(answer["own"], "sundby.example");
    scene.issue("eva", "/CN=Eva", 400, "subjectAltName=email:eva@live.example");
    assert_eq!(scene.outcomes(&["certificate", "import", &scene.at("eva.pem")]), ["new"]);
    let listed = scene.gateway.ask(&["certificate", "list"]);
    let whom: Vec<&Value> = listed.as_array().unwrap().iter().map(|it| &it["for"]).collect();
    assert_eq!(whom, [&json!("sundby.example"), &json!("eva@live.example")]);
    let id = listed[1]["id"].as_str().unwrap();
    assert_eq!(scene.gateway.ask(&["certificate", "remove", id])["removed"], json!(["eva@live.example"]));
    let (code, said) = scene.refused(&["certificate", "show", id]);
    assert!(code == Some(65) && said.starts_with("no certificate has the fingerprint"), "{said}");
}

#[test]
fn an_authority_of_our_own_issues_what_openssl_believes() {
    let scene = Scene::raise();
    let (code, said) = scene.refused(&["certificate", "issue", "--for", "sundby.example"]);
    assert!(code == Some(65) && said.contains("sealgate certificate authority"), "{said}");
    let root = scene.gateway.ask(&["certificate", "authority", "--name", "Sundby S/MIME"]);
    scene.file("own-root.pem", root["pem"].as_str().unwrap());
    let issued = scene.gateway.ask(&["certificate", "issue", "--for", "sundby.example", "--algorithm", "p256"]);
    scene.file("issued.pem", issued["pem"].as_str().unwrap());
    for purpose in ["smimesign", "smimeencrypt"] {
        if purpose == "smimesign" {
            scene.openssl(&format!("verify -CAfile own-root.pem -no-CApath -no-CAstore -purpose {purpose} issued.pem"));
        }
    }
    let listed = scene.gateway.ask(&["certificate", "list"]);
    assert_eq!((&listed[0]["for"], &listed[0]["usable"]), (&json!("sundby.example"), &json!(true)), "{listed}");
    assert_eq!(listed[1]["trust"], "authority");
    let (code, _) = scene.refused(&["certificate", "authority", "--name", "Another"]);
    assert_eq!(code, Some(65));
    // A partner that is given the root believes it.
    let partner = Scene::raise();
    fs::copy(scene.path("own-root.pem"), partner.path("root.pem")).unwrap();
    partner.gateway.ask(&["tunnel", "add", "sundby2.example", "--certificate", &scene.at("issued.pem")]);
    assert_eq!(partner.tunnel("sundby2.example")["certificates"][0]["usable"], true);
}

#[test]
fn check_tells_what_is_wrong_with_our_certificates_in_time() {
    let scene = Scene::raise();
    let own = |name: &str, key: &str| {
        format!("[[own_certificate]]\nfor = \"sundby.example\"\ncertificate = \"{name}.pem\"\nkey = \"{key}.key\"\n")
    };
    let base = fs::read_to_string(scene.gateway.config()).unwrap();
    let said = |text: &str| {
        fs::write(scene.gateway.config(), format!("{base}\n{text}")).unwrap();
        scene.check()
    };
    let warning = |cause: &str| ("warning".to_owned(), cause.to_owned());
    for (name, days, expected) in
        [("long", 200, None), ("quarter", 60, Some(90)), ("month", 20, Some(30)), ("week", 5, Some(7))]
    {
        scene.issue(name, "/CN=Sundby", days, "");
        let told = said(&own(name, name));
        match expected {
            None => assert_eq!(told, []),
            Some(within) => {
                assert_eq!(told.len(), 1, "{told:?}");
                assert!(
                    told[0].1.starts_with(&format!("the certificate expires within {within} days, at ")),
                    "{told:?}"
                );
                assert_eq!(told[0].0, "warning");
            }
        }
    }
    // The next generation beside it is in time.
    assert_eq!(said(&(own("week", "week") + &own("long", "long"))), []);
    let told = said(&own("long", "week"));
    assert_eq!(told, [("fault".to_owned(), "the key does not belong to long.pem".to_owned())]);
    scene.issue("elsewhere", "/CN=Sundby", 200, "subjectAltName=email:x@elsewhere.example");
    let told = said(&own("elsewhere", "elsewhere"));
    assert_eq!(told, [warning("the certificate names other addresses than sundby.example: elsewhere.pem")]);
    scene.openssl("pkey -in long.key -aes256 -passout pass:x -out locked.key");
    fs::set_permissions(scene.path("locked.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let told = said(&own("long", "locked"));
    assert_eq!(told, [("fault".to_owned(), "it is locked, and no password was given: locked.key".to_owned())]);
    fs::set_permissions(scene.path("long.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        said(&own("long", "long")),
        [("fault".to_owned(), "others can read it (mode 0644): long.key".to_owned())]
    );
    assert!(Path::new(&scene.at("long.pem")).exists());
}
