//! The checks of the files and ports a configuration names: what `run` would find.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;
use zeroize::Zeroizing;

use crate::config::check::{RESOLVER, listeners};
use crate::config::sections::{Delivery, Dkim, Inbound, RecipientSource, Tls, Validation};
use crate::config::settings::Settings;
use crate::delivery::{Login, RecipientList, fault_of_kept_key};
use crate::fault::{FilePath, Reader, Secret, why};
use crate::net::{Time, fault_of_anchors, fault_of_system_resolvers};
use crate::sender_auth::SigningKey;
use crate::vault::Identity;

/// How far the files and ports named in a configuration are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Not at all: `sealgate check --no-files`.
    Skip,
    /// Files are opened; ports are left alone, since the daemon may be running. For `check` and on reload.
    Check,
    /// As at start: credentials must be there, and the ports free.
    Start,
}

/// Octets of a certificate or key file we are willing to read.
const FILE_OCTETS: u64 = 1 << 20;
/// Files of keys made here that are looked at.
const KEYS: usize = 10_000;
/// How long before its end a certificate is worth a warning, in seconds.
const SOON: i64 = 30 * 86_400;

/// What the checks need to know of the world.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// How far to look.
    pub files: Files,
    /// What time it is.
    pub now: Time,
    /// systemd's folder of credentials.
    pub credentials: Option<PathBuf>,
}

/// Reports what is wrong with the files and ports that are named.
pub(crate) fn check_files(settings: &Settings, world: &World, reader: &mut Reader) {
    if world.files == Files::Skip {
        return;
    }
    if let Some(tls) = &settings.tls {
        check_tls(settings, tls, world, reader);
    }
    check_identity(&settings.vault.identity, world, reader);
    for dkim in &settings.dkim {
        check_dkim(dkim, world, reader);
    }
    for provider in &settings.identity.provider {
        // A secret that cannot be read is reported; what it says, only the provider can judge.
        let _ = read_secret(&provider.client_secret, &provider.place.of("client_secret"), world, reader);
    }
    check_delivery(&settings.delivery, world, reader);
    if let Some(inbound) = &settings.smtpd.inbound {
        check_recipients(inbound, world, reader);
    }
    for expect in &settings.expect {
        if !expect.message.path.is_file() {
            not_found(&expect.message.written, &expect.place.of("message"), reader);
        }
    }
    if !reader.is_faulty("data_dir") {
        check_folder(&settings.data_dir.path, reader);
        // At start each is opened anyhow, and told of.
        if world.files == Files::Check {
            check_kept_keys(settings, world, reader);
        }
    }
    check_socket(&settings.control_socket(), reader);
    if world.files == Files::Start {
        check_ports(settings, reader);
    }
}

fn check_recipients(inbound: &Inbound, world: &World, reader: &mut Reader) {
    let key = inbound.place.of("recipients");
    if let RecipientSource::List(list) = &inbound.recipients {
        if !list.path.is_file() {
            not_found(&list.written, &key, reader);
        } else if let Err(faults) = RecipientList::read(&list.path) {
            for fault in faults {
                let hint = "write an address or @domain a line, and # before what is neither";
                reader.fault(&key, format!("{}: {fault}", list.written), hint);
            }
        }
    }
    let Some(ldap) = &inbound.ldap else { return };
    if let Some(password) = &ldap.password {
        let _ = read_secret(password, &ldap.place.of("password"), world, reader);
    }
    if let Some(roots) = &ldap.ca_file {
        let key = ldap.place.of("ca_file");
        if let Some(pem) = read_file(&roots.path, &roots.written, &key, reader) {
            let _ = certificates(&pem, &roots.written, &key, reader);
        }
    }
}

/// The control socket replaces nothing but one that a crash left behind.
fn check_socket(path: &Path, reader: &mut Reader) {
    if fs::symlink_metadata(path).is_ok_and(|there| !there.file_type().is_socket()) {
        reader.fault(
            "control.socket",
            format!("{} is a file, and no socket", path.display()),
            "name a path where nothing stands",
        );
    }
}

fn check_delivery(delivery: &Delivery, world: &World, reader: &mut Reader) {
    let of_routes = delivery.route.iter();
    let roots = of_routes.clone().map(|route| (route.place.of("ca_file"), &route.ca_file));
    for (key, roots) in roots.chain([("delivery.ca_file".to_owned(), &delivery.ca_file)]) {
        if let Some(roots) = roots
            && let Some(pem) = read_file(&roots.path, &roots.written, &key, reader)
        {
            let _ = certificates(&pem, &roots.written, &key, reader);
        }
    }
    if let Some(anchors) = &delivery.dns_trust_anchor {
        check_anchors(anchors, reader);
    }
    let asks_the_system = delivery.dnssec == Validation::Resolver && delivery.dns.is_empty();
    if asks_the_system
        && !reader.is_faulty("delivery.dns")
        && let Some(fault) = fault_of_system_resolvers()
    {
        reader.fault("delivery.dnssec", fault, RESOLVER);
    }
    let logins = of_routes.map(|route| (route.place.of("login"), &route.login));
    for (key, login) in logins.chain([("delivery.login".to_owned(), &delivery.login)]) {
        if let Some(login) = login
            && let Some(octets) = read_secret(login, &key, world, reader)
            && let Err(fault) = std::str::from_utf8(&octets).unwrap_or_default().parse::<Login>()
        {
            reader.fault(&key, format!("{fault}: {login}"), "write both in the file, with a colon between them");
        }
    }
}

fn check_anchors(anchors: &FilePath, reader: &mut Reader) {
    let key = "delivery.dns_trust_anchor";
    if !anchors.path.is_file() {
        not_found(&anchors.written, key, reader);
    } else if let Some(fault) = fault_of_anchors(&anchors.path) {
        let hint =
            "write DNSKEY records, a line each, as `. IN DNSKEY 257 3 13 …`, or leave it out for the internet's root";
        reader.fault(key, format!("{}: {fault}", anchors.written), hint);
    }
}

fn check_tls(settings: &Settings, tls: &Tls, world: &World, reader: &mut Reader) {
    let (certificate_key, key_key) = (tls.place.of("certificate"), tls.place.of("key"));
    let written = &tls.certificate.written;
    let chain = read_file(&tls.certificate.path, written, &certificate_key, reader)
        .and_then(|pem| certificates(&pem, written, &certificate_key, reader));
    let key = read_secret(&tls.key, &key_key, world, reader).and_then(|pem| {
        let key = PrivateKeyDer::from_pem_slice(&pem);
        key.inspect_err(|_| {
            let hint = "write a file in PEM that has a BEGIN PRIVATE KEY line";
            reader.fault(&key_key, format!("no private key in PEM: {}", tls.key), hint);
        })
        .ok()
    });
    if let Some(leaf) = chain.as_ref().and_then(|chain| chain.first()) {
        check_validity(leaf, written, &certificate_key, world.now, reader);
        check_names(leaf, settings, &certificate_key, reader);
    }
    let (Some(chain), Some(key)) = (chain, key) else { return };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let hint = "name the key the certificate was made for; the leaf must be first in its file";
            reader.fault(&key_key, format!("the key does not belong to {written}"), hint);
        }
        Err(fault) => {
            reader.fault(&key_key, format!("the key cannot be used: {fault}"), "use an RSA, ECDSA or Ed25519 key")
        }
    }
}

fn check_validity(leaf: &CertificateDer<'_>, written: &str, key: &str, now: Time, reader: &mut Reader) {
    let Ok((_, certificate)) = parse_x509_certificate(leaf) else {
        reader.fault(key, format!("not a certificate: {written}"), "write a file in PEM, the leaf first");
        return;
    };
    let validity = certificate.validity();
    let day = |seconds: i64| Time::from_unix_ms(seconds.saturating_mul(1000)).rfc3339();
    let (begins, ends) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if ends <= now.unix_seconds() {
        reader.fault(
            key,
            format!("the certificate expired at {}: {written}", day(ends)),
            "put the renewed one in its place",
        );
    } else if begins > now.unix_seconds() {
        let hint = "check the clock of this machine, or use the certificate that is valid now";
        reader.fault(key, format!("the certificate is not valid before {}: {written}", day(begins)), hint);
    } else if ends - now.unix_seconds() < SOON {
        let hint = "renew it; `systemctl reload sealgate` takes up the new one";
        reader.warning(key, format!("the certificate expires at {}: {written}", day(ends)), hint);
    }
}

/// Whether browsers that follow a notice's link will find the name in the certificate. Behind a reverse proxy they see
/// another one.
fn check_names(leaf: &CertificateDer<'_>, settings: &Settings, key: &str, reader: &mut Reader) {
    let Some(portal) = settings.portal.as_ref().filter(|portal| portal.trusted_proxies.is_empty()) else { return };
    let host = portal.url.host.to_string();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    let (Ok(name), Ok(certificate)) = (name, ParsedCertificate::try_from(leaf)) else { return };
    if verify_server_name(&certificate, &name).is_err() {
        let hint = "get one that has the name in portal.url, or write portal.trusted_proxies if a proxy answers there";
        reader.warning(key, format!("the certificate is not for {host}, the portal's name"), hint);
    }
}

/// The certificates of a PEM file, one at least, or a fault.
fn certificates(pem: &[u8], written: &str, key: &str, reader: &mut Reader) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = read.ok().filter(|found| !found.is_empty());
    if found.is_none() {
        let hint = "write a file in PEM that has BEGIN CERTIFICATE lines";
        reader.fault(key, format!("no certificate in PEM: {written}"), hint);
    }
    found
}

fn check_identity(identity: &Secret, world: &World, reader: &mut Reader) {
    let key = "vault.identity";
    let Some(octets) = read_secret(identity, key, world, reader) else { return };
    let text = std::str::from_utf8(&octets).unwrap_or_default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    if lines.peek().is_none() || lines.any(|line| line.parse::<Identity>().is_err()) {
        let hint = "write one with `sealgate init` or `age-keygen`";
        reader.fault(key, format!("no age identity in it: {identity}"), hint);
    }
}

fn check_dkim(dkim: &Dkim, world: &World, reader: &mut Reader) {
    let key = dkim.place.of("key");
    let Some(pem) = read_secret(&dkim.key, &key, world, reader) else { return };
    if let Err(fault) = SigningKey::from_pem(&pem) {
        let hint = "make one with `openssl genrsa 2048` or `openssl genpkey -algorithm ed25519`";
        reader.fault(&key, format!("{fault}: {}", dkim.key), hint);
    }
}

/// The keys that `key rotate dkim` made. One that is damaged stops no start: what it signed leaves unsigned.
fn check_kept_keys(settings: &Settings, world: &World, reader: &mut Reader) {
    let Some(own) = identities(&settings.vault.identity, world) else { return };
    let Ok(files) = fs::read_dir(settings.data_dir.path.join("dkim")) else { return };
    let mut paths: Vec<PathBuf> = files.take(KEYS).filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it == "age")) {
        let is_plain = fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
        let fault = if is_plain { fault_of_kept_key(path, &own) } else { Some("not a file".to_owned()) };
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let domain = name.split_once("._domainkey.").map_or("D", |(_, domain)| domain);
        if let Some(fault) = fault {
            reader.warning(
                "data_dir",
                format!("a DKIM key cannot be read and signs nothing: {}: {fault}", path.display()),
                format!(
                    "put the file back from a backup and restart, or make another key by `sealgate key rotate dkim --domain {domain}`"
                ),
            );
        }
    }
}

/// The vault's identities, as far as they can be read here; what is wrong with them is told elsewhere.
fn identities(identity: &Secret, world: &World) -> Option<Vec<Identity>> {
    let path = identity.path(world.credentials.as_deref())?;
    let is_small = fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= FILE_OCTETS);
    let octets = Zeroizing::new(is_small.then(|| fs::read(&path).ok())??);
    let lines = std::str::from_utf8(&octets).ok()?.lines().map(str::trim);
    let own: Vec<Identity> = lines.filter_map(|line| line.parse().ok()).collect();
    (!own.is_empty()).then_some(own)
}

/// The octets of a secret that nobody else may read, or a fault.
pub(crate) fn read_secret(
    secret: &Secret,
    key: &str,
    world: &World,
    reader: &mut Reader,
) -> Option<Zeroizing<Vec<u8>>> {
    let Some(path) = secret.path(world.credentials.as_deref()) else {
        let cause = format!("systemd handed us no credentials: {secret}");
        if world.files == Files::Start {
            reader.fault(key, cause, "start by systemd with LoadCredential=, or name a file");
        } else {
            reader.warning(key, cause, "it can be looked at only inside the service");
        }
        return None;
    };
    let written = secret.to_string();
    let octets = Zeroizing::new(read_file(&path, &written, key, reader)?);
    // systemd guards its credentials itself; what it shows us has its own mode (systemd.exec(5)).
    let Secret::File(_) = secret else { return Some(octets) };
    let mode = fs::metadata(&path).map_or(0, |found| found.permissions().mode());
    if mode & 0o077 != 0 {
        let hint = format!("chmod 600 {}", path.display());
        reader.fault(key, format!("others can read it (mode {:04o}): {written}", mode & 0o7777), hint);
        return None;
    }
    Some(octets)
}

pub(crate) fn read_file(path: &Path, written: &str, key: &str, reader: &mut Reader) -> Option<Vec<u8>> {
    if reader.is_faulty(key) {
        return None;
    }
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= FILE_OCTETS => {}
        Ok(found) if found.is_file() => {
            reader.fault(key, format!("larger than 1 MiB: {written}"), "this is not the file meant");
            return None;
        }
        Ok(_) => {
            reader.fault(key, format!("not a file: {written}"), "name the file itself");
            return None;
        }
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            match written.strip_prefix("credential:") {
                Some(name) => reader.fault(
                    key,
                    format!("no credential of this name was handed over: {written}"),
                    format!("write LoadCredential={name}:PATH in the unit"),
                ),
                None => not_found(written, key, reader),
            }
            return None;
        }
        Err(fault) => {
            unreadable(written, &fault, key, reader);
            return None;
        }
    }
    fs::read(path).inspect_err(|fault| unreadable(written, fault, key, reader)).ok()
}

fn not_found(written: &str, key: &str, reader: &mut Reader) {
    reader.fault(key, format!("file not found: {written}"), format!("paths are relative to {}", reader.file_name()));
}

fn unreadable(written: &str, fault: &io::Error, key: &str, reader: &mut Reader) {
    let hint = "the user the daemon runs as must be able to read it";
    reader.fault(key, format!("cannot be read: {written}: {}", why(fault)), hint);
}

/// `data_dir`, or the folder it will be made in, must take files of ours.
fn check_folder(path: &Path, reader: &mut Reader) {
    let standing = path.ancestors().map(|each| if each.as_os_str().is_empty() { Path::new(".") } else { each });
    let Some(folder) = standing.into_iter().find(|each| each.exists()) else { return };
    let hint = "make it, and give it to the user the daemon runs as; systemd does both by StateDirectory=";
    if !folder.is_dir() {
        reader.fault("data_dir", format!("not a folder: {}", folder.display()), hint);
        return;
    }
    let trial = folder.join(format!(".sealgate-check-{}", std::process::id()));
    match fs::OpenOptions::new().write(true).create_new(true).open(&trial) {
        Ok(_) => {
            // Nothing is in it; if it stays behind, it does no harm.
            let _ = fs::remove_file(&trial);
        }
        Err(fault) => {
            reader.fault("data_dir", format!("nothing can be written in {}: {}", folder.display(), fault.kind()), hint);
        }
    }
}

fn check_ports(settings: &Settings, reader: &mut Reader) {
    for (key, address) in listeners(settings) {
        let Err(fault) = TcpListener::bind(address) else { continue };
        let (cause, hint) = match fault.kind() {
            io::ErrorKind::AddrInUse => (
                "is in use".to_owned(),
                format!("`ss -ltnp sport = :{}` shows by whom; another sealgate?", address.port()),
            ),
            io::ErrorKind::PermissionDenied => (
                "may not be listened at".to_owned(),
                "ports below 1024 need AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit".to_owned(),
            ),
            io::ErrorKind::AddrNotAvailable => {
                ("is no address of this machine".to_owned(), "`ip address` shows which it has".to_owned())
            }
            kind => (format!("cannot be listened at: {kind}"), String::new()),
        };
        reader.fault(key, format!("{address} {cause}"), hint);
    }
}
