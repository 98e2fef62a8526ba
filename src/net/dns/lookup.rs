//! Whoever asks the DNS, asks here.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::mail::Domain;
use crate::net::dns::settings::{DnsSettings, Dnssec};
use crate::net::dns::told::{DnsFault, Exchange, Found, Tlsa, Told, domain_of};
use crate::net::dns::trusted::Trusted;
use crate::net::dns::validator::Validator;

/// Top names below which the DNS has nothing (RFC 6761 §6.3, §6.4, RFC 7686 §2). The library answers of itself for them, and in
/// a way that looks like an answer somebody suppressed.
const NEVER_THERE: [&str; 3] = ["invalid", "localhost", "onion"];

/// Asks name servers, and knows what of their answers DNSSEC proves. Cheap to clone.
#[derive(Clone)]
pub struct Dns(Way);

/// Who validates.
#[derive(Clone)]
enum Way {
    Own(Arc<Validator>),
    Resolver(Trusted),
}

impl Dns {
    /// Asks by these settings.
    ///
    /// # Errors
    /// [`DnsFault::Settings`].
    pub fn new(settings: &DnsSettings) -> Result<Self, DnsFault> {
        Ok(Self(match settings.dnssec {
            Dnssec::Own => Way::Own(Arc::new(Validator::new(settings)?)),
            Dnssec::Resolver => Way::Resolver(Trusted::new(&settings.servers)?),
        }))
    }

    /// Whether answers can be proven: the name servers pass on what validation needs, or validate, all of them.
    pub async fn validates(&self) -> bool {
        match &self.0 {
            Way::Own(validator) => validator.validates().await,
            Way::Resolver(trusted) => trusted.validates().await,
        }
    }

    /// Whether one name server at least answers now, and what it answers can be proven; nothing remembered counts.
    pub async fn serves(&self) -> bool {
        match &self.0 {
            Way::Own(validator) => validator.serves().await,
            Way::Resolver(trusted) => trusted.serves().await,
        }
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

    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<T>, DnsFault> {
        // Label by label: any octets make one (RFC 2181 §11), and what no host is called is found absent, not unanswered.
        let labels = name.trim_end_matches('.').split('.').map(str::as_bytes);
        let asked =
            Name::from_labels(labels).map_err(|fault| DnsFault::Unavailable(name.to_owned(), fault.to_string()))?;
        let top = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        if NEVER_THERE.iter().any(|never| never.eq_ignore_ascii_case(top)) {
            let told = Told { records: Vec::new(), is_proven: false, alias_is_proven: false, canonical: None };
            return Ok(Found { told, exists: false });
        }
        let found = match &self.0 {
            Way::Own(validator) => validator.look_up(&asked, kind).await?,
            Way::Resolver(trusted) => trusted.look_up(&asked, kind).await?,
        };
        Ok(found.read(read))
    }
}

fn address_of(data: &RData) -> Option<IpAddr> {
    match data {
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        RData::A(address) => Some(IpAddr::V4(address.0)),
        _ => None,
    }
}
