//! Judging, as IT and clerks meet it: a configuration, a message as it comes, and what is done for whom.

use sealgate::config::{Files, Settings, parse};
use sealgate::daemon::explain;
use sealgate::mail::{Address, ReversePath};

const EVA: &str = "eva@live.example";
const NUMBER: &str = "2110625629@cpr.sundby.example";
const LABEL: &str = "8f1f2b2e-0000-4000-8000-000000000001";

const CONFIG: &str = r#"
hostname = "gw.sundby.example"
data_dir = "data"
[organisation]
name = "Sundby kommun"
domains = ["sundby.example"]
[tls]
certificate = "certs/gw.pem"
key = "certs/gw.key"
[smtpd.outbound]
listen = "127.0.0.1:10025"
allow = ["127.0.0.1"]
[delivery]
internet = "smtp://127.0.0.1:2525"
mail_server = "smtp://127.0.0.1:10026"
[vault]
identity = "keys/vault.key"
[portal]
listen = "127.0.0.1:8443"
url = "https://sakra.sundby.example"
[notify]
from = "Sundby kommun <noreply@sundby.example>"
[[department]]
id = "bygg"
name = { sv = "Bygglov", da = "Byggesag", en = "Building permits" }
address = "bygg@sundby.example"
[[identity.provider]]
id = "bankid"
name = "BankID"
issuer = "https://op.example"
client_id = "sealgate"
client_secret = "keys/op-secret"
accept_acr = ["loa3"]
[policy]
number_domains = { "cpr.sundby.example" = "dk-cpr" }
"#;

fn settings(rules: &str) -> Settings {
    match parse("sealgate.toml", &format!("{CONFIG}{rules}"), Files::Skip) {
        Ok(loaded) => loaded.settings,
        Err(faults) => panic!("{faults}"),
    }
}

/// What is done for each recipient of a message from a clerk.
fn treatments(settings: &Settings, to: &[&str], message: &[u8]) -> Vec<String> {
    let from = ReversePath::Mailbox("anna@sundby.example".parse().unwrap());
    let to: Vec<Address> = to.iter().map(|address| address.parse().unwrap()).collect();
    let explained = serde_json::to_value(explain(settings, &from, &to, message).unwrap()).unwrap();
    let recipients = explained["recipients"].as_array().unwrap();
    recipients.iter().map(|recipient| recipient["treatment"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_national_number_in_an_address_is_not_shown_to_the_others() {
    let settings = settings("");
    let message = format!("Subject: Hej\r\nTo: {EVA}, {NUMBER}\r\n\r\nHej\r\n");
    let done = |to: &[&str]| treatments(&settings, to, message.as_bytes());
    assert_eq!(done(&[EVA]), ["pass"]);
    assert_eq!(done(&[EVA, NUMBER]), ["pickup", "hold"]);
    assert_eq!(done(&["anna@sundby.example", NUMBER]), ["pass", "hold"]);
}

#[test]
fn a_number_is_seen_wherever_a_program_shows_it() {
    let settings =
        settings("[[rule]]\nname = \"n\"\nif.any = [{ contains = [\"se-personnummer\"] }]\nprotect = \"secure\"\n");
    for field in [
        "To: Eva 850101-2382 <eva@live.example>",
        "Cc: =?utf-8?Q?Eva_850101=2D2382?= <eva@live.example>",
        "Thread-Topic: 850101-2382",
        "Reply-To: \"850101-2382\" <a@sundby.example>",
        "Content-Description: 850101-2382",
    ] {
        let message = format!("Subject: Hej\r\n{field}\r\n\r\nHej\r\n");
        assert_eq!(treatments(&settings, &[EVA], message.as_bytes()), ["pickup"], "{field}");
    }
    assert_eq!(treatments(&settings, &[EVA], b"Subject: Hej\r\nTo: 8501012383@live.example\r\n\r\nHej\r\n"), ["pass"]);
}

#[test]
fn a_tag_is_seen_however_a_program_writes_it() {
    let settings = settings(&format!(
        "[[rule]]\nname = \"tag\"\nif.any = [{{ subject_tag = [\"[säkert]\"] }}, {{ label = \"{LABEL}\" }}, {{ header = \"Sensitivity\", is = [\"Private\"] }}]\nprotect = \"secure\"\n"
    ));
    let enabled = format!("MSIP_Label_{LABEL}_Enabled=true; MSIP_Label_{LABEL}_Name=Hemlig");
    let encoded = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    for header in [
        "Subject: [s\u{e4}kert] Hej".to_owned(),
        "Subject: =?utf-8?Q?[s=C3?= =?utf-8?Q?=A4kert]?= Hej".to_owned(),
        "Subject: =?utf-8?B?W3PD?=\r\n =?UTF-8?Q?=A4kert]?= Hej".to_owned(),
        "Subject: \u{ff3b}s\u{e4}kert\u{ff3d} Hej".to_owned(),
        // What nobody here can read may be the tag.
        "Subject: =?cp437?Q?[s=84kert]?= Hej".to_owned(),
        "Subject: =?ibm037?B?rUD8?= Hej".to_owned(),
        format!("msip_labels: {enabled}"),
        format!("msip_labels: =?utf-8?B?{}?=", encoded(&enabled)),
        format!("msip_labels: =?us-ascii?Q?MSIP=5FLabel=5F{LABEL}=5FEnabled=3Dtrue?=;"),
        "Sensitivity: =?utf-8?Q?private?=".to_owned(),
    ] {
        let message = format!("{header}\r\n\r\nHej\r\n");
        assert_eq!(treatments(&settings, &[EVA], message.as_bytes()), ["pickup"], "{header}");
    }
    for header in ["Subject: =?utf-8?Q?s=C3=A4kert?= Hej", "Subject: =?iso-8859-1?Q?[s=E5kert]?=", "Subject: Hej"] {
        assert_eq!(treatments(&settings, &[EVA], format!("{header}\r\n\r\nHej\r\n").as_bytes()), ["pass"], "{header}");
    }
}

#[test]
fn a_forbidden_file_is_seen_whatever_it_is_called() {
    let settings = settings("[[rule]]\nname = \"n\"\nif.any = [{ attachment = [\"*.exe\"] }]\nprotect = \"hold\"\n");
    let many: String = (0..20).map(|n| format!("; name=\"{n}.txt\"")).collect();
    for part in [
        "Content-Type: a/b; name=\"a.EXE\"".to_owned(),
        "Content-Disposition: attachment; filename=\"=?utf-8?Q?a.e?= =?utf-8?Q?xe?=\"".to_owned(),
        "Content-Disposition: attachment; filename=\"=?utf-8?B?YS5l?=\r\n =?utf-8?B?eGU=?=\"".to_owned(),
        "Content-Disposition: attachment; filename*=utf-8''a.e%78e".to_owned(),
        "Content-Disposition: attachment; filename*0=\"a.\"; filename*1=\"exe\"".to_owned(),
        "Content-Disposition: attachment; filename=\"a\u{ff0e}exe\"".to_owned(),
        "Content-Disposition: attachment; filename=\"a.exe. . \"".to_owned(),
        "Content-Disposition: attachment; filename=\"a.exe/\"".to_owned(),
        "Content-Disposition: attachment; filename=\"b/a.exe\\\\\"".to_owned(),
        "Content-Disposition: attachment; filename=\"a.exe::$DATA\"".to_owned(),
        "Content-Disposition: attachment; filename=\"a.e\u{200b}xe\"".to_owned(),
        format!("Content-Type: a/b{many}; name=\"a.exe\""),
    ] {
        let message = format!(
            "Subject: Hej\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{part}\r\n\r\nx\r\n--b--\r\n"
        );
        assert_eq!(treatments(&settings, &[EVA], message.as_bytes()), ["hold"], "{part}");
    }
    let many_parts = "--b\r\nContent-Type: a/b; name=a.txt\r\n\r\nx\r\n".repeat(2_100);
    let message = format!(
        "Subject: Hej\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{many_parts}--b\r\nContent-Type: a/b; name=a.exe\r\n\r\nx\r\n--b--\r\n"
    );
    assert_eq!(treatments(&settings, &[EVA], message.as_bytes()), ["hold"]);
    let ordinary = "Subject: Hej\r\nContent-Type: a/b; name=\"exe.txt\"\r\n\r\nx\r\n";
    assert_eq!(treatments(&settings, &[EVA], ordinary.as_bytes()), ["pass"]);
}

#[test]
fn what_two_programs_read_in_two_ways_is_doubtful() {
    let settings =
        settings("[[rule]]\nname = \"n\"\nif.any = [{ contains = [\"se-personnummer\"] }]\nprotect = \"secure\"\n");
    let split = |head: &str| {
        format!(
            "Subject: Hej\r\nContent-Type: {head}\r\n\r\n--b\r\n\r\nx\r\n--c\r\nContent-Transfer-Encoding: base64\r\n\r\nODUwMTAxLTIzODI=\r\n--c--\r\n--b--\r\n"
        )
    };
    for head in ["multipart/mixed; boundary=b; boundary=c", "multipart/mixed; boundary=\"b\"; boundary*=utf-8''c"] {
        assert_eq!(treatments(&settings, &[EVA], split(head).as_bytes()), ["pickup"], "{head}");
    }
    let twice = "Subject: Hej\r\nContent-Type: text/plain; charset=utf-8; charset=utf-16\r\n\r\nhej\r\n";
    assert_eq!(treatments(&settings, &[EVA], twice.as_bytes()), ["pickup"]);
    let same = "Subject: Hej\r\nContent-Type: text/plain; charset=utf-8; charset=UTF-8\r\n\r\nhej\r\n";
    assert_eq!(treatments(&settings, &[EVA], same.as_bytes()), ["pass"]);
}
