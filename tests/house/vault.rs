//! The lock against the age format's own vectors and the stock `age` program.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use sealgate::net::Time;
use sealgate::vault::{
    Epoch, Identity, LockedBlob, Locker, Passphrase, Plain, UnlockingStream, Vault, VaultError, open_with,
    open_with_passphrase, unarmor,
};

struct Vector {
    name: String,
    expect: String,
    payload_sha256: Option<String>,
    identities: Vec<String>,
    passphrases: Vec<String>,
    armored: bool,
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
    Vector {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        expect: all("expect").remove(0),
        payload_sha256: all("payload").pop(),
        passphrases: all("passphrase"),
        armored: !all("armored").is_empty(),
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

/// Every one of them: X25519, hybrid, passphrase, armor, header and payload.
#[test]
fn the_age_formats_own_vectors_hold() {
    let Some(folder) = corpus("age/testkit") else { return };
    let mut held = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let vector = read(&entry.unwrap().path());
        let name = &vector.name;
        match (vector.expect.as_str(), open(&vector)) {
            ("success", Ok(plain)) => assert_eq!(Some(sha256(&plain)), vector.payload_sha256, "{name}"),
            ("no match", Err(VaultError::NoIdentityMatches))
            | ("HMAC failure" | "payload failure", Err(VaultError::TagIsWrong(_)))
            | ("header failure", Err(VaultError::NotAnAgeFile(_)))
            | ("armor failure", Err(VaultError::NotArmored(_))) => {}
            (expected, outcome) => panic!("{name}: expected {expected}, got {outcome:?}"),
        }
        held += 1;
    }
    println!("age vectors: {held} held");
    assert!(held >= 143, "{held}");
}

fn open(vector: &Vector) -> Result<Plain, VaultError> {
    let file = if vector.armored { unarmor(&vector.file)? } else { vector.file.clone() };
    if let Some(passphrase) = vector.passphrases.first() {
        return open_with_passphrase(&Passphrase::new(passphrase.clone()), &file);
    }
    let identities: Vec<Identity> = vector.identities.iter().map(|text| text.parse().unwrap()).collect();
    open_with(&identities, &file)
}

/// What a vault reads bit by bit ends as it ends at once, and nothing comes out that was not checked.
#[test]
fn the_age_formats_vectors_end_alike_bit_by_bit() {
    let Some(folder) = corpus("age/testkit") else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let vector = read(&entry.unwrap().path());
        if vector.armored || !vector.passphrases.is_empty() {
            continue;
        }
        let identities: Vec<Identity> = vector.identities.iter().map(|text| text.parse().unwrap()).collect();
        for piece in [1, 1000, 65_552, 1 << 20] {
            let mut out = Vec::new();
            let outcome = unlock_in_pieces(&identities, &vector.file, piece, &mut out);
            let name = &vector.name;
            assert_eq!(outcome.is_ok(), vector.expect == "success", "{name} by {piece}: {outcome:?}");
            match outcome {
                Ok(()) => assert_eq!(Some(sha256(&out)), vector.payload_sha256, "{name} by {piece}"),
                Err(_) => assert_eq!(out.len() % (64 * 1024), 0, "{name} by {piece}"),
            }
        }
    }
}

fn unlock_in_pieces(identities: &[Identity], file: &[u8], piece: usize, out: &mut Vec<u8>) -> Result<(), VaultError> {
    let mut reading = UnlockingStream::new(identities.to_vec());
    for part in file.chunks(piece) {
        reading.write(part, out)?;
    }
    reading.finish(out)
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

/// Lengths on both sides of a chunk's end, where counting goes wrong.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![0_usize..300, 65_530_usize..65_545, 131_065_usize..131_080]
}

fn plain_of(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_locked_in_any_pieces_opens_in_any_pieces(
        length in lengths(), in_piece in 1_usize..140_000, out_piece in 1_usize..140_000, hybrid: bool,
    ) {
        let own = if hybrid { Identity::generate_hybrid() } else { Identity::generate() }.unwrap();
        let plain = plain_of(length);
        let mut stream = Locker::new(Epoch::from_number(1), vec![own.recipient()]).stream().unwrap();
        let mut locked = Vec::new();
        for piece in plain.chunks(in_piece) {
            locked.extend(stream.write(piece).unwrap().into_bytes());
        }
        let (last, digest) = stream.finish().unwrap();
        locked.extend(last.into_bytes());
        prop_assert_eq!(digest.length, locked.len() as u64);
        prop_assert_eq!(digest.sha256, LockedBlob::from_stored(locked.clone()).digest());
        prop_assert_eq!(&*open_with(std::slice::from_ref(&own), &locked).unwrap(), &plain[..]);
        let mut out = Vec::new();
        unlock_in_pieces(&[own], &locked, out_piece, &mut out).unwrap();
        prop_assert_eq!(out, plain);
    }

    #[test]
    fn any_changed_or_missing_octet_is_found_and_nothing_changed_comes_out(
        length in lengths(), place: prop::sample::Index, bit in 0_u8..8, piece in 1_usize..70_000,
    ) {
        let own = [Identity::generate().unwrap()];
        let plain = plain_of(length);
        let locker = Locker::new(Epoch::from_number(1), vec![own[0].recipient()]);
        let locked = locker.lock(&plain).unwrap().into_bytes();
        let place = place.index(locked.len());
        let mut changed = locked.clone();
        changed[place] ^= 1 << bit;
        for broken in [&changed[..], &locked[..place], &[&locked[..], &[bit]].concat()] {
            prop_assert!(open_with(&own, broken).is_err());
            let mut out = Vec::new();
            prop_assert!(unlock_in_pieces(&own, broken, piece, &mut out).is_err());
            prop_assert!(plain.starts_with(&out));
        }
    }

    #[test]
    fn whatever_stands_in_a_header_reading_it_ends(text in "(-> (X25519|mlkem768x25519|scrypt)( [A-Za-z0-9+/]{0,50}){0,3}\n[A-Za-z0-9+/]{0,66}\n){0,4}(--- [A-Za-z0-9+/]{42,44}\n)?.{0,40}") {
        let own = [Identity::generate().unwrap(), Identity::generate_hybrid().unwrap()];
        let file = format!("age-encryption.org/v1\n{text}");
        prop_assert!(open_with(&own, file.as_bytes()).is_err());
        prop_assert!(unlock_in_pieces(&own, file.as_bytes(), 7, &mut Vec::new()).is_err());
        prop_assert!(unarmor(text.as_bytes()).is_err());
    }
}

/// Prints what locking costs, for `docs/decisions/0002-age-format.md`:
/// `cargo test --release --test house -- --ignored --nocapture what_locking_costs`.
#[test]
#[ignore = "a measurement"]
fn what_locking_costs() {
    let small = vec![b'a'; 4096];
    for (kind, identity) in
        [("X25519", Identity::generate().unwrap()), ("hybrid", Identity::generate_hybrid().unwrap())]
    {
        let locker = Locker::new(Epoch::from_number(1), vec![identity.recipient()]);
        let locked = locker.lock(&small).unwrap();
        let own = [identity];
        println!(
            "{kind}: lock 4 KiB {:.1} µs, unlock {:.1} µs, {} octets more",
            micros(|| drop(locker.lock(&small).unwrap())),
            micros(|| drop(open_with(&own, locked.as_bytes()).unwrap())),
            locked.as_bytes().len() - small.len()
        );
    }
    let own = [Identity::generate().unwrap()];
    let locker = Locker::new(Epoch::from_number(1), vec![own[0].recipient()]);
    for mebibytes in [1, 64] {
        let big = vec![b'a'; mebibytes << 20];
        let gigabytes = |micros: f64| big.len() as f64 / micros / 1000.0;
        let locked = locker.lock(&big).unwrap();
        println!(
            "{mebibytes} MiB: lock {:.2} GB/s, lock by 16 KiB and hash {:.2} GB/s, unlock {:.2} GB/s, by 16 KiB {:.2} GB/s",
            gigabytes(micros(|| drop(locker.lock(&big).unwrap()))),
            gigabytes(micros(|| lock_by_pieces(&locker, &big))),
            gigabytes(micros(|| drop(open_with(&own, locked.as_bytes()).unwrap()))),
            gigabytes(micros(|| unlock_by_pieces(&own, locked.as_bytes()))),
        );
    }
}

fn lock_by_pieces(locker: &Locker, plain: &[u8]) {
    let mut stream = locker.stream().unwrap();
    for piece in plain.chunks(16 * 1024) {
        drop(stream.write(piece).unwrap());
    }
    drop(stream.finish().unwrap());
}

fn unlock_by_pieces(own: &[Identity], locked: &[u8]) {
    let mut reading = UnlockingStream::new(own.to_vec());
    let mut out = Vec::new();
    for piece in locked.chunks(16 * 1024) {
        reading.write(piece, &mut out).unwrap();
        out.clear();
    }
    reading.finish(&mut out).unwrap();
}

/// The best of several rounds, each long enough to be measured.
fn micros(mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..20 {
        let (start, mut times) = (std::time::Instant::now(), 0_u32);
        while start.elapsed() < std::time::Duration::from_millis(50) {
            work();
            times += 1;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(times));
    }
    best
}
