//! The checks of S/MIME certificates, ours and theirs, and of whom we believe about them: what `run` would find.

use std::path::Path;

use crate::cms::{
    Certificate, Check, Crl, Imported, ImportedKey, PathFault, PolicyDemand, Pool, Purpose, Seconds, Sources,
    Strictness,
};
use crate::config::files::{World, read_file, read_secret};
use crate::config::sections::{KeySource, ListPlace, OwnCertificate, Trust, Tunnel, TunnelTrust};
use crate::config::settings::Settings;
use crate::fault::Reader;
use crate::net::Time;

const DAY: Seconds = 86_400;
/// How long before its end a certificate is worth a warning, in seconds: an authority takes weeks.
const SOON: Seconds = 90 * DAY;

/// Reports what is wrong with the certificates that are named.
pub(crate) fn check_certificates(settings: &Settings, world: &World, reader: &mut Reader) {
    let roots = settings.trust.as_ref().map(|trust| check_trust(trust, world, reader));
    let mut ours: Vec<(&OwnCertificate, Certificate)> = Vec::new();
    for own in &settings.own_certificate {
        if let Some(leaf) = check_own(own, roots.as_ref(), world, reader) {
            ours.push((own, leaf));
        }
    }
    check_generations(&ours, world.now, reader);
    for tunnel in &settings.tunnel {
        check_tunnel(tunnel, roots.as_ref(), world, reader);
    }
}

fn check_trust(trust: &Trust, world: &World, reader: &mut Reader) -> Pool {
    let mut roots = Pool::default();
    let key = trust.place.of("roots");
    for (place, file) in trust.roots.iter().enumerate() {
        let key = format!("{key}[{place}]");
        for root in certificates(&file.path, &file.written, &key, reader).unwrap_or_default() {
            let ends = root.validity().map_or(Seconds::MIN, |(_, until)| until);
            if ends <= world.now.unix_seconds() {
                let hint = "ask the authority for its new root, and take the old one out";
                reader.warning(
                    &key,
                    format!("a root expired at {}: {} in {}", day(ends), root.subject(), file.written),
                    hint,
                );
            } else if !may_be_root(&root) {
                let hint =
                    "name the certificate of the authority; a partner's goes to [[tunnel]] with `trust = \"pinned\"`";
                reader.fault(
                    &key,
                    format!("not an authority's certificate: {} in {}", root.subject(), file.written),
                    hint,
                );
            }
            roots.add(root);
        }
    }
    let key = trust.place.of("crls");
    for (number, place) in trust.crls.iter().enumerate() {
        let ListPlace::File(file) = place else { continue };
        let key = format!("{key}[{number}]");
        let Some(octets) = read_file(&file.path, &file.written, &key, reader) else { continue };
        let lists: Vec<Crl> = Imported::read(&octets, None).map(|read| read.lists).unwrap_or_default();
        if lists.is_empty() {
            reader.fault(&key, format!("no revocation list: {place}"), "write a list in PEM or DER");
        }
        let grace = Seconds::try_from(trust.grace.as_secs()).unwrap_or(Seconds::MAX);
        for list in lists.iter().filter(|list| !list.is_fresh(world.now.unix_seconds(), grace)) {
            let due = list.next_update().map_or_else(|| "at no time".to_owned(), |due| format!("at {}", day(due)));
            let hint = "fetch the newer one; a list that is too old tells nothing";
            reader.warning(&key, format!("the next list was due {due}: {} in {place}", list.issuer()), hint);
        }
    }
    roots
}

/// The oldest roots are of version 1, and say nothing.
fn may_be_root(root: &Certificate) -> bool {
    let says_nothing = root.extensions().is_ok_and(|extensions| extensions.is_empty());
    root.basic_constraints().ok().flatten().map_or(says_nothing, |constraints| constraints.ca)
}

/// What is wrong with a path, where the certificate itself needs no number.
fn told(fault: &PathFault) -> String {
    if fault.certificate == 0 { fault.flaw.to_string() } else { fault.to_string() }
}

/// What is wrong with a certificate of ours; the certificate if it can be read.
fn check_own(own: &OwnCertificate, roots: Option<&Pool>, world: &World, reader: &mut Reader) -> Option<Certificate> {
    let (certificate_key, key_key) = (own.place.of("certificate"), own.place.of("key"));
    let written = &own.certificate.written;
    let chain = certificates(&own.certificate.path, written, &certificate_key, reader);
    let key = private_key(&own.key, &key_key, world, reader);
    let chain = chain?;
    let leaf = chain.first()?.clone();
    if let Some(key) = &key
        && !key.belongs_to(&leaf)
    {
        let hint = match chain.iter().any(|other| key.belongs_to(other)) {
            true => "the leaf must be first in its file, then its chain",
            false => "name the key the certificate was made for",
        };
        reader.fault(&key_key, format!("the key does not belong to {written}"), hint);
    }
    check_names(own, &leaf, &certificate_key, reader);
    if !check_ends(&leaf, written, &certificate_key, world.now, reader) {
        return Some(leaf);
    }
    // An old generation only opens what was sealed to it; this one is to be believed by others.
    if let Some(roots) = roots
        && let Err(fault) = judge(&leaf, &chain, roots, Purpose::Sign, world.now)
            .and_then(|()| judge(&leaf, &chain, roots, Purpose::Seal, world.now))
    {
        let hint = "partners check it the same way: put the certificates of its authorities behind it in the file, and their root into trust.roots";
        reader.warning(&certificate_key, format!("no valid path for mail: {}: {written}", told(&fault)), hint);
    }
    Some(leaf)
}

fn check_names(own: &OwnCertificate, leaf: &Certificate, key: &str, reader: &mut Reader) {
    let named = leaf.addresses();
    let scope = &own.r#for.0;
    // The public certificates of Denmark name no address at all, and serve.
    let fits = named.is_empty()
        || named.iter().any(|address| scope.is_domain() && address.domain() == scope.domain())
        || named.iter().any(|address| address.to_string().eq_ignore_ascii_case(&scope.to_string()));
    if !fits {
        let hint = "get one that names it, or none: programs of others compare it with who a mail is from";
        reader.warning(
            key,
            format!("the certificate names other addresses than {scope}: {}", own.certificate.written),
            hint,
        );
    }
}

/// Whether it is valid now; a fault or a warning if not, or not for long.
fn check_ends(leaf: &Certificate, written: &str, key: &str, now: Time, reader: &mut Reader) -> bool {
    let Ok((begins, ends)) = leaf.validity() else {
        reader.fault(key, format!("not a certificate: {written}"), "write a file in PEM, the leaf first");
        return false;
    };
    let now = now.unix_seconds();
    if begins > now {
        let hint = "check the clock of this machine; the generation before serves until then";
        reader.warning(key, format!("the certificate is not valid before {}: {written}", day(begins)), hint);
        return false;
    }
    ends > now
}

/// Of each domain and mailbox one generation at least is valid, and the next is there in time.
fn check_generations(ours: &[(&OwnCertificate, Certificate)], now: Time, reader: &mut Reader) {
    let mut told = Vec::new();
    for (own, _) in ours {
        let scope = &own.r#for.0;
        if told.contains(&scope) {
            continue;
        }
        told.push(scope);
        let of_scope = || ours.iter().filter(|(other, _)| other.r#for.0 == *scope);
        let validity = |leaf: &Certificate| leaf.validity().unwrap_or((Seconds::MAX, Seconds::MIN));
        let newest = of_scope().max_by_key(|(_, leaf)| validity(leaf).1);
        let Some((own, leaf)) = newest else { continue };
        let (key, written, (_, ends)) = (own.place.of("certificate"), &own.certificate.written, validity(leaf));
        let left = ends.saturating_sub(now.unix_seconds());
        let renew = format!(
            "`sealgate certificate request --for {scope}` makes a key and a request; keep the old entry beside the new one"
        );
        if left <= 0 {
            reader.fault(&key, format!("the certificate expired at {}: {written}", day(ends)), renew);
        } else if left < SOON {
            let urgency = [7, 30, 90].into_iter().find(|days| left < days * DAY).unwrap_or(90);
            let cause = format!("the certificate expires within {urgency} days, at {}: {written}", day(ends));
            reader.warning(&key, cause, renew);
        }
        let is_valid_now =
            |leaf: &Certificate| validity(leaf).0 <= now.unix_seconds() && now.unix_seconds() < validity(leaf).1;
        if left > 0 && !of_scope().any(|(_, leaf)| is_valid_now(leaf)) && !reader.is_faulty(&key) {
            let hint = "keep the generation before until this one begins";
            reader.fault(&key, format!("no certificate of {scope} is valid now"), hint);
        }
    }
}

fn check_tunnel(tunnel: &Tunnel, roots: Option<&Pool>, world: &World, reader: &mut Reader) {
    let key = tunnel.place.of("certificate");
    let written = &tunnel.certificate.written;
    let Some(all) = certificates(&tunnel.certificate.path, written, &key, reader) else { return };
    let leaves: Vec<&Certificate> = leaves(&all);
    let judged = |leaf: &Certificate| match (tunnel.trust, roots) {
        (TunnelTrust::Pinned, _) => {
            let alone = [leaf.clone()].into_iter().collect();
            judge(leaf, &[], &alone, Purpose::Seal, world.now)
        }
        (TunnelTrust::Roots, Some(roots)) => judge(leaf, &all, roots, Purpose::Seal, world.now),
        // Told already.
        (TunnelTrust::Roots, None) => Ok(()),
    };
    let faults: Vec<PathFault> = leaves.iter().filter_map(|leaf| judged(leaf).err()).collect();
    if let Some(fault) = faults.first().filter(|_| faults.len() == leaves.len()) {
        let hint = "ask the partner for its certificate in use; until then mail to this domain waits";
        reader.warning(&key, format!("cannot be sealed to: {}: {written}", told(fault)), hint);
        return;
    }
    let ends = leaves.iter().filter_map(|leaf| leaf.validity().ok()).map(|(_, until)| until).max();
    if let Some(ends) = ends.filter(|ends| ends.saturating_sub(world.now.unix_seconds()) < 30 * DAY) {
        let hint = "ask the partner for the next one, and put both into the file";
        reader.warning(&key, format!("the certificate expires at {}: {written}", day(ends)), hint);
    }
}

/// Those that are no authority's; all, if there is none else.
pub(crate) fn leaves(all: &[Certificate]) -> Vec<&Certificate> {
    let is_leaf = |certificate: &&Certificate| !certificate.basic_constraints().ok().flatten().is_some_and(|it| it.ca);
    let leaves: Vec<&Certificate> = all.iter().filter(is_leaf).collect();
    if leaves.is_empty() { all.iter().collect() } else { leaves }
}

fn judge(
    leaf: &Certificate,
    chain: &[Certificate],
    roots: &Pool,
    purpose: Purpose,
    now: Time,
) -> Result<(), PathFault> {
    let others: Pool = chain.iter().cloned().collect();
    let check =
        Check { at: now.unix_seconds(), purpose, strictness: Strictness::Strict, policies: PolicyDemand::default() };
    Sources { anchors: roots, others: &others }.find(leaf, &check, &mut |_| Ok(())).map(|_| ())
}

/// The certificates of a file, one at least, or a fault.
fn certificates(path: &Path, written: &str, key: &str, reader: &mut Reader) -> Option<Vec<Certificate>> {
    let octets = read_file(path, written, key, reader)?;
    match Imported::read(&octets, None) {
        Ok(read) if !read.certificates.is_empty() => Some(read.certificates),
        Ok(_) => {
            let hint = "write a file in PEM that has BEGIN CERTIFICATE lines";
            reader.fault(key, format!("no certificate in it: {written}"), hint);
            None
        }
        Err(fault) => {
            reader.fault(key, format!("{fault}: {written}"), "write a file in PEM that has BEGIN CERTIFICATE lines");
            None
        }
    }
}

fn private_key(source: &KeySource, key: &str, world: &World, reader: &mut Reader) -> Option<ImportedKey> {
    // That a device is not served yet is told elsewhere.
    let KeySource::Secret(secret) = source else { return None };
    let octets = read_secret(secret, key, world, reader)?;
    match Imported::read(&octets, None) {
        Ok(mut read) if read.keys.len() == 1 => read.keys.pop(),
        Ok(read) if read.keys.is_empty() => {
            reader.fault(
                key,
                format!("no private key in it: {secret}"),
                "write a file in PEM that has a BEGIN PRIVATE KEY line",
            );
            None
        }
        Ok(_) => {
            reader.fault(
                key,
                format!("several private keys in it: {secret}"),
                "give each a file, and an entry with its certificate",
            );
            None
        }
        Err(fault) => {
            let hint = "take the lock off by `openssl pkcs12 -noenc -nocerts -in FILE` or `openssl pkey -in FILE`, and give the file mode 0600, or hand it over as a credential";
            reader.fault(key, format!("{fault}: {secret}"), hint);
            None
        }
    }
}

fn day(seconds: Seconds) -> String {
    Time::from_unix_ms(seconds.saturating_mul(1000)).rfc3339()
}
