//! What certificates are not taken for: what is not ours, what is somebody else's, what would replace another unasked.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::faults::page;
use crate::running::wait_until;
use crate::trust::{MAIL, Scene};

/// What a person reads, and how it ended.
fn read(scene: &Scene, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealgate"));
    let Output { status, stdout, stderr } =
        command.args(words).arg("--config").arg(scene.gateway.config()).output().unwrap();
    let told = [stdout, stderr].concat();
    (status.code(), String::from_utf8(told).unwrap())
}

fn listed(scene: &Scene) -> Vec<Value> {
    scene.gateway.ask(&["certificate", "list"]).as_array().unwrap().clone()
}

/// One certificate and its key in a file.
fn both(scene: &Scene, name: &str) -> String {
    let parts = ["key", "pem"].map(|kind| fs::read_to_string(scene.path(&format!("{name}.{kind}"))).unwrap());
    scene.file(&format!("{name}-both.pem"), &parts.concat())
}

/// The same key under another certificate.
fn renew(scene: &Scene, name: &str, renewed: &str, days: u32, extensions: &str) {
    fs::write(scene.path("ext"), format!("{MAIL}\n{extensions}")).unwrap();
    scene.openssl(&format!(
        "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial -days {days} -extfile ext -out {renewed}.pem"
    ));
}

fn outcomes(told: &[u8]) -> Vec<String> {
    let answer: Value = serde_json::from_slice(told).unwrap();
    answer["taken"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_is_made_or_kept_as_ours_that_is_not() {
    let scene = Scene::raise();
    scene.gateway.ask(&["certificate", "authority", "--name", "Sundby S/MIME"]);
    scene.issue("own", "/CN=Sundby", 400, "subjectAltName=email:info@sundby.example");
    let own = both(&scene, "own");
    for words in [
        &["certificate", "request", "--for", "other.example"][..],
        &["certificate", "issue", "--for", "eva@other.example"],
        &["certificate", "import", &own, "--for", "eva@other.example"],
    ] {
        let (code, said) = scene.refused(words);
        let why = "other.example is no domain of the organisation: organisation.domains names ours";
        assert_eq!((code, said.trim()), (Some(65), why), "{words:?}");
    }
    assert_eq!(listed(&scene).len(), 1, "the authority alone");
    let import = |whom: &str| scene.gateway.ask(&["certificate", "import", &own, "--for", whom]);
    assert_eq!(import("sundby.example"), json!({ "own": "sundby.example", "outcome": "new" }));
    assert_eq!(import("sundby.example")["outcome"], "known");
    let (code, said) = scene.refused(&["certificate", "import", &own, "--for", "info@sundby.example"]);
    assert!(code == Some(65) && said.contains("is kept for sundby.example already"), "{said}");
    assert_eq!(listed(&scene)[0]["for"], "sundby.example");
}

#[test]
fn ours_is_nobodys_tunnel() {
    let scene = Scene::raise();
    scene.issue("own", "/CN=Sundby", 400, "subjectAltName=email:info@sundby.example");
    scene.issue("p", "/CN=P", 400, "");
    let own = scene.at("own.pem");
    for words in [
        &["certificate", "import", &own][..],
        &["tunnel", "add", "sundby.example", "--certificate", &scene.at("p.pem")],
    ] {
        let (code, said) = read(&scene, words);
        assert_eq!(code, Some(65), "{said}");
        assert!(
            said.contains("sundby.example is ours, and no key that is kept here belongs to this certificate"),
            "{said}"
        );
    }
    // A table of everybody names us too.
    let row = |domain: &str, name: &str| format!("{domain},{}\n", scene.base64(name));
    let ours = scene.file("ours.csv", &format!("domain,certificate\n{}", row("sundby.example", "own")));
    let output = scene.gateway.command(&["tunnel", "import", &ours]).output().unwrap();
    assert_eq!((output.status.code(), outcomes(&output.stdout)), (Some(65), vec!["ours".to_owned()]));
    let all = format!("domain,certificate\n{}{}", row("sundby.example", "own"), row("p.example", "p"));
    assert_eq!(scene.outcomes(&["tunnel", "import", &scene.file("all.csv", &all)]), ["ours", "new"]);
    assert_eq!((scene.tunnel("sundby.example"), listed(&scene).len()), (Value::Null, 0));
    scene.gateway.ask(&["certificate", "import", &both(&scene, "own")]);
    let (code, said) = read(&scene, &["tunnel", "add", "p.example", "--certificate", &own]);
    assert!(code == Some(65) && said.contains("this is a certificate of ours, and no partner's"), "{said}");
}

#[test]
fn keys_that_wait_can_be_withdrawn_and_those_with_a_certificate_stay() {
    let scene = Scene::raise();
    scene.gateway.ask(&["certificate", "request", "--for", "bygg@sundby.example"]);
    let waiting = listed(&scene)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(scene.gateway.ask(&["certificate", "show", &waiting])[0]["for"], "bygg@sundby.example");
    let (code, said) = read(&scene, &["certificate", "remove", &waiting]);
    assert_eq!((code, said.trim()), (Some(0), "removed, for bygg@sundby.example"));
    assert_eq!(listed(&scene), Vec::<Value>::new());
    assert_eq!(fs::read_dir(scene.gateway.data().join("certificates")).unwrap().count(), 0);
    let (code, said) = scene.refused(&["certificate", "remove", &waiting]);
    assert!(code == Some(65) && said.contains("no key that waits for a certificate is called key-1"), "{said}");

    // Kept as a partner's before it was brought with its key.
    scene.issue("own", "/CN=Sundby", 400, "");
    scene.gateway.ask(&["tunnel", "add", "p.example", "--certificate", &scene.at("own.pem")]);
    scene.gateway.ask(&["certificate", "import", &both(&scene, "own"), "--for", "sundby.example"]);
    let id = listed(&scene)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(scene.gateway.ask(&["certificate", "show", &id]).as_array().unwrap().len(), 2);
    let (code, said) = read(&scene, &["certificate", "remove", &id]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said, "removed, for p.example\nit stays as a certificate of ours, for sundby.example\n");
    let (code, said) = read(&scene, &["certificate", "remove", &id]);
    assert!(code == Some(65) && said.contains("is a certificate of ours, for sundby.example, and stays"), "{said}");
    // A renewal of the same key leaves the one before: what was sealed to it names its serial number.
    renew(&scene, "own", "renewed", 800, "");
    let told = scene.gateway.ask(&["certificate", "import", &scene.at("renewed.pem")]);
    assert_eq!(told, json!({ "own": "sundby.example", "outcome": "new" }));
    assert_eq!(scene.gateway.ask(&["certificate", "import", &scene.at("own.pem")])["outcome"], "known");
    assert_eq!(listed(&scene).iter().filter(|it| it["own"] == true).count(), 2);
}

#[test]
fn check_and_metrics_tell_of_what_was_imported_too() {
    let mut scene = Scene::raise();
    for (name, days) in [("month", 20), ("long", 400), ("named", 5)] {
        scene.issue(name, "/CN=Sundby", days, "");
    }
    assert_eq!(scene.check(), []);
    scene.gateway.start();
    let gauge = |kind: &str| {
        let of_kind = format!("sealgate_own_certificates_ending{{kind=\"{kind}\"}} ");
        let page = page(scene.gateway.control, "/metrics").1;
        page.lines().find_map(|line| Some(line.strip_prefix(&of_kind)?.to_owned()))
    };
    wait_until("the first count", || gauge("30d").as_deref() == Some("0"));
    let begun = std::time::Instant::now();
    scene.gateway.ask(&["certificate", "import", &both(&scene, "month"), "--for", "sundby.example"]);
    wait_until("the count after an import", || gauge("30d").as_deref() == Some("1"));
    assert!(begun.elapsed().as_secs() < 30, "it waited for the next minute");
    let told = scene.check();
    assert!(
        told.len() == 1
            && told[0].1.starts_with("the certificate of sundby.example that is kept expires within 30 days, at "),
        "{told:?}"
    );
    scene
        .configure("[[own_certificate]]\nfor = \"sundby.example\"\ncertificate = \"named.pem\"\nkey = \"named.key\"\n");
    assert_eq!(scene.check().len(), 1, "the named one has a successor that is kept: {:?}", scene.check());
    scene.gateway.ask(&["certificate", "import", &both(&scene, "long"), "--for", "sundby.example"]);
    assert_eq!(scene.check(), []);
}

#[test]
fn a_certificate_that_names_somebody_else_waits_for_a_decision() {
    let scene = Scene::raise();
    scene.issue("b", "/CN=B", 400, "subjectAltName=email:domain-confidentiality-authority@b.example");
    scene.issue("eva", "/CN=Eva", 400, "subjectAltName=email:eva@a.example");
    scene.issue("host", "/CN=C", 400, "subjectAltName=DNS:mail.c.example");
    scene.issue("none", "/CN=D", 400, "");
    let row = |domain: &str, name: &str| format!("{domain},{}\n", scene.base64(name));
    let rows = [row("a.example", "b"), row("b.example", "b"), row("c.example", "host"), row("d.example", "none")];
    let table = scene.file("slipped.csv", &format!("domain,certificate\n{}", rows.concat()));
    assert_eq!(scene.outcomes(&["tunnel", "import", &table]), ["conflict", "new", "new", "new"]);
    let kept = scene.tunnel("a.example")["certificates"][0].clone();
    assert_eq!(kept["usable"], false);
    assert_eq!(kept["why"], "it names b.example, and not a.example: nobody has decided");
    let table = scene.file("person.csv", &format!("domain,certificate\n{}", row("e.example", "eva")));
    assert_eq!(scene.outcomes(&["tunnel", "import", &table]), ["conflict"]);
    // It is kept for both; only what is said is decided, and each is told.
    let id = kept["id"].as_str().unwrap();
    let (code, said) = read(&scene, &["certificate", "accept", id, "--for", "a.example"]);
    assert_eq!((code, said.as_str()), (Some(0), "a.example: accepted, and used from now on\n"));
    let (_, said) = read(&scene, &["certificate", "refuse", id]);
    assert_eq!(said, "a.example: refused\nb.example: refused\n");
    let (code, said) = read(&scene, &["certificate", "accept", id, "--for", "f.example"]);
    assert!(code == Some(65) && said.contains("is kept for a.example, b.example, and not for f.example"), "{said}");
    // Whoever says it for just this domain is believed, and warned.
    let (code, said) = read(&scene, &["tunnel", "add", "f.example", "--certificate", &scene.at("eva.pem")]);
    assert!(code == Some(0) && said.contains("f.example: used from now on, and it names eva@a.example"), "{said}");
}

#[test]
fn an_operator_replaces_what_is_in_use_by_saying_so() {
    let scene = Scene::raise();
    for name in ["old", "other"] {
        scene.issue(name, "/CN=P", 400, "");
    }
    renew(&scene, "old", "renewed", 800, "subjectAltName=email:eva@p.example");
    let [old, other, renewed] = ["old.pem", "other.pem", "renewed.pem"].map(|name| scene.at(name));
    let add = |file: &str| {
        let output = scene.gateway.command(&["tunnel", "add", "p.example", "--certificate", file]).output().unwrap();
        (output.status.code(), outcomes(&output.stdout).concat())
    };
    assert_eq!(add(&old), (Some(0), "new".to_owned()));
    let usable = || {
        let tunnel = scene.tunnel("p.example");
        let all = tunnel["certificates"].as_array().unwrap().iter();
        all.filter(|it| it["usable"] == true).map(|it| it["told_by"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(add(&other), (Some(65), "conflict".to_owned()));
    assert_eq!(add(&other), (Some(65), "conflict".to_owned()), "bringing it again is no decision");
    assert_eq!(usable(), ["old.pem"]);
    scene.gateway.ask(&["tunnel", "add", "p.example", "--certificate", &other, "--replace"]);
    assert_eq!(usable(), ["other.pem"]);
    assert_eq!(add(&old), (Some(65), "conflict".to_owned()));
    scene.gateway.ask(&["tunnel", "add", "p.example", "--certificate", &old, "--replace"]);
    assert_eq!(usable(), ["old.pem"]);
    // The same key needs no word.
    assert_eq!(scene.outcomes(&["certificate", "import", &renewed, "--for", "p.example"]), ["renewed"]);
    assert_eq!(usable().len(), 2);
}

#[test]
fn what_brings_nothing_says_why_and_what_cannot_be_used_what_to_do() {
    let scene = Scene::raise();
    scene.issue("p", "/CN=P", 400, "");
    for (file, why) in [("p.key", "a private key, and no certificate"), ("p.csr", "no certificate; a request goes to")]
    {
        let file = scene.at(file);
        for words in [
            &["certificate", "import", &file][..],
            &["tunnel", "import", &file],
            &["tunnel", "add", "p.example", "--certificate", &file],
        ] {
            let (code, said) = read(&scene, words);
            assert!(code == Some(65) && said.contains(why), "{words:?}: {said}");
        }
    }
    scene.openssl("req -x509 -newkey rsa:2048 -noenc -keyout s.key -out self.pem -subj /CN=self -days 400 -addext basicConstraints=CA:FALSE");
    let (code, said) = read(&scene, &["tunnel", "add", "self.example", "--certificate", &scene.at("self.pem")]);
    assert_eq!(code, Some(0), "{said}");
    let kept = "self.example: kept, and cannot be used: it is signed by itself, and is no trust anchor\n  hint: put the root of its authority into trust.roots";
    assert!(
        said.starts_with(kept) && said.contains("1 new, 0 renewed, 0 known, 0 in conflict; 1 of them cannot"),
        "{said}"
    );
    let (_, said) = read(&scene, &["certificate", "import", &scene.at("root.pem")]);
    assert!(said.contains("1 of authorities, to build paths by"), "{said}");
}
