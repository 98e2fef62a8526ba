//! The command line as a newcomer meets it: what it prints, refuses and reads.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn sealgate(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealgate"));
    command.args(words).stdin(Stdio::null());
    command
}

fn run(words: &[&str]) -> (Option<i32>, String, String) {
    told(sealgate(words).output().unwrap())
}

fn told(output: Output) -> (Option<i32>, String, String) {
    let text = |octets| String::from_utf8(octets).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A fresh configuration in this folder; its path.
fn founded(folder: &Path) -> String {
    let (code, _, told) = run(&["init", folder.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{told}");
    folder.join("sealgate.toml").to_str().unwrap().to_owned()
}

#[test]
fn a_reader_that_goes_away_ends_every_printing_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let config = founded(folder.path());
    for words in [
        &["completions", "bash"][..],
        &["completions", "zsh"],
        &["man"],
        &["config", "reference"],
        &["config", "reference", "--json"],
        &["config", "show", "--config", &config],
        &["check", "--config", &config],
        &["queue", "list", "--json", "--config", &config],
        &["--help"],
        &["--version"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = sealgate(words).stdout(writer).output().unwrap();
        let (code, _, said) = told(output);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{words:?}");
    }
}

/// A file that takes no more is not a reader that has seen enough.
#[test]
fn what_cannot_be_printed_is_said() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (code, _, said) = told(sealgate(&["man"]).stdout(full).output().unwrap());
    assert_eq!(code, Some(74), "{said}");
    assert!(said.starts_with("standard output: ") && !said.contains("os error"), "{said}");
}

#[test]
fn the_manual_is_printed_as_man_takes_it_or_written_page_by_page() {
    let (code, pages, said) = run(&["man"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let mut man = Command::new("man");
    man.args(["-l", "-"]).env("MANWIDTH", "100").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = man.stderr(Stdio::piped()).spawn().expect("PEER MISSING: man-db; tests/run installs it");
    let mut stdin = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(pages.as_bytes()));
    let (code, shown, faults) = told(child.wait_with_output().unwrap());
    writing.join().unwrap().unwrap();
    assert_eq!((code, faults.as_str()), (Some(0), ""));
    for told in ["A secure-mail gateway", "sealgate-queue-retry", "Give up on a message", "sealgate-audit-verify"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(!shown.contains("not served yet"), "{shown}");

    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", folder.path().to_str().unwrap()]), (Some(0), String::new(), String::new()));
    let page = std::fs::read_to_string(folder.path().join("sealgate-queue-retry.1")).unwrap();
    assert!(page.contains("Attempt now"), "{page}");
}

/// A Message-ID stands in the mail that a sender asks about; what was delivered has left the queue.
#[test]
fn what_is_not_in_the_queue_is_looked_for_by_its_trace() {
    let folder = tempfile::tempdir().unwrap();
    let config = founded(folder.path());
    let daemonless = run(&["audit", "verify", "--config", &config]);
    assert_eq!(daemonless.0, Some(0), "{}", daemonless.2);
    let unknown = "01JD0000000000000000000000";
    for verb in [&["show"][..], &["retry"], &["hold"], &["release"], &["drop", "--notify"]] {
        let words = |id| [&["queue"][..], verb, &[id, "--config", &config]].concat();
        let (code, _, said) = run(&words(unknown));
        assert_eq!(code, Some(65), "{said}");
        assert!(said.contains(&format!("`sealgate message trace {unknown}`")), "{said}");
        let (code, _, said) = run(&words("<1@mail.sundby.example>"));
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("`sealgate message trace` takes a Message-ID"), "{said}");
    }
}

#[test]
fn what_is_to_be_attempted_now_is_said_in_one_of_three_ways() {
    let folder = tempfile::tempdir().unwrap();
    let config = founded(folder.path());
    for words in [&["queue", "retry"][..], &["queue", "retry", "--all", "--to", "live.example"]] {
        let (code, _, said) = run(words);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("queue retry <ID|--all|--to <DOMAIN>>"), "{said}");
    }
    let (code, said, _) = run(&["queue", "retry", "--to", "nowhere.example", "--config", &config]);
    assert_eq!(code, Some(0));
    assert!(said.contains("goes to nowhere.example; `sealgate queue list`"), "{said}");
}

#[test]
fn what_another_process_keeps_open_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = founded(folder.path());
    let rows = folder.path().join("data/rows.redb");
    let other = sealgate::store::Embedded::open(&rows).unwrap();
    let (code, _, said) = run(&["audit", "head", "--config", &config]);
    drop(other);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains(&rows.display().to_string()) && said.contains("another sealgate runs"), "{said}");
}

#[test]
fn json_is_honoured_or_refused() {
    let (code, reference, _) = run(&["config", "reference", "--json"]);
    assert_eq!(code, Some(0));
    let reference: Vec<serde_json::Value> = serde_json::from_str(&reference).unwrap();
    let of = |section: &str, setting: &str| {
        let found = reference.iter().find(|each| {
            each["section"].as_str().unwrap_or_default() == section && each["setting"].as_str() == Some(setting)
        });
        found.unwrap_or_else(|| panic!("{section} {setting}")).clone()
    };
    assert_eq!(of("", "hostname")["required"], true);
    assert_eq!(of("[organisation]", "domains")["required"], true);
    assert_eq!(of("[[identity.provider]]", "accept_acr")["required"], true);
    assert_eq!(of("[[identity.provider]]", "acr_values")["required"], false);
    assert_eq!(of("[portal]", "retention")["default"], "\"30d\"");
    for words in [&["demo", "--json"][..], &["completions", "bash", "--json"], &["run", "--json"]] {
        let (code, said, fault) = run(words);
        assert_eq!((code, said.as_str()), (Some(64), ""), "{words:?}");
        assert!(fault.contains("--json is for what lists or shows something"), "{fault}");
    }
}

#[test]
fn what_init_writes_is_found_sound_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let config = founded(folder.path());
    let (code, said, fault) = run(&["check", "--config", &config]);
    assert_eq!((code, said, fault.as_str()), (Some(0), format!("{config} is sound\n"), ""));
    // A key that is there is never written over.
    std::fs::remove_file(&config).unwrap();
    let (code, _, fault) = run(&["init", folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(73));
    assert!(fault.contains("keys/vault.key is there already") && !fault.contains("os error"), "{fault}");
}

#[test]
fn a_demo_writes_into_no_folder_of_somebody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let config = founded(folder.path());
    let before = std::fs::read(&config).unwrap();
    let (code, said, fault) = run(&["demo", "--once", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (Some(73), ""));
    assert!(fault.contains("neither empty nor made by a demo"), "{fault}");
    assert_eq!(std::fs::read(&config).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "sealgate.toml, keys, certs, data");
}

#[test]
fn a_message_is_explained_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let config = founded(folder.path());
    let words = ["explain", "--json", "--from", "anna@sundby.example", "--to", "eva@live.example", "--config", &config];
    let mut child = sealgate(&words).arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Subject: [sikker] Hej\r\n\r\nHej\r\n").unwrap();
    let (code, said, _) = told(child.wait_with_output().unwrap());
    assert_eq!(code, Some(0));
    let explained: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(explained["recipients"][0]["treatment"], "pickup");
    let missing = folder.path().join("none.eml");
    let (code, _, fault) = run(&[&words[..], &[missing.to_str().unwrap()]].concat());
    assert_eq!(code, Some(65));
    assert!(fault.ends_with("none.eml: no such file or folder\n"), "{fault}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let config = founded(folder.path());
    let keys = folder.path().join("exported");
    let export = ["key", "export", keys.to_str().unwrap(), "--config", &config];
    assert_eq!(run(&export).0, Some(0));
    let (code, _, fault) = run(&export);
    assert_eq!(code, Some(73));
    assert!(fault.contains("is there already and is not written over") && !fault.contains("os error"), "{fault}");

    let (code, _, fault) = run(&["check", "--config", "/nonexist.toml"]);
    assert_eq!(code, Some(78));
    assert!(fault.starts_with("/nonexist.toml: cannot be read: no such file or folder\n  hint: name one"), "{fault}");

    let mut text = std::fs::read(&config).unwrap();
    let third = text.iter().enumerate().filter(|(_, octet)| **octet == b'\n').nth(1).unwrap().0;
    text.insert(third + 1, 0xe5);
    std::fs::write(&config, text).unwrap();
    let (_, _, fault) = run(&["check", "--config", &config]);
    assert!(fault.starts_with(&format!("{config}:3: not UTF-8\n")), "{fault}");
}
