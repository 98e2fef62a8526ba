//! The lock against the age format's own vectors and the stock `age` program.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sealgate::net::Time;
use sealgate::vault::{Identity, Vault, VaultError, open_with};

struct Vector {
    name: String,
    expect: String,
    payload_sha256: Option<String>,
    identities: Vec<String>,
    needs_more_than_x25519: bool,
    file: Vec<u8>,
}

fn corpus(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus").join(folder);
    if !path.exists() {
        println!("CORPUS MISSING: {folder} is not beside the project; its cases do not run");
        return None;
    }
    Some(path)
}

fn read(path: &std::path::Path) -> Vector {
    let octets = fs::read(path).unwrap();
    let end = octets.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let head = String::from_utf8(octets[..end].to_vec()).unwrap();
    let all = |key: &str| -> Vec<String> {
        head.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).map(str::to_owned).collect()
    };
    let pq = all("identity").iter().any(|identity| identity.starts_with("AGE-SECRET-KEY-PQ"));
    Vector {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        expect: all("expect").remove(0),
        payload_sha256: all("payload").pop(),
        needs_more_than_x25519: pq || !all("passphrase").is_empty() || !all("armored").is_empty(),
        identities: all("identity"),
        file: match all("compressed").first().map(String::as_str) {
            None => octets[end + 2..].to_vec(),
            Some("zlib") => inflate(&octets[end + 2..]),
            Some(other) => panic!("unknown compression {other}"),
        },
    }
}

fn inflate(octets: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(octets).read_to_end(&mut out).unwrap();
    out
}

/// The vectors of the X25519 recipient, the header and the payload. What sealgate never writes and never reads
/// (passphrases, armor, the hybrid recipient) is counted and left out.
#[test]
fn the_age_formats_own_vectors_hold() {
    let Some(folder) = corpus("age/testkit") else { return };
    let (mut held, mut left_out) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let vector = read(&entry.unwrap().path());
        if vector.needs_more_than_x25519 {
            left_out += 1;
            continue;
        }
        let identities: Vec<Identity> = vector.identities.iter().map(|text| text.parse().unwrap()).collect();
        let opened = open_with(&identities, &vector.file);
        let name = &vector.name;
        match vector.expect.as_str() {
            "success" => {
                let plain = opened.unwrap_or_else(|fault| panic!("{name}: {fault}"));
                assert_eq!(Some(sha256(&plain)), vector.payload_sha256, "{name}");
            }
            "no match" => assert!(matches!(opened, Err(VaultError::NoIdentityMatches)), "{name}: {opened:?}"),
            "HMAC failure" => assert!(matches!(opened, Err(VaultError::TagIsWrong(_))), "{name}: {opened:?}"),
            "header failure" => assert!(
                matches!(opened, Err(VaultError::NotAnAgeFile(_) | VaultError::NoIdentityMatches)),
                "{name}: {opened:?}"
            ),
            "payload failure" => assert!(opened.is_err(), "{name}: {opened:?}"),
            other => panic!("{name}: unknown expectation {other}"),
        }
        held += 1;
    }
    println!("age vectors: {held} held, {left_out} left out");
    assert!(held >= 60, "{held}");
}

fn sha256(octets: &[u8]) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
    hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A message locked today opens with the stock program and the recovery key alone, when sealgate is long gone.
#[test]
fn the_stock_age_program_opens_a_message_with_the_recovery_key() {
    let folder = tempfile::tempdir().unwrap();
    let recovery = Identity::generate().unwrap();
    let own = [Identity::generate().unwrap()];
    let keys = folder.path().join("keys");
    let vault = Vault::open(&keys, &own, &[recovery.recipient()], Time::from_unix_ms(0)).unwrap();
    let plain = "Ärendet gäller …\r\n".repeat(20_000);
    let locked = vault.locker().lock(plain.as_bytes()).unwrap();

    let recovery_file = folder.path().join("recovery.key");
    fs::write(&recovery_file, recovery.to_text().as_bytes()).unwrap();
    let epoch_identity = age(&["-d", "-i", recovery_file.to_str().unwrap()], &fs::read(keys.join("0001.age")).unwrap());
    let epoch_file = folder.path().join("epoch.key");
    fs::write(&epoch_file, epoch_identity).unwrap();
    let opened = age(&["-d", "-i", epoch_file.to_str().unwrap()], locked.as_bytes());
    assert_eq!(opened, plain.as_bytes());
}

#[test]
fn what_the_stock_age_program_locked_opens_here() {
    let own = Identity::generate().unwrap();
    let recipient = own.recipient().to_string();
    for plain in [Vec::new(), b"kort".to_vec(), vec![7; 200_000]] {
        let locked = age(&["-r", &recipient], &plain);
        assert_eq!(&*open_with(std::slice::from_ref(&own), &locked).unwrap(), &plain[..]);
    }
}

fn age(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = Command::new("age")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("PEER MISSING: age; tests/run installs it");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}
