//! Founding a gateway: a configuration that runs on loopback, its keys and certificates; for whoever starts it, or for
//! the systemd unit.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::anyhow;

use crate::fault::told;
use crate::mail::Domain;
use crate::vault::{Identity, random_octets};

/// Who will run a new gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunBy {
    /// Whoever founds it: what is kept lies beside the configuration.
    Founder,
    /// `systemd/sealgate.service`, as a user of its own: what is kept lies in its state directory, and secrets stay the
    /// founder's and are handed over as credentials.
    Systemd,
}

/// The unit's `StateDirectory=`.
const STATE_DIRECTORY: &str = "/var/lib/sealgate";

/// What a new gateway is told.
#[derive(Debug, Clone)]
pub struct Foundation {
    /// Who will run it.
    pub run_by: RunBy,
    /// The organisation's name.
    pub name: String,
    /// Its mail domain.
    pub domain: Domain,
    /// Where its mail server hands over outgoing mail.
    pub outbound: SocketAddr,
    /// Where bounces and answers to notices come in.
    pub inbound: SocketAddr,
    /// Who carries its mail to the internet.
    pub internet: SocketAddr,
    /// Where its own mailboxes live.
    pub mail_server: SocketAddr,
    /// Where the portal listens.
    pub portal: SocketAddr,
    /// Where watchers ask.
    pub control: SocketAddr,
    /// The e-ID's issuer.
    pub issuer: String,
    /// A return mailbox: its id, its name, its address.
    pub department: Option<(String, String, String)>,
}

impl Foundation {
    /// The ports of the interface page, all on loopback.
    #[must_use]
    pub fn usual(name: &str, domain: Domain) -> Self {
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            run_by: RunBy::Founder,
            name: name.to_owned(),
            domain,
            outbound: local(10_025),
            inbound: local(10_024),
            internet: local(2_525),
            mail_server: local(10_026),
            portal: local(8_443),
            control: local(9_625),
            issuer: "http://127.0.0.1:9400".to_owned(),
            department: None,
        }
    }
}

/// Writes a configuration that runs unedited, with its keys and certificates.
///
/// # Errors
/// A file cannot be written, or is there already.
pub fn found(dir: &Path, foundation: &Foundation) -> anyhow::Result<()> {
    let hostname = format!("gw.{}", foundation.domain);
    // The service's user reads the file and the certificate; the secrets beside them are private files.
    let (open, beside) = match foundation.run_by {
        RunBy::Founder => (0o700, Some("data")),
        RunBy::Systemd => (0o755, None),
    };
    let folder = |path: &Path, mode| {
        let made = DirBuilder::new().recursive(true).mode(mode).create(path);
        made.map_err(|fault| anyhow!(told(path, &fault)))
    };
    folder(dir, open)?;
    folder(&dir.join("certs"), open)?;
    for private in ["keys"].into_iter().chain(beside) {
        folder(&dir.join(private), 0o700)?;
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
    write(&dir.join("sealgate.toml"), configuration(foundation).as_bytes(), 0o644)
}

fn write(path: &Path, octets: &[u8], mode: u32) -> anyhow::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|fault| match fault.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("{} is there already, and a key is never written over: move it away first", path.display())
        }
        _ => anyhow!(told(path, &fault)),
    })
}

/// The configuration alone: `sealgate.toml`.
#[must_use]
pub fn configuration(foundation: &Foundation) -> String {
    let hostname = format!("gw.{}", foundation.domain);
    let Foundation { domain, outbound, inbound, internet, mail_server, portal, control, issuer, .. } = foundation;
    let name = toml::Value::String(foundation.name.clone());
    let port = portal.port();
    let department = foundation.department.as_ref().map(|(id, name, address)| {
        let name = toml::Value::String(name.clone());
        format!("[[department]]\nid = \"{id}\"\nname = {{ sv = {name}, da = {name}, en = {name} }}\naddress = \"{address}\"\ndefault = true\n\n")
    });
    let department = department.unwrap_or_default();
    let (data_dir, vault_key, tls_key, op_secret) = match foundation.run_by {
        RunBy::Founder => ("data", "keys/vault.key", "certs/gw.key", "keys/op-secret"),
        RunBy::Systemd => (STATE_DIRECTORY, "credential:vault.key", "credential:tls.key", "credential:op-secret"),
    };
    format!(
        r#"# Written by `sealgate init`. `sealgate config reference` tells every setting.
hostname = "{hostname}"
data_dir = "{data_dir}"

[organisation]
name = {name}
domains = ["{domain}"]
language = "sv"

[tls]
certificate = "certs/gw.pem"
key = "{tls_key}"

[smtpd.outbound]                     # your mail server hands its outgoing mail over here
listen = "{outbound}"

[smtpd.inbound]                      # mail from the internet: for your mailboxes, bounces, answers to notices
listen = "{inbound}"

[delivery]
internet = "smtp://{internet}"   # the host that carries your mail to the internet
mail_server = "smtp://{mail_server}" # where your own mailboxes live

[vault]
identity = "{vault_key}"

[portal]
listen = "{portal}"
url = "https://localhost:{port}"

[control]
listen = "{control}"

[[identity.provider]]                # an e-ID through any OpenID Connect provider or broker
id = "eid"
name = "E-legitimation"
issuer = "{issuer}"
client_id = "sealgate"
client_secret = "{op_secret}"
acr_values = ["http://id.elegnamnden.se/loa/1.0/loa3"]
accept_acr = ["http://id.elegnamnden.se/loa/1.0/loa3"]
claims = {{ number = "https://id.oidc.se/claim/personalIdentityNumber", name = "name", level = "acr" }}
number_type = "se-personnummer"

{department}[[rule]]
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
