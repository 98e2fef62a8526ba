//! What the DNS says of a name (RFC 1034), and whether DNSSEC proves it (RFC 4035).

use std::fmt;
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
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use crate::mail::Domain;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers that are remembered until they grow old.
const REMEMBERED: u64 = 8_192;
/// Records of one answer that are read.
const RECORDS: usize = 100;
/// Aliases that are followed from one name.
const ALIASES: usize = 8;
/// What is said of answers that are not what the zone's owner signed.
const BOGUS: &str = "DNSSEC validation failed";

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
    /// DNSSEC proves the first alias at least: the name that was asked for lies in a signed zone, wherever it leads.
    pub alias_is_proven: bool,
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
    /// `None` if what stands there is no host name.
    pub host: Option<Domain>,
    /// It is the root: the domain takes no mail (RFC 7505).
    pub is_null: bool,
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

/// As in a zone (RFC 6698 §2.2).
impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

impl DnsFault {
    /// Whether somebody answered, and not what the zone's owner signed.
    #[must_use]
    pub fn is_forgery(&self) -> bool {
        matches!(self, Self::Unavailable(_, why) if why == BOGUS)
    }
}

/// What was told of a name, or that there is no such name.
struct Found<T> {
    told: Told<T>,
    exists: bool,
}

impl<T> Found<T> {
    fn if_it_exists(self, name: &Domain) -> Result<Told<T>, DnsFault> {
        if self.exists { Ok(self.told) } else { Err(DnsFault::NoSuchName(name.to_string())) }
    }
}

/// What is wrong with a file of trust anchors, if anything.
#[must_use]
pub fn fault_of_anchors(file: &Path) -> Option<String> {
    anchors(file).err()
}

fn anchors(file: &Path) -> Result<TrustAnchors, String> {
    let anchors = TrustAnchors::from_file(file).map_err(|fault| fault.to_string())?;
    if anchors.is_empty() { Err("no DNSKEY record in it".to_owned()) } else { Ok(anchors) }
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
            let anchors = anchors(file).map_err(|fault| unreadable(&file.display().to_string(), fault))?;
            builder = builder.with_trust_anchor(Arc::new(anchors));
        }
        let resolver = builder.build().map_err(|fault| unreadable("name servers", fault.to_string()))?;
        Ok(Self { resolver })
    }

    /// Whether the name servers pass on what validation needs: the root's own records are proven then.
    pub async fn validates(&self) -> bool {
        let told = self.resolver.lookup(Name::root(), RecordType::NS).await;
        told.is_ok_and(|found| found.answers().iter().any(|record| record.proof == Proof::Secure))
    }

    /// The mail exchangers of a domain.
    ///
    /// # Errors
    /// [`DnsFault`].
    pub async fn exchanges(&self, domain: &Domain) -> Result<Told<Exchange>, DnsFault> {
        let found = self.look_up(domain.as_str(), RecordType::MX, |data| match data {
            RData::MX(mx) => {
                let is_null = mx.exchange.is_root();
                Some(Exchange {
                    preference: mx.preference,
                    host: domain_of(&mx.exchange).filter(|_| !is_null),
                    is_null,
                })
            }
            _ => None,
        });
        found.await?.if_it_exists(domain)
    }

    /// The addresses of a host, those of IPv6 first.
    ///
    /// # Errors
    /// [`DnsFault`] if neither kind can be looked up, or one of them in a signed zone: outside of those, one that fails
    /// beside one that is there counts as none.
    pub async fn addresses(&self, host: &Domain) -> Result<Told<IpAddr>, DnsFault> {
        let (six, four) = tokio::join!(self.of_kind(host, RecordType::AAAA), self.of_kind(host, RecordType::A));
        match (six, four) {
            (Ok(mut six), Ok(four)) => {
                six.is_proven &= four.is_proven;
                six.alias_is_proven |= four.alias_is_proven;
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
        self.look_up(host.as_str(), kind, address_of).await?.if_it_exists(host)
    }

    /// What the certificate of a TLS server at this port is to match.
    ///
    /// # Errors
    /// [`DnsFault::Unavailable`]; a name that does not exist has no records.
    pub async fn tlsa(&self, host: &Domain, port: u16) -> Result<Told<Tlsa>, DnsFault> {
        let name = format!("_{port}._tcp.{host}");
        let found = self.look_up(&name, RecordType::TLSA, |data| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        });
        Ok(found.await?.told)
    }

    /// The texts at a name, each with its strings put together.
    ///
    /// # Errors
    /// [`DnsFault::Unavailable`]; a name that does not exist has no records.
    pub async fn texts(&self, name: &str) -> Result<Told<String>, DnsFault> {
        let found = self.look_up(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(found.await?.told)
    }

    /// The addresses of one kind at a name, which need be no host's; a name that does not exist has none.
    ///
    /// # Errors
    /// [`DnsFault::Unavailable`].
    pub async fn addresses_at(&self, name: &str, ipv6: bool) -> Result<Told<IpAddr>, DnsFault> {
        let kind = if ipv6 { RecordType::AAAA } else { RecordType::A };
        Ok(self.look_up(name, kind, address_of).await?.told)
    }

    /// Whether a name is there, with whatever records (RFC 8020).
    ///
    /// # Errors
    /// [`DnsFault::Unavailable`].
    pub async fn exists(&self, name: &str) -> Result<bool, DnsFault> {
        Ok(self.look_up(name, RecordType::A, address_of).await?.exists)
    }

    /// The names an address points to (RFC 1035 §3.5), without the final dot; an address of which nothing is told has none.
    ///
    /// # Errors
    /// [`DnsFault::Unavailable`].
    pub async fn pointers(&self, address: IpAddr) -> Result<Told<String>, DnsFault> {
        let reverse = Name::from(address).to_ascii();
        let found = self.look_up(&reverse, RecordType::PTR, |data| match data {
            RData::PTR(name) => Some(name.0.to_ascii().trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        });
        Ok(found.await?.told)
    }

    /// Asks; what the validator takes for a forgery is asked again behind its alias, if it has one: the library cannot
    /// judge an alias to a name that has no such records.
    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<T>, DnsFault> {
        let asked =
            Name::from_ascii(name).map_err(|fault| DnsFault::Unavailable(name.to_owned(), fault.to_string()))?;
        let mut asked = asked;
        asked.set_fqdn(true);
        let mut behind = None;
        for _ in 0..ALIASES {
            match self.ask(&asked, kind, &read).await {
                Ok(mut found) => {
                    found.told.alias_is_proven |= behind.is_some();
                    found.told.canonical = found.told.canonical.or(behind);
                    return Ok(found);
                }
                Err(fault) => match self.proven_alias(&asked).await {
                    Some(target) => {
                        behind = domain_of(&target);
                        asked = target;
                    }
                    None => return Err(fault),
                },
            }
        }
        Err(DnsFault::Unavailable(name.to_owned(), "its aliases do not end".to_owned()))
    }

    /// What a name is an alias for, if DNSSEC proves it.
    async fn proven_alias(&self, name: &Name) -> Option<Name> {
        let found = self.resolver.lookup(name.clone(), RecordType::CNAME).await.ok()?;
        let alias = found.answers().iter().find(|record| {
            record.name == *name && record.record_type() == RecordType::CNAME && record.proof == Proof::Secure
        })?;
        target_of(&alias.data)
    }

    async fn ask<T>(
        &self,
        asked: &Name,
        kind: RecordType,
        read: &impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<T>, DnsFault> {
        let name = || asked.to_ascii().trim_end_matches('.').to_owned();
        let unavailable = |fault: &str| DnsFault::Unavailable(name(), fault.to_owned());
        let nothing = |exists, is_proven| {
            let told = Told { records: Vec::new(), is_proven, alias_is_proven: false, canonical: None };
            Found { told, exists }
        };
        let denied = |code: ResponseCode, proof: Option<bool>| match (code, proof) {
            (ResponseCode::NXDomain, Some(is_proven)) => Ok(nothing(false, is_proven)),
            (ResponseCode::NoError, Some(is_proven)) => Ok(nothing(true, is_proven)),
            (ResponseCode::NXDomain | ResponseCode::NoError, None) => {
                Err(unavailable("nobody vouches for its absence"))
            }
            (code, _) => Err(unavailable(&code.to_string())),
        };
        match self.resolver.lookup(asked.clone(), kind).await {
            Ok(found) => {
                let answers = found.answers();
                let aliases = end_of_aliases(asked, kind, answers).ok_or_else(|| unavailable(BOGUS))?;
                let Aliases { end: owner, mut is_proven, first_is_proven: alias_is_proven } = aliases;
                let of_it = || answers.iter().filter(|it| it.name == owner && it.record_type() == kind);
                if of_it().any(|record| record.proof.is_bogus()) {
                    return Err(unavailable(BOGUS));
                }
                let canonical = (owner != *asked).then(|| domain_of(&owner)).flatten();
                if of_it().next().is_none() {
                    // An alias that leads to nothing. Signed, or no alias at all, somebody has taken out what belongs here.
                    let leads_on = owner != *asked && !is_proven;
                    return if leads_on {
                        Ok(nothing(true, false))
                    } else {
                        Err(unavailable("the answer says nothing of it"))
                    };
                }
                is_proven &= of_it().all(|record| record.proof == Proof::Secure);
                let records = of_it().filter_map(|record| read(&record.data)).take(RECORDS).collect();
                Ok(Found { told: Told { records, is_proven, alias_is_proven, canonical }, exists: true })
            }
            Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) => match proof {
                Proof::Secure => denied(response.response_code, Some(true)),
                Proof::Bogus | Proof::Insecure | Proof::Indeterminate => Err(unavailable(BOGUS)),
            },
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => denied(none.response_code, denial(asked, &none)),
            Err(fault) => Err(unavailable(&fault.to_string())),
        }
    }
}

/// Where the aliases of an answer lead from the asked name.
struct Aliases {
    end: Name,
    /// All of them are proven.
    is_proven: bool,
    /// There is a first one, and it is proven.
    first_is_proven: bool,
}

/// Follows the aliases of an answer; `None` if one is forged. Whatever else stands in an answer, it says nothing of what
/// was asked.
fn end_of_aliases(asked: &Name, kind: RecordType, answers: &[Record]) -> Option<Aliases> {
    let (mut owner, mut is_proven, mut first_is_proven) = (asked.clone(), true, false);
    for _ in 0..ALIASES {
        let here = |of: RecordType| answers.iter().find(|it| it.name == owner && it.record_type() == of);
        let (None, Some(alias)) = (here(kind), here(RecordType::CNAME)) else { break };
        if alias.proof.is_bogus() {
            return None;
        }
        is_proven &= alias.proof == Proof::Secure;
        first_is_proven |= owner == *asked && alias.proof == Proof::Secure;
        owner = target_of(&alias.data)?;
    }
    Some(Aliases { end: owner, is_proven, first_is_proven })
}

fn target_of(data: &RData) -> Option<Name> {
    match data {
        RData::CNAME(target) => Some(target.0.clone()),
        _ => None,
    }
}

/// Whether DNSSEC proves that there is nothing (RFC 4035 §5.4), or proves at least that the zone in which there is nothing is
/// not signed. `None`: nobody vouches for it. Denials whose proof fails are faults, not answers.
fn denial(asked: &Name, none: &NoRecords) -> Option<bool> {
    let authorities = none.authorities.as_deref().unwrap_or_default();
    let is_denial =
        |record: &Record| matches!(record.data, RData::DNSSEC(DNSSECRData::NSEC(_) | DNSSECRData::NSEC3(_)));
    if authorities.iter().any(is_denial) && authorities.iter().all(|record| record.proof == Proof::Secure) {
        return Some(true);
    }
    let soa = none.soa.as_deref()?;
    (soa.proof == Proof::Insecure && soa.name.zone_of(asked)).then_some(false)
}

fn address_of(data: &RData) -> Option<IpAddr> {
    match data {
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        RData::A(address) => Some(IpAddr::V4(address.0)),
        _ => None,
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
