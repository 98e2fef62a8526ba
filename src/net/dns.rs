//! What the DNS says of a name (RFC 1034), and whether DNSSEC proves it (RFC 4035).

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::rdata::DNSSECRData;
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::mail::Domain;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers that are remembered until they grow old.
const REMEMBERED: u64 = 8_192;
/// Records of one answer that are read.
const RECORDS: usize = 100;

/// Asks name servers. Every answer is validated from the root, or the given anchor, down. Cheap to clone.
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
}

/// What was told of a name. No records: the name exists, and has none of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<T> {
    /// In the order of the answer, at most a hundred.
    pub records: Vec<T>,
    /// DNSSEC proves all of it, aliases on the way included.
    pub is_proven: bool,
    /// The name at the end of the aliases, if there are any (RFC 1034 §3.6.2).
    pub canonical: Option<Domain>,
}

/// Why nothing was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsFault {
    /// There is no such name (NXDOMAIN, RFC 2308 §2.1).
    #[error("{0} does not exist")]
    NoSuchName(String),
    /// No name server answers, or what it answers is not what the zone's owner signed.
    #[error("{0} cannot be looked up: {1}")]
    Unavailable(String, String),
    /// The name servers or the trust anchor cannot be read.
    #[error("{0}")]
    Settings(String),
}

/// Whom to ask, and whom to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// Recursive name servers; none means those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// A file with DNSKEY records to trust instead of the root's.
    pub trust_anchor: Option<PathBuf>,
}

/// A mail exchanger (RFC 5321 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The lower the better.
    pub preference: u16,
    /// `None` is the root: the domain takes no mail (RFC 7505).
    pub host: Option<Domain>,
}

/// What a TLS server's certificate is to match (RFC 6698 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// 2 is DANE-TA, 3 is DANE-EE.
    pub usage: u8,
    /// 0 is the whole certificate, 1 its public key.
    pub selector: u8,
    /// 0 is the octets themselves, 1 their SHA-256, 2 their SHA-512.
    pub matching: u8,
    /// What is to match.
    pub data: Vec<u8>,
}

impl<T> Told<T> {
    /// The same, told of what an alias stands for.
    fn behind(self, name: &Domain, alias_is_proven: bool) -> Self {
        Self {
            is_proven: self.is_proven && alias_is_proven,
            canonical: self.canonical.or_else(|| Some(name.clone())),
            ..self
        }
    }
}

impl Dns {
    /// Asks by these settings.
    ///
    /// # Errors
    /// [`DnsFault::Settings`].
    pub fn new(settings: &DnsSettings) -> Result<Self, DnsFault> {
        let unreadable = |what: &str, fault: String| DnsFault::Settings(format!("{what}: {fault}"));
        let mut builder = if settings.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|fault| unreadable("/etc/resolv.conf", fault.to_string()))?
        } else {
            let servers = settings.servers.iter().map(|address| name_server(*address)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.validate = true;
        options.timeout = PATIENCE;
        options.cache_size = REMEMBERED;
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = true;
        options.case_randomization = true;
        options.ndots = 0;
        if let Some(file) = &settings.trust_anchor {
            let anchors = TrustAnchors::from_file(Path::new(file))
                .map_err(|fault| unreadable(&file.display().to_string(), fault.to_string()))?;
            builder = builder.with_trust_anchor(Arc::new(anchors));
        }
        let resolver = builder.build().map_err(|fault| unreadable("name servers", fault.to_string()))?;
        Ok(Self { resolver })
    }

    /// The mail exchangers of a domain.
    ///
    /// # Errors
    /// [`DnsFault`].
    pub async fn exchanges(&self, domain: &Domain) -> Result<Told<Exchange>, DnsFault> {
        self.look_up(domain.as_str(), RecordType::MX, |data| match data {
            RData::MX(mx) if mx.exchange.is_root() => Some(Exchange { preference: mx.preference, host: None }),
            // A name that is no host name cannot be called: it is as if it were not there.
            RData::MX(mx) => Some(Exchange { preference: mx.preference, host: Some(domain_of(&mx.exchange)?) }),
            _ => None,
        })
        .await
    }

    /// The addresses of a host, those of IPv6 first.
    ///
    /// # Errors
    /// [`DnsFault`] if neither kind can be looked up, or one of them in a signed zone: outside of those, one that fails
    /// beside one that is there counts as none.
    pub async fn addresses(&self, host: &Domain) -> Result<Told<IpAddr>, DnsFault> {
        let (mut six, mut four) = tokio::join!(self.of_kind(host, RecordType::AAAA), self.of_kind(host, RecordType::A));
        // The validator takes an alias to a name without this kind of address for a forgery: what it stands for is asked.
        match (&six, &four) {
            (Err(_), Ok(Told { canonical: Some(name), is_proven, .. })) => {
                six = self.of_kind(name, RecordType::AAAA).await.map(|told| told.behind(name, *is_proven));
            }
            (Ok(Told { canonical: Some(name), is_proven, .. }), Err(_)) => {
                four = self.of_kind(name, RecordType::A).await.map(|told| told.behind(name, *is_proven));
            }
            (Ok(_) | Err(_), _) => {}
        }
        match (six, four) {
            (Ok(mut six), Ok(four)) => {
                six.is_proven &= four.is_proven;
                six.records.extend(four.records);
                six.canonical = six.canonical.or(four.canonical);
                Ok(six)
            }
            // What one kind says stands where the other fails, but not in a signed zone: whoever can suppress an answer
            // there would take the proof away with it (RFC 7672 §2.1.2).
            (Ok(told), Err(fault)) | (Err(fault), Ok(told)) if told.records.is_empty() || told.is_proven => Err(fault),
            (Ok(told), Err(_)) | (Err(_), Ok(told)) => Ok(told),
            (Err(fault), Err(_)) => Err(fault),
        }
    }

    async fn of_kind(&self, host: &Domain, kind: RecordType) -> Result<Told<IpAddr>, DnsFault> {
        let read = |data: &RData| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        };
        self.look_up(host.as_str(), kind, read).await
    }

    /// What the certificate of a TLS server at this port is to match.
    ///
    /// # Errors
    /// [`DnsFault::Unavailable`]; a name that does not exist has no records.
    pub async fn tlsa(&self, host: &Domain, port: u16) -> Result<Told<Tlsa>, DnsFault> {
        let name = format!("_{port}._tcp.{host}");
        none_if_no_such_name(
            self.look_up(&name, RecordType::TLSA, |data| match data {
                RData::TLSA(tlsa) => Some(Tlsa {
                    usage: tlsa.cert_usage.into(),
                    selector: tlsa.selector.into(),
                    matching: tlsa.matching.into(),
                    data: tlsa.cert_data.clone(),
                }),
                _ => None,
            })
            .await,
        )
    }

    /// The texts at a name, each with its strings put together.
    ///
    /// # Errors
    /// [`DnsFault::Unavailable`]; a name that does not exist has no records.
    pub async fn texts(&self, name: &str) -> Result<Told<String>, DnsFault> {
        none_if_no_such_name(
            self.look_up(name, RecordType::TXT, |data| match data {
                RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
                _ => None,
            })
            .await,
        )
    }

    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Told<T>, DnsFault> {
        let unavailable = |fault: String| DnsFault::Unavailable(name.to_owned(), fault);
        let mut asked = Name::from_ascii(name).map_err(|fault| unavailable(fault.to_string()))?;
        asked.set_fqdn(true);
        let nothing = |is_proven| Told { records: Vec::new(), is_proven, canonical: None };
        match self.resolver.lookup(asked, kind).await {
            Ok(found) => {
                let answers = found.answers();
                let is_about = |record: &&_| is_about(record, kind);
                if answers.iter().filter(is_about).any(|record| record.proof.is_bogus()) {
                    return Err(unavailable("DNSSEC validation failed".to_owned()));
                }
                let is_proven = answers.iter().filter(is_about).all(|record| record.proof == Proof::Secure);
                let has_alias = answers.iter().any(|record| record.record_type() == RecordType::CNAME);
                let canonical = answers.iter().find(|record| record.record_type() == kind).map(|record| &record.name);
                let records: Vec<T> = answers.iter().filter_map(|record| read(&record.data)).take(RECORDS).collect();
                Ok(Told { records, is_proven, canonical: canonical.filter(|_| has_alias).and_then(domain_of) })
            }
            Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) => match (proof, response.response_code) {
                (Proof::Bogus, _) => Err(unavailable("DNSSEC validation failed".to_owned())),
                (_, ResponseCode::NXDomain) => Err(DnsFault::NoSuchName(name.to_owned())),
                (proof, ResponseCode::NoError) => Ok(nothing(proof == Proof::Secure)),
                (_, code) => Err(unavailable(code.to_string())),
            },
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NXDomain => Err(DnsFault::NoSuchName(name.to_owned())),
                ResponseCode::NoError => Ok(nothing(is_denied(&none))),
                code => Err(unavailable(code.to_string())),
            },
            Err(fault) => Err(unavailable(fault.to_string())),
        }
    }
}

/// Whether a record of an answer says something about what was asked: it is of that kind, or an alias on the way.
fn is_about(record: &hickory_resolver::proto::rr::Record, kind: RecordType) -> bool {
    record.record_type() == kind || record.record_type() == RecordType::CNAME
}

/// Whether DNSSEC proves that there is nothing (RFC 4035 §5.4): denials whose proof fails are faults, not answers.
fn is_denied(none: &NoRecords) -> bool {
    let authorities = none.authorities.as_deref().unwrap_or_default();
    let is_denial = |record: &&hickory_resolver::proto::rr::Record| {
        matches!(record.data, RData::DNSSEC(DNSSECRData::NSEC(_) | DNSSECRData::NSEC3(_)))
    };
    authorities.iter().any(|record| is_denial(&record))
        && authorities.iter().all(|record| record.proof == Proof::Secure)
}

fn none_if_no_such_name<T>(told: Result<Told<T>, DnsFault>) -> Result<Told<T>, DnsFault> {
    match told {
        Err(DnsFault::NoSuchName(_)) => Ok(Told { records: Vec::new(), is_proven: false, canonical: None }),
        told => told,
    }
}

fn domain_of(name: &Name) -> Option<Domain> {
    name.to_ascii().parse().ok()
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// Whether a host of somebody else's can live there. One on loopback would be ourselves, or whoever else is on this machine.
#[must_use]
pub fn is_callable(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast())
        && address != IpAddr::from([255, 255, 255, 255])
}

#[cfg(test)]
mod tests {
    use crate::net::dns::*;

    #[test]
    fn nobody_else_lives_on_loopback() {
        for address in
            ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255"]
        {
            assert!(!is_callable(address.parse().unwrap()), "{address}");
        }
        assert!(is_callable("192.0.2.1".parse().unwrap()) && is_callable("2001:db8::1".parse().unwrap()));
    }
}
