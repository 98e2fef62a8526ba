//! Faults of the machine: a full disk, keys that are gone, ports that are taken. Nothing is lost, and it is said what to do.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::mail_sink::Sink;
use crate::operator::{id_in, send};
use crate::running::{Gateway, free, wait_until};

/// What a health page answers: status and text.
fn page(gateway: &Gateway, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", gateway.control);
    let output = Command::new("curl").args(["-s", "-m", "10", "-w", "\n%{http_code}", &url]).output();
    let told = String::from_utf8(output.expect("PEER MISSING: curl").stdout).unwrap();
    let (text, status) = told.rsplit_once('\n').unwrap();
    (status.parse().unwrap_or(0), text.to_owned())
}

/// Builds the layer under which a disk is full while a file exists.
fn full_disk(gateway: &mut Gateway, flag: &Path) {
    let shim = gateway.folder.join("full.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/full.c");
    let built = Command::new("gcc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&shim).arg(source).arg("-ldl").status();
    assert!(built.expect("PEER MISSING: gcc").success());
    let settings = [
        ("LD_PRELOAD", shim.display().to_string()),
        ("FULL_ROOT", gateway.data().display().to_string()),
        ("FULL_FLAG", flag.display().to_string()),
    ];
    gateway.environment = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_puts_mail_off_loses_nothing_and_is_over_when_there_is_room() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    let flag = folder.path().join("full");
    full_disk(&mut gateway, &flag);
    gateway.start();
    let first = id_in(&send(gateway.outbound, &["eva@live.example"], "[sikker] Hej"));
    wait_until("notice and receipt", || outside.messages().len() == 1 && !inside.messages().is_empty());
    assert_eq!(page(&gateway, "/readyz").0, 200);

    for round in 1..=2 {
        std::fs::write(&flag, "").unwrap();
        for subject in ["Hej", "[sikker] Hej"] {
            let told = send(gateway.outbound, &["eva@live.example"], subject);
            assert!(told.starts_with("452 4.3.1"), "{told}");
        }
        let (status, reason) = page(&gateway, "/readyz");
        assert_eq!(status, 503);
        assert!(reason.contains("the disk is full"), "{reason}");
        assert_eq!(page(&gateway, "/healthz").0, 200);

        std::fs::remove_file(&flag).unwrap();
        wait_until("readiness", || page(&gateway, "/readyz").0 == 200);
        id_in(&send(gateway.outbound, &["eva@live.example"], "Hej"));
        wait_until("the mail after it", || outside.messages().len() == 1 + round);
    }
    assert_eq!(gateway.ask(&["message", "show", &first])["recipients"][0]["state"], "noticed");
    wait_until("an empty queue", || gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());
    assert_eq!(gateway.ask(&["audit", "verify"])["sound"], true);
}

/// What a start that must fail says. One that does not fail is ended.
fn refused_start(gateway: &Gateway) -> (i32, String) {
    let mut command = Command::new("timeout");
    command
        .args(["-k", "5", "20"])
        .arg(env!("CARGO_BIN_EXE_sealgate"))
        .arg("run")
        .arg("--config")
        .arg(gateway.config());
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code().unwrap_or(0), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_keys_nothing_starts_and_nothing_is_lost() {
    let nobody = free();
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens outside yet: what is promised has to be kept.
    let mut gateway = Gateway::found(folder.path(), nobody, inside.address, "http://127.0.0.1:9");
    gateway.start();
    id_in(&send(gateway.outbound, &["eva@live.example"], "[sikker] Hej"));
    wait_until("the receipt", || !inside.messages().is_empty());
    gateway.kill();
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), config.replace(&nobody.to_string(), &outside.address.to_string())).unwrap();

    let epoch = gateway.data().join("keys/0001.age");
    let (locked, index) = (std::fs::read(&epoch).unwrap(), gateway.data().join("keys/index.age"));
    for (file, name) in [(&epoch, "0001.age"), (&index, "index.age")] {
        let there = std::fs::read(file).unwrap();
        std::fs::remove_file(file).unwrap();
        let (code, told) = refused_start(&gateway);
        assert!(code == 69 && told.contains(name), "{code} {told}");
        assert!(!file.exists(), "no other key was put in its place");
        std::fs::write(file, &there).unwrap();
    }
    std::fs::write(&epoch, &locked[..locked.len() - 1]).unwrap();
    let (code, told) = refused_start(&gateway);
    assert!(code == 69 && told.contains("0001.age"), "{code} {told}");
    std::fs::write(&epoch, &locked).unwrap();

    gateway.start();
    gateway.ask(&["queue", "retry", "--all"]);
    wait_until("the notice", || outside.messages().len() == 1);

    // Gone while it runs: what would be locked now could not be opened after the next start.
    std::fs::remove_file(&epoch).unwrap();
    let told = send(gateway.outbound, &["eva@live.example"], "Hej");
    assert!(told.starts_with("451 4.3.0"), "{told}");
    let (status, reason) = page(&gateway, "/readyz");
    assert!(status == 503 && reason.contains("0001.age"), "{status} {reason}");
    std::fs::write(&epoch, &locked).unwrap();
    assert_eq!(page(&gateway, "/readyz").0, 200);
    id_in(&send(gateway.outbound, &["eva@live.example"], "Hej"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_its_setting() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
    for (taken, setting) in [
        (gateway.outbound, "smtpd.outbound.listen"),
        (gateway.inbound, "smtpd.inbound.listen"),
        (gateway.portal, "portal.listen"),
        (gateway.control, "control.listen"),
    ] {
        let _holder = TcpListener::bind(taken).unwrap();
        let (code, told) = refused_start(&gateway);
        assert_eq!(code, 78, "{told}");
        assert!(told.contains(setting) && told.contains(&taken.to_string()), "{setting}: {told}");
    }
}
