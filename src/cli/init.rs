//! `sealgate init`: a configuration that runs unedited on loopback, with its keys and certificates.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::cli::exit::{Exit, Failure};
use crate::cli::print;
use crate::mail::Domain;
use crate::vault::{Identity, random_octets};

pub fn init(dir: &Path, name: &str, domain: &str) -> Result<(), Failure> {
    let domain: Domain =
        domain.parse().map_err(|fault| Failure::new(Exit::Usage, format!("--domain {domain}: {fault}")))?;
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(Failure::new(Exit::Usage, "--name: a name has at least one letter and no control characters"));
    }
    let file = dir.join("sealgate.toml");
    if file.exists() {
        return Err(Failure::new(
            Exit::CannotCreate,
            format!("{} is there already; nothing was changed", file.display()),
        ));
    }
    found(dir, name, &domain).map_err(|fault| Failure::new(Exit::CannotCreate, format!("{fault:#}")))?;
    print::line(&format!("wrote {}", file.display()));
    print::line("next:");
    print::line(&format!("  sealgate check --config {}", file.display()));
    print::line(&format!("  sealgate run --config {}", file.display()));
    Ok(())
}

/// Writes everything; also what the demo begins with.
pub(crate) fn found(dir: &Path, name: &str, domain: &Domain) -> anyhow::Result<()> {
    let hostname = format!("gw.{domain}");
    for folder in ["keys", "certs", "data"] {
        DirBuilder::new().recursive(true).mode(0o700).create(dir.join(folder))?;
    }
    let identity = Identity::generate()?;
    let text = format!(
        "# The vault's identity. Whoever has it can read everything: keep a copy apart from this machine.\n# public key: {}\n{}\n",
        identity.recipient(),
        identity.to_text().as_str()
    );
    write(&dir.join("keys/vault.key"), text.as_bytes(), 0o600)?;
    let mut secret = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, random_octets::<24>()?);
    secret.push('\n');
    write(&dir.join("keys/op-secret"), secret.as_bytes(), 0o600)?;
    let certificate =
        rcgen::generate_simple_self_signed(vec![hostname.clone(), "localhost".to_owned(), "127.0.0.1".to_owned()])?;
    write(&dir.join("certs/gw.pem"), certificate.cert.pem().as_bytes(), 0o644)?;
    write(&dir.join("certs/gw.key"), certificate.signing_key.serialize_pem().as_bytes(), 0o600)?;
    write(&dir.join("sealgate.toml"), configuration(name, domain, &hostname).as_bytes(), 0o644)
}

fn write(path: &Path, octets: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

fn configuration(name: &str, domain: &Domain, hostname: &str) -> String {
    let name = toml::Value::String(name.to_owned());
    format!(
        r#"# Written by `sealgate init`. `sealgate config reference` tells every setting.
hostname = "{hostname}"
data_dir = "data"

[organisation]
name = {name}
domains = ["{domain}"]
language = "sv"

[tls]
certificate = "certs/gw.pem"
key = "certs/gw.key"

[smtpd.outbound]                     # your mail server hands its outgoing mail over here
listen = "127.0.0.1:10025"

[smtpd.inbound]                      # bounces and answers to notices come in here
listen = "127.0.0.1:10024"

[delivery]
internet = "smtp://127.0.0.1:2525"   # the host that carries your mail to the internet
mail_server = "smtp://127.0.0.1:10026" # where your own mailboxes live

[vault]
identity = "keys/vault.key"

[portal]
listen = "127.0.0.1:8443"
url = "https://localhost:8443"

[control]
listen = "127.0.0.1:9625"

[[identity.provider]]                # an e-ID through any OpenID Connect provider or broker
id = "eid"
name = "E-legitimation"
issuer = "http://127.0.0.1:9400"
client_id = "sealgate"
client_secret = "keys/op-secret"
acr_values = ["http://id.elegnamnden.se/loa/1.0/loa3"]
accept_acr = ["http://id.elegnamnden.se/loa/1.0/loa3"]
claims = {{ number = "https://id.oidc.se/claim/personalIdentityNumber", name = "name", level = "acr" }}
number_type = "se-personnummer"

[[rule]]
name = "the sender marked it confidential"
if.any = [
    {{ subject_tag = ["[sikker]", "[säkert]", "[secure]"] }},
    {{ header = "Sensitivity", is = ["Company-Confidential", "Private"] }},
]
if.not = [{{ media_type = "text/calendar" }}]
protect = "secure"

[[rule]]
name = "a personal number must not leave in the clear"
if.any = [{{ contains = ["se-personnummer", "dk-cpr"] }}]
protect = "secure"
"#
    )
}
