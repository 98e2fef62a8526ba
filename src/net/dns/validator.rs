//! Answers validated here, from the root or another trust anchor down (RFC 4035 §5).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::DNSSECRData;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::time::timeout;

use crate::net::dns::chain::{ALIASES, Chain, target_of};
use crate::net::dns::settings::{DnsSettings, anchors};
use crate::net::dns::told::{BOGUS, DnsFault, Found, PATIENCE, Told, domain_of};

/// Answers that are remembered until they grow old.
const REMEMBERED: u64 = 8_192;
/// How long it takes at most to find out whether anybody answers: every name server is asked twice.
const ENOUGH: Duration = Duration::from_secs(15);

/// Asks recursive name servers, wherever they are, and believes none of them.
pub(crate) struct Validator {
    resolver: TokioResolver,
    /// The same, remembering nothing: for who wants to know whether anybody answers now.
    forgetful: TokioResolver,
}

impl Validator {
    pub(crate) fn new(settings: &DnsSettings) -> Result<Self, DnsFault> {
        Ok(Self { resolver: resolver(settings, REMEMBERED)?, forgetful: resolver(settings, 0)? })
    }

    /// Whether the name servers pass on what validation needs: the root's own records are proven then.
    pub(crate) async fn validates(&self) -> bool {
        proves_the_root(&self.resolver).await
    }

    /// Whether they do now, whatever they told before.
    pub(crate) async fn serves(&self) -> bool {
        timeout(ENOUGH, proves_the_root(&self.forgetful)).await.unwrap_or(false)
    }

    /// Asks; what the validator takes for a forgery is asked again behind its alias, if it has one: the library cannot
    /// judge an alias to a name that has no such records.
    pub(crate) async fn look_up(&self, name: &Name, kind: RecordType) -> Result<Found<RData>, DnsFault> {
        let (mut asked, mut behind) = (name.clone(), None);
        for _ in 0..ALIASES {
            match self.ask(&asked, kind).await {
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
        Err(DnsFault::unavailable(name, "its aliases do not end"))
    }

    /// What a name is an alias for, if DNSSEC proves it.
    async fn proven_alias(&self, name: &Name) -> Option<Name> {
        let found = self.resolver.lookup(name.clone(), RecordType::CNAME).await.ok()?;
        let alias = found.answers().iter().find(|record| {
            record.name == *name && record.record_type() == RecordType::CNAME && record.proof == Proof::Secure
        })?;
        target_of(&alias.data)
    }

    async fn ask(&self, asked: &Name, kind: RecordType) -> Result<Found<RData>, DnsFault> {
        let unavailable = |fault: &str| DnsFault::unavailable(asked, fault);
        let denied = |code: ResponseCode, proof: Option<bool>| match (code, proof) {
            (ResponseCode::NXDomain, Some(is_proven)) => Ok(nothing(false, is_proven)),
            (ResponseCode::NoError, Some(is_proven)) => Ok(nothing(true, is_proven)),
            (ResponseCode::NXDomain | ResponseCode::NoError, None) => {
                Err(unavailable("nobody vouches for its absence"))
            }
            (code, _) => Err(unavailable(&code.to_string())),
        };
        match self.resolver.lookup(asked.clone(), kind).await {
            Ok(found) => judged(asked, kind, &found),
            Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) => match proof {
                Proof::Secure => denied(response.response_code, Some(true)),
                Proof::Bogus | Proof::Insecure | Proof::Indeterminate => Err(unavailable(BOGUS)),
            },
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => denied(none.response_code, denial(asked, &none)),
            Err(fault) => Err(unavailable(&fault.to_string())),
        }
    }
}

fn resolver(settings: &DnsSettings, remembered: u64) -> Result<TokioResolver, DnsFault> {
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
    options.cache_size = remembered;
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    options.case_randomization = true;
    options.ndots = 0;
    if let Some(file) = &settings.trust_anchor {
        let anchors = anchors(file).map_err(|fault| unreadable(&file.display().to_string(), fault))?;
        builder = builder.with_trust_anchor(Arc::new(anchors));
    }
    builder.build().map_err(|fault| unreadable("name servers", fault.to_string()))
}

/// Whether the root's own records come, and are proven.
async fn proves_the_root(resolver: &TokioResolver) -> bool {
    let told = resolver.lookup(Name::root(), RecordType::NS).await;
    told.is_ok_and(|found| found.answers().iter().any(|record| record.proof == Proof::Secure))
}

fn nothing(exists: bool, is_proven: bool) -> Found<RData> {
    Found { told: Told { records: Vec::new(), is_proven, alias_is_proven: false, canonical: None }, exists }
}

/// What an answer says of the asked name, and what of it is proven.
fn judged(asked: &Name, kind: RecordType, found: &Lookup) -> Result<Found<RData>, DnsFault> {
    let answers = found.answers();
    let Chain { aliases, end } = Chain::of(asked, kind, answers);
    let records = || answers.iter().filter(|it| it.name == end && it.record_type() == kind);
    if aliases.iter().copied().chain(records()).any(|record| record.proof.is_bogus()) {
        return Err(DnsFault::unavailable(asked, BOGUS));
    }
    let aliases_are_proven = aliases.iter().all(|alias| alias.proof == Proof::Secure);
    if records().next().is_none() {
        // An alias that leads to nothing. Signed, or no alias at all, somebody has taken out what belongs here.
        let leads_on = end != *asked && !aliases_are_proven;
        return if leads_on {
            Ok(nothing(true, false))
        } else {
            Err(DnsFault::unavailable(asked, "the answer says nothing of it"))
        };
    }
    let told = Told {
        records: records().map(|record| record.data.clone()).collect(),
        is_proven: aliases_are_proven && records().all(|record| record.proof == Proof::Secure),
        alias_is_proven: aliases.first().is_some_and(|alias| alias.proof == Proof::Secure),
        canonical: (end != *asked).then(|| domain_of(&end)).flatten(),
    };
    Ok(Found { told, exists: true })
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

fn name_server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}
