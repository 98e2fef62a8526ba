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
    settings_of(&format!("{CONFIG}{rules}"))
}

fn settings_of(text: &str) -> Settings {
    match parse("sealgate.toml", text, Files::Skip) {
        Ok(loaded) => loaded.settings,
        Err(faults) => panic!("{faults}"),
    }
}

/// What `explain` says about each recipient of a message from a clerk.
fn explained(settings: &Settings, to: &[&str], message: &[u8]) -> Vec<serde_json::Value> {
    let from = ReversePath::Mailbox("anna@sundby.example".parse().unwrap());
    let to: Vec<Address> = to.iter().map(|address| address.parse().unwrap()).collect();
    let explained = serde_json::to_value(explain(settings, &from, &to, message, &[]).unwrap()).unwrap();
    explained["recipients"].as_array().unwrap().clone()
}

/// What is done for each.
fn treatments(settings: &Settings, to: &[&str], message: &[u8]) -> Vec<String> {
    let recipients = explained(settings, to, message);
    recipients.iter().map(|recipient| recipient["treatment"].as_str().unwrap().to_owned()).collect()
}

/// `protect = "tls"` and the routes of the configuration: what is done for whom, and which way it would take.
#[test]
fn a_route_is_shown_and_says_where_verified_tls_is_to_be_had() {
    let rules = r#"
[[delivery.route]]
domains = ["partner.example", ".partner.example"]
next_hop = "smtp://relay.partner.example:587"
tls = "verified"
[[delivery.route]]
domains = ["lax.partner.example"]
next_hop = "smtp://relay.lax.example"
[[rule]]
name = "agreements"
if.any = [{ subject = "avtal" }]
protect = "tls"
"#;
    let to = ["eva@partner.example", "eva@a.partner.example", "eva@lax.partner.example", EVA, "anna@sundby.example"];
    let verified = "smtp://relay.partner.example:587, verified TLS";
    let lax = "smtp://relay.lax.example:25, TLS where it is offered";
    let shown = |subject: &str, field: &str| -> Vec<String> {
        let message = format!("From: anna@sundby.example\r\nSubject: {subject}\r\n\r\nHej\r\n");
        let recipients = explained(&settings(rules), &to, message.as_bytes());
        let told = recipients.iter().map(|it| format!("{} {}", it["treatment"], it[field]));
        told.map(|told| told.replace('"', "")).collect()
    };
    let routes = [format!("pass partner.example: {verified}"), format!("pass .partner.example: {verified}")];
    assert_eq!(shown("avtal", "route"), [&routes[0], &routes[1], "hold null", "hold null", "pass null"]);
    let by_lax = format!("pass lax.partner.example: {lax}");
    assert_eq!(shown("Hej", "route"), [&routes[0], &routes[1], &by_lax, "pass null", "pass null"]);
    assert_eq!(
        shown("Hej", "way"),
        [
            &format!("pass by {verified} (the route of partner.example)"),
            &format!("pass by {verified} (the route of .partner.example)"),
            &format!("pass by {lax} (the route of lax.partner.example)"),
            "pass by the smarthost smtp://127.0.0.1:2525, TLS where it is offered",
            "pass to our own mail server smtp://127.0.0.1:10026, on this machine, where no TLS is asked for",
        ]
    );
}

/// By MX what a domain asks for is seen when the mail is delivered; what we ask for stands in the configuration.
#[test]
fn the_way_by_mx_says_what_is_asked_of_it() {
    let rules = r#"
[[delivery.route]]
domains = ["partner.example"]
tls = "verified"
[[delivery.route]]
domains = ["lax.example"]
tls = "encrypt"
[[rule]]
name = "agreements"
if.any = [{ subject = "avtal" }]
protect = "tls"
[[rule]]
name = "marked"
if.any = [{ subject_tag = ["[sikker]"] }]
protect = "secure"
"#;
    let by_mx = CONFIG.replace("internet = \"smtp://127.0.0.1:2525\"", "internet = \"mx\"");
    let settings = settings_of(&format!("{by_mx}{rules}"));
    let way = |subject: &str, to: &str| {
        let recipients = explained(&settings, &[to], format!("Subject: {subject}\r\n\r\nHej\r\n").as_bytes());
        recipients[0]["way"].as_str().unwrap_or("none").to_owned()
    };
    let shows = "which shows at delivery";
    let asked = "verified where the domain has DANE or MTA-STS";
    let proven = "verified TLS: by DANE, MTA-STS, or a certificate that the route takes";
    for (subject, to, wanted) in [
        ("Hej", EVA, format!("by MX of live.example, TLS where it is offered; {asked}, {shows}")),
        ("avtal", EVA, format!("by MX of live.example, verified TLS by DANE or MTA-STS, {shows}; else it waits")),
        (
            "Hej",
            "a@partner.example",
            format!("by MX of partner.example, {proven}, {shows} (the route of partner.example)"),
        ),
        (
            "avtal",
            "a@partner.example",
            format!("by MX of partner.example, {proven}, {shows} (the route of partner.example)"),
        ),
        ("Hej", "a@lax.example", format!("by MX of lax.example, TLS; {asked}, {shows} (the route of lax.example)")),
        ("[sikker] Hej", EVA, "none".to_owned()),
    ] {
        assert_eq!(way(subject, to), wanted, "{subject} to {to}");
    }
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

/// One part, in base64, under this head.
fn part(head: &str, octets: &[u8]) -> Vec<u8> {
    let octets = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, octets);
    format!("Subject: Hej\r\n{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n{octets}\r\n").into_bytes()
}

fn zipped(name: &str, octets: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, octets).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_number_is_seen_whatever_it_is_written_in() {
    let settings =
        settings("[[rule]]\nname = \"n\"\nif.any = [{ contains = [\"se-personnummer\"] }]\nprotect = \"secure\"\n");
    // U+2011, the hyphen that does not break, and U+2013, the dash, as programs put them.
    let (hyphen, dash) = ("Personnr 850101\u{2011}2382", "Personnr 850101\u{2013}2382");
    let latin = b"Personnr 850101\x962382 \xe5";
    let sixteen = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let (little, big) = (sixteen(hyphen, u16::to_le_bytes), sixteen(hyphen, u16::to_be_bytes));
    let octets = "Content-Type: application/octet-stream; name=a.csv";
    let folded = b"BEGIN:VCALENDAR\r\nDESCRIPTION:Personnr 850\r\n 101-2382\r\nEND:VCALENDAR\r\n";
    let excel = |sheet: &str| zipped(sheet, b"no letters of any kind");
    for (what, message) in [
        ("a file of text", part(octets, hyphen.as_bytes())),
        ("a file of Windows text", part(octets, latin)),
        ("text in an archive", part("Content-Type: application/zip", &zipped("a.txt", dash.as_bytes()))),
        ("Windows text in an archive", part("Content-Type: application/zip", &zipped("a.txt", latin))),
        ("no charset", part("Content-Type: text/plain", latin)),
        ("UTF-8 called ASCII", part("Content-Type: text/plain; charset=us-ascii", hyphen.as_bytes())),
        ("UTF-8 called Latin-1", part("Content-Type: text/plain; charset=iso-8859-1", hyphen.as_bytes())),
        ("Windows called UTF-8", part("Content-Type: text/plain; charset=utf-8", latin)),
        ("UTF-16 of one order", part("Content-Type: text/plain; charset=utf-16", &little)),
        ("UTF-16 of the other", part("Content-Type: text/plain; charset=utf-16", &big)),
        ("UCS-2", part("Content-Type: text/plain; charset=iso-10646-ucs-2", &big)),
        ("a folded calendar", part("Content-Type: text/calendar; charset=utf-8", folded)),
        ("a folded card", part("Content-Type: text/vcard", b"BEGIN:VCARD\r\nNOTE:850101-\r\n\t2382\r\nEND:VCARD\r\n")),
        ("flowed", part("Content-Type: text/plain; format=flowed; delsp=yes", b"Personnr 8501 \r\n01-2382\r\n")),
        ("many blanks", part("Content-Type: text/plain", b"Personnr 850101          2382")),
        ("a dash of Windows", part("Content-Type: text/html", b"850101&#150;2382")),
        ("a dash by name", part("Content-Type: text/html", b"850101&horbar;2382")),
        ("an empty comment", part("Content-Type: text/html", b"850101<!-->-2382<!-- -->")),
        ("a comment of one hyphen", part("Content-Type: text/html", b"850101<!--->-2382<!-- -->")),
        ("a comment with a mark", part("Content-Type: text/html", b"850101<!-- x --!>-2382<!-- -->")),
        ("a style between", part("Content-Type: text/html", b"850101<style>p { color: red }</style>-2382")),
        ("a script between", part("Content-Type: text/html", b"850101<SCRIPT type=x>if (a<b) c</script >-2382")),
        ("a template between", part("Content-Type: text/html", b"850101<template><p>x</p></template>-2382")),
        (
            "deleted text between",
            part(
                "Content-Type: application/zip; name=a.docx",
                &zipped("word/document.xml", b"<w:t>850101</w:t><w:delText xml:space=\"preserve\">x</w:delText><w:instrText>PAGE</w:instrText><w:t>-2382</w:t>"),
            ),
        ),
        ("octets of XML", part("Content-Type: text/xml", b"<a>850<![CDATA[101]]>-2382</a>")),
        ("a Word hyphen", part("Content-Type: application/msword; name=a.doc", b"\xd0\xcf\x11\xe0 850101\x1e2382")),
        ("cells of an old workbook", part("Content-Type: application/vnd.ms-excel", &[b"\xd0\xcf\x11\xe0", &sixteen("Workbook", u16::to_le_bytes)[..]].concat())),
        ("a bookmark", part("Content-Type: application/rtf", b"{\\rtf1 850101{\\*\\bkmkstart x}-2382}")),
        ("cells that are no text", part("Content-Type: application/zip; name=a.xlsb", &excel("xl/worksheets/sheet1.bin"))),
    ] {
        assert_eq!(treatments(&settings, &[EVA], &message), ["pickup"], "{what}");
    }
    for (what, message) in [
        ("plain text", part("Content-Type: text/plain", b"Hej, vi ses 2026-01-01")),
        ("Windows text", part("Content-Type: text/plain", b"M\xf6te p\xe5 m\xe5ndag")),
        ("columns", part("Content-Type: text/plain", b"850101          2383")),
        ("a page", part("Content-Type: text/html", b"<style>p { margin: 850101 }</style><p>2382</p>")),
    ] {
        assert_eq!(treatments(&settings, &[EVA], &message), ["pass"], "{what}");
    }
}

#[test]
fn where_nothing_enforces_tls_it_is_said_that_mail_waits_and_comes_back() {
    let rule = settings("[[rule]]\nname = \"n\"\nprotect = \"tls\"\n");
    let waits = explained(&rule, &[EVA], b"Subject: Hej\r\n\r\n").remove(0);
    assert_eq!(waits["treatment"], "hold");
    let reason = waits["reasons"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    assert!(reason.starts_with("4.7.10 no verified TLS") && reason.contains("comes back"), "{reason}");
}

#[test]
fn a_mail_server_on_this_machine_is_not_said_to_prove_itself() {
    let to = "ove@sundby.example";
    for (host, said) in [
        ("127.0.0.1", "on this machine, where no TLS is asked for"),
        ("[::1]", "on this machine, where no TLS is asked for"),
        ("localhost", "on this machine, where no TLS is asked for"),
        ("192.0.2.7", "verified TLS"),
        ("mail.sundby.example", "verified TLS, off loopback"),
    ] {
        let text = CONFIG.replace("smtp://127.0.0.1:10026", &format!("smtp://{host}:10026"));
        let way = explained(&settings_of(&text), &[to], b"Subject: Hej\r\n\r\n")[0]["way"].as_str().unwrap().to_owned();
        assert!(way.ends_with(&format!(", {said}")), "{host}: {way}");
    }
}

#[test]
fn a_rule_that_may_match_names_what_cannot_be_read() {
    let rule = settings("[[rule]]\nname = \"n\"\nif.any = [{ contains = [\"regex:omega\"] }]\nprotect = \"secure\"\n");
    let broken = part("Content-Type: application/pdf; name=\"plan.pdf\"", b"%PDF-1.4 x");
    let reason = |message: &[u8]| explained(&rule, &[EVA], message)[0]["reasons"][0].as_str().unwrap().to_owned();
    assert_eq!(reason(&broken), "the rule \"n\" may match: plan.pdf cannot be read");
    assert_eq!(reason(b"Subject: Hej\r\n\r\nomega\r\n"), "the rule \"n\" matches");
}

#[test]
fn what_cannot_be_read_switches_no_rule_off_and_lifts_none() {
    let sealed = part("Content-Type: application/zip", b"PK\x03\x04 broken");
    let unless = settings(
        "[[rule]]\nname = \"n\"\nif.not = [{ contains = [\"regex:allmän handling\"] }]\nprotect = \"secure\"\n",
    );
    assert_eq!(treatments(&unless, &[EVA], &sealed), ["pickup"]);
    assert_eq!(treatments(&unless, &[EVA], "Subject: Hej\r\n\r\nallmän handling\r\n".as_bytes()), ["pass"]);
    let lifting = settings(
        "[[rule]]\nname = \"n\"\nprotect = \"secure\"\n[[rule]]\nname = \"g\"\nif.any = [{ contains = [\"regex:allmän handling\"] }]\ngrants = { tag = \"[öppen]\", lifts = [\"n\"] }\n",
    );
    let tagged =
        |mail: &[u8]| String::from_utf8_lossy(mail).replace("Subject: Hej", "Subject: [öppen] Hej").into_bytes();
    assert_eq!(treatments(&lifting, &[EVA], &tagged(&sealed)), ["pickup"]);
    assert_eq!(treatments(&lifting, &[EVA], &tagged("Subject: Hej\r\n\r\nallmän handling\r\n".as_bytes())), ["pass"]);
}
