//! `[smtpd.outbound]` and `[smtpd.inbound]`: the SMTP doors.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::delivery::Filter;
use crate::fault::{
    At, FilePath, Key, Keys, Network, Place, Reader, Secret, Section, Setting, Size, TextSetting, UnknownWord, Url,
    Value, settings, words,
};
use crate::mail::Domain;

settings! {
    /// The SMTP doors. A door whose section is absent stays shut.
    pub struct Smtpd {
        /// For the organisation's own mail server.
        outbound: Option<Outbound>,
        /// For the internet.
        inbound: Option<Inbound>,
    }

    /// The organisation's mail server hands us its outgoing mail here. The envelope sender must be of `organisation.domains`, or null; what is forwarded for others, see `forwarded`.
    pub struct Outbound {
        /// Address and port to listen at.
        listen: SocketAddr,
        /// Who may connect; everyone else gets 554 instead of the greeting.
        allow: Vec<Network> = ["127.0.0.0/8", "::1"],
        /// What a peer must show besides, for shared clouds, where an address alone proves little.
        require: Option<Require>,
        /// Mail whose envelope sender is not of `organisation.domains`, as where somebody has his mail forwarded: `refuse` (550), or `srs`: it is judged by the rules like all mail, its tags and directives lift nothing, and it leaves with a return path at `hostname`, by which reports find back to its sender for 21 days.
        forwarded: Forwarded = "refuse",
        /// The largest message, announced with SIZE (RFC 1870).
        max_message_size: Size = "100 MiB",
        /// Recipients of one message; the rest is answered with 452 and tried again by the peer.
        max_recipients: NonZeroU32 = 1000,
        /// Sessions at the same time, in all.
        max_sessions: NonZeroU32 = 1000,
        /// Sessions at the same time from one address.
        max_sessions_per_client: NonZeroU32 = 100,
        /// How long a session may say nothing (RFC 5321 §4.5.3.2).
        idle_timeout: Duration = "5m",
        /// How long a session may last.
        session_timeout: Duration = "1h",
    }

    /// The internet, or the spam filter before us, hands us mail here: for `organisation.domains`, and for the service addresses at `hostname`.
    pub struct Inbound {
        /// Address and port to listen at.
        listen: SocketAddr,
        /// Peers whose PROXY v2 header or XCLIENT we believe. What they bring without a word of its client is not checked (SPF, DKIM, DMARC), nor is what comes over loopback: a filter before us has to tell. It must not pass commands of its clients on, XCLIENT least of all.
        trusted_peers: Vec<Network>,
        /// They all begin with a PROXY protocol header, version 2 (`send-proxy-v2` of haproxy); who does not is turned away.
        proxy_protocol: bool = false,
        /// How long a client waits for the greeting; who speaks meanwhile is no mail server and is turned away. Not for trusted peers. `1ms` is as good as none.
        greeting_pause: Duration = "2s",
        /// New sessions of one client in a minute, a client being an IPv4 address or an IPv6 /64; then it hears 421. 0 is no limit. Trusted peers are counted as the client they speak for, or not at all.
        max_connections_per_minute: u32 = 60,
        /// Messages of one client in an hour, likewise.
        max_messages_per_hour: u32 = 0,
        /// Recipients and messages refused for good to one client in an hour, likewise.
        max_refusals_per_hour: u32 = 300,
        /// Mail that DMARC says is not from whom it says, and whose domain wants that refused: `reject` (550), or `mark`, for a mail server that decides by `Authentication-Results`.
        dmarc: DmarcWish = "reject",
        /// Domains of mailing lists and forwarders whose ARC seal (RFC 8617) is believed: what they pass on is not refused for DMARC.
        trusted_arc_sealers: Vec<Domain>,
        /// Marks that people read in a subject as a sign of safety, such as `[sikker]`: they are taken off the subject of whatever comes in, sealed or not, for anybody can write them.
        subject_marks: Vec<String>,
        /// Who knows which recipients are there. `callout` asks `delivery.mail_server`, which must refuse at RCPT whom it does not know; `list:FILE` is a file with an address or `@domain` a line, read again on reload; `ldap` asks a directory.
        recipients: RecipientSource = "callout",
        /// The directory that `recipients = "ldap"` asks.
        ldap: Option<Ldap>,
        /// The largest message, announced with SIZE (RFC 1870).
        max_message_size: Size = "100 MiB",
        /// Recipients of one message; the rest is answered with 452 and tried again by the peer.
        max_recipients: NonZeroU32 = 100,
        /// Sessions at the same time, in all.
        max_sessions: NonZeroU32 = 1000,
        /// Sessions at the same time from one address.
        max_sessions_per_client: NonZeroU32 = 20,
        /// How long a session may say nothing (RFC 5321 §4.5.3.2).
        idle_timeout: Duration = "5m",
        /// How long a session may last.
        session_timeout: Duration = "30m",
    }

    /// A directory of our recipients, asked by LDAP (RFC 4511): one search for each.
    pub struct Ldap {
        /// `ldap://HOST:PORT` or `ldaps://HOST:PORT`. Off loopback it must be ldaps, or `start_tls`, unless `delivery.inner_plaintext = true`.
        url: Url,
        /// TLS by StartTLS, verified.
        start_tls: bool = false,
        /// Who to bind as; without, nobody.
        bind_dn: Option<String>,
        /// The password: a file nobody else may read, or `credential:NAME`.
        password: Option<Secret>,
        /// Below which entry to search.
        base: String,
        /// What to search for (RFC 4515); `{address}` stands for the recipient's address, escaped. A recipient is there if an entry is found.
        filter: Filter = "(|(mail={address})(proxyAddresses=smtp:{address}))",
        /// Certificates in PEM to believe besides the system's.
        ca_file: Option<FilePath>,
        /// How long each step may take.
        timeout: Duration = "10s",
    }

    /// What a peer at the outbound door must show besides its address. All that is given must hold.
    pub struct Require {
        /// A header field with a value only our mail server adds, `Name: value`. It is removed before the message goes on.
        header: Option<HeaderField>,
        /// A client certificate, this one, in PEM.
        client_certificate: Option<FilePath>,
        /// A login by AUTH: a file with one line, `name:password`, or `credential:NAME`.
        auth: Option<Secret>,
    }
}

words! {
    /// `smtpd.outbound.forwarded`: what is done with mail that our mail server forwards for others.
    pub enum Forwarded {
        /// It is refused.
        Refuse = "refuse",
        /// It leaves with a return path of ours (Sender Rewriting Scheme).
        Srs = "srs",
    }
}

words! {
    /// `smtpd.inbound.dmarc`: what is done where the author's domain wants mail refused.
    pub enum DmarcWish {
        /// It is refused.
        Reject = "reject",
        /// It is taken, and marked.
        Mark = "mark",
    }
}

/// Who knows our recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientSource {
    /// `callout`: the mail server.
    Callout,
    /// `list:FILE`.
    List(FilePath),
    /// `ldap`: a directory.
    Ldap,
}

impl Setting for RecipientSource {
    fn form() -> String {
        "\"callout\", \"list:FILE\" with a path relative to this file, or \"ldap\"".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let written = String::read(value, at)?;
        match (written.as_str(), written.strip_prefix("list:").filter(|file| !file.is_empty())) {
            ("callout", _) => Some(Self::Callout),
            ("ldap", _) => Some(Self::Ldap),
            (_, Some(file)) => Some(Self::List(FilePath { written: file.to_owned(), path: at.folder().join(file) })),
            (_, None) => {
                at.fault(format!("not a way to know recipients: {written:?}"), format!("write {}", Self::form()));
                None
            }
        }
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(match self {
            Self::Callout => "callout".to_owned(),
            Self::List(file) => format!("list:{}", file.written),
            Self::Ldap => "ldap".to_owned(),
        }))
    }
}

impl TextSetting for Filter {
    const FORM: &'static str = "an LDAP filter with {address} in it, such as \"(mail={address})\"";
}

/// One header field with its value, which may be a secret: it prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderField {
    /// The field's name.
    pub name: String,
    /// Its value, without white space around it.
    pub value: String,
}

/// The text is no header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a header field with a name, a colon and a value")]
pub struct HeaderFieldFault;

impl FromStr for HeaderField {
    type Err = HeaderFieldFault;

    /// RFC 5322 §2.2: a name of printable characters without the colon, then the value, here in one line.
    fn from_str(text: &str) -> Result<Self, HeaderFieldFault> {
        let (name, value) = text.split_once(':').ok_or(HeaderFieldFault)?;
        let value = value.trim();
        let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        if !fits || value.is_empty() || value.chars().any(char::is_control) {
            return Err(HeaderFieldFault);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl fmt::Display for HeaderField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

impl fmt::Debug for HeaderField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TextSetting for HeaderField {
    const FORM: &'static str = "a header field such as \"X-Our-Tenant: value\"";
    const SECRET: bool = true;
}
