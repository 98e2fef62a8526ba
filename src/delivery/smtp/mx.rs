//! Where mail for a domain goes (RFC 5321 §5.1), and what each host there has to prove (RFC 7672).

use std::collections::HashSet;
use std::net::IpAddr;

use crate::delivery::config::{DomainRoute, NextHop, Protocol, TlsLevel};
use crate::delivery::route::{Kind, Passage, Route, TlsPolicy};
use crate::delivery::smtp::observed::Observed;
use crate::delivery::smtp::sts::Sts;
use crate::delivery::smtp::sts_policy::{Mode, StsPolicy};
use crate::delivery::trouble::NoWay;
use crate::mail::Domain;
use crate::net::{Dane, Dns, DnsFault, Exchange, Named, Outside, Roots, Told, is_here};
use crate::vault::random_octets;

/// The port of mail exchangers (RFC 5321 §4.5.4.2).
const PORT: u16 = 25;
/// Mail exchangers of one domain that are tried in one attempt.
const HOSTS: usize = 10;

/// Finds the hosts of a domain.
#[derive(Clone)]
pub struct Exchangers {
    /// Whom to ask.
    pub dns: Dns,
    /// What domains say of their hosts by MTA-STS.
    pub sts: Option<Sts>,
    /// What we call ourselves: mail that would come back to us goes in a circle.
    pub hostname: Domain,
    /// Where its hosts may live.
    pub outside: Outside,
}

/// The hosts of a domain, best first.
#[derive(Debug, PartialEq, Eq)]
struct Hosts {
    names: Vec<Domain>,
    /// DNSSEC proves that these are the domain's.
    are_proven: bool,
}

/// What is known of a domain when its hosts are looked at.
struct Expectation<'e> {
    domain: &'e Domain,
    hosts_are_proven: bool,
    /// Its MTA-STS policy, if that is to be enforced.
    enforced: Option<&'e StsPolicy>,
    configured: Option<&'e DomainRoute>,
    passage: Passage,
}

impl Exchangers {
    /// The ways to a domain, best first, at least one. What is configured for it can ask for more than the domain does
    /// itself, never for less. What fails on the way is noted in `observed`.
    ///
    /// # Errors
    /// [`NoWay`]: the domain takes no mail, cannot be looked up now, or no host of it may be given this message.
    pub async fn routes(
        &self,
        domain: &Domain,
        configured: Option<&DomainRoute>,
        passage: Passage,
        observed: &mut Observed,
    ) -> Result<Vec<Route>, NoWay> {
        let hosts = self.hosts(domain, observed).await?;
        let policy = match &self.sts {
            Some(sts) => {
                let asked = sts.policy(domain).await.map_err(|fault| NoWay::PolicyIsUnknown(fault.to_string()))?;
                asked.failure.into_iter().for_each(|failure| observed.policy_failed(failure));
                asked.policy
            }
            None => None,
        };
        observed.has_policy(policy.as_ref());
        let enforced = policy.filter(|policy| policy.mode == Mode::Enforce);
        let hosts_are_proven = hosts.are_proven;
        let expectation = Expectation { domain, hosts_are_proven, enforced: enforced.as_ref(), configured, passage };
        let (mut routes, mut last) = (Vec::new(), NoWay::NoAddress);
        for host in hosts.names.into_iter().take(HOSTS) {
            match self.route(host, &expectation, observed).await {
                Ok(route) => routes.push(route),
                // What may be put right outweighs what may not.
                Err(why) if last.is_permanent() => last = why,
                Err(_) => {}
            }
        }
        if routes.is_empty() { Err(last) } else { Ok(routes) }
    }

    async fn hosts(&self, domain: &Domain, observed: &mut Observed) -> Result<Hosts, NoWay> {
        match self.dns.exchanges(domain).await {
            Ok(told) if told.records.is_empty() => {
                Ok(Hosts { names: vec![domain.clone()], are_proven: told.is_proven })
            }
            Ok(told) => choose(told, &self.hostname, &mut |below| chance(below)),
            Err(DnsFault::NoSuchName(_)) => Err(NoWay::NoSuchDomain),
            Err(fault) => {
                if fault.is_forgery() {
                    observed.dnssec_failed(None);
                }
                Err(NoWay::NameServers(fault.to_string()))
            }
        }
    }

    async fn route(
        &self,
        host: Domain,
        expectation: &Expectation<'_>,
        observed: &mut Observed,
    ) -> Result<Route, NoWay> {
        let addresses = match self.dns.addresses(&host).await {
            Ok(told) => told,
            Err(DnsFault::NoSuchName(_)) => return Err(NoWay::NoAddress),
            Err(fault) => {
                if fault.is_forgery() {
                    observed.dnssec_failed(Some(&host));
                }
                return Err(NoWay::NameServers(fault.to_string()));
            }
        };
        if addresses.records.is_empty() {
            return Err(NoWay::NoAddress);
        }
        if addresses.records.iter().all(|address| is_here(*address)) {
            return Err(NoWay::Ourselves);
        }
        if !addresses.records.iter().any(|address| self.outside.has(*address)) {
            return Err(NoWay::Inside);
        }
        let own = self.tls(expectation, &host, &addresses, observed).await?;
        let tls = expectation.policy(own, &host).inspect_err(|why| {
            if *why == NoWay::NotInPolicy {
                observed.passed_over(&host);
            }
        })?;
        let hop = NextHop { protocol: Protocol::Smtp, host: host.to_string(), port: PORT };
        Ok(Route { hop, tls, kind: Kind::Exchanger, login: None })
    }

    /// What the host has to prove. Without DNSSEC on the whole way to it, its TLSA records prove nothing (RFC 7672 §2.2).
    async fn tls(
        &self,
        expectation: &Expectation<'_>,
        host: &Domain,
        addresses: &Told<IpAddr>,
        observed: &mut Observed,
    ) -> Result<TlsPolicy, NoWay> {
        if !expectation.hosts_are_proven || !(addresses.is_proven || addresses.alias_is_proven) {
            return Ok(TlsPolicy::Opportunistic);
        }
        // Behind an alias the name it stands for is asked first; where it leads out of the signed zones, the name itself
        // may still say something (RFC 7672 §2.2.2).
        for base in addresses.canonical.iter().filter(|_| addresses.is_proven).chain([host]) {
            // A look-up that fails is no word that there is nothing: somebody may be in the way (RFC 7672 §2.1.2).
            let told = self.dns.tlsa(base, PORT).await.map_err(|fault| {
                observed.dnssec_failed(Some(host));
                NoWay::NameServers(fault.to_string())
            })?;
            if !told.is_proven {
                observed.dnssec_failed(Some(host));
                // The host's own records are signed: what is said without proof below them is not to be believed.
                return Err(NoWay::NameServers(format!("nobody vouches for the TLSA records of {base}")));
            }
            if !told.records.is_empty() {
                let names = vec![base.to_string(), host.to_string(), expectation.domain.to_string()];
                let dane = Dane::of(&told.records, names);
                observed.has_records(host, &told.records, dane.is_some());
                return Ok(dane.map_or(TlsPolicy::Encrypted, TlsPolicy::Dane));
            }
        }
        Ok(TlsPolicy::Opportunistic)
    }
}

impl Expectation<'_> {
    /// What a host has to prove, given what its TLSA records say. DANE stands before MTA-STS, which says nothing against
    /// it (RFC 8461 §2), and both before what is configured.
    fn policy(&self, own: TlsPolicy, host: &Domain) -> Result<TlsPolicy, NoWay> {
        let level = self.configured.map_or(TlsLevel::Opportunistic, |route| route.tls);
        match (own, self.enforced) {
            (TlsPolicy::Dane(dane), _) => Ok(TlsPolicy::Dane(dane)),
            (_, Some(policy)) if !policy.covers(host) => Err(NoWay::NotInPolicy),
            (_, Some(_)) => Ok(match self.roots() {
                None => TlsPolicy::Verified,
                roots @ Some(_) => TlsPolicy::Named(Named { names: [host.to_string()].into(), roots }),
            }),
            (_, None) if level == TlsLevel::Verified => Ok(TlsPolicy::Named(self.named(host))),
            (_, None) if self.passage != Passage::Any => Err(NoWay::VerifiedTls),
            (_, None) if level == TlsLevel::Encrypt => Ok(TlsPolicy::Encrypted),
            (own, None) => Ok(own),
        }
    }

    /// The names that count without a policy of the domain's: its own, those that are configured, and the host's where
    /// DNSSEC proves that it is the domain's. One that an unsigned record names proves nothing.
    fn named(&self, host: &Domain) -> Named {
        let host = Some(host).filter(|_| self.hosts_are_proven);
        let further = self.configured.into_iter().flat_map(|route| &route.names);
        let names = std::iter::once(self.domain).chain(further).chain(host);
        Named { names: names.map(ToString::to_string).collect(), roots: self.roots() }
    }

    fn roots(&self) -> Option<Roots> {
        self.configured.and_then(|route| route.roots.clone())
    }
}

/// Orders hosts by preference, equals by chance (RFC 5321 §5.1), and leaves out those that are no better than ourselves.
fn choose(told: Told<Exchange>, ourselves: &Domain, chance: &mut dyn FnMut(usize) -> usize) -> Result<Hosts, NoWay> {
    if told.records.iter().all(|exchange| exchange.is_null) {
        return Err(NoWay::TakesNoMail);
    }
    if told.records.iter().all(|exchange| exchange.host.is_none()) {
        return Err(NoWay::NoAddress);
    }
    let our_own = told.records.iter().filter(|exchange| exchange.host.as_ref() == Some(ourselves));
    let worst = our_own.map(|exchange| exchange.preference).min();
    let mut hosts: Vec<(u16, Domain)> = told
        .records
        .into_iter()
        .filter(|exchange| worst.is_none_or(|worst| exchange.preference < worst))
        .filter_map(|exchange| Some((exchange.preference, exchange.host?)))
        .collect();
    for end in (2..=hosts.len()).rev() {
        hosts.swap(end - 1, chance(end).min(end - 1));
    }
    hosts.sort_by_key(|(preference, _)| *preference);
    // A name that stands there twice counts by its better preference.
    let mut known = HashSet::new();
    hosts.retain(|(_, host)| known.insert(host.clone()));
    if hosts.is_empty() {
        return Err(NoWay::Ourselves);
    }
    Ok(Hosts { names: hosts.into_iter().map(|(_, host)| host).collect(), are_proven: told.is_proven })
}

/// A number below this one.
fn chance(below: usize) -> usize {
    let drawn = random_octets::<8>().map_or(0, u64::from_le_bytes);
    usize::try_from(drawn % u64::try_from(below.max(1)).unwrap_or(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::delivery::smtp::mx::*;

    fn told(records: &[(u16, &str)]) -> Told<Exchange> {
        let records = records.iter().map(|(preference, host)| Exchange {
            preference: *preference,
            host: (!matches!(*host, "." | "-")).then(|| host.parse().unwrap()),
            is_null: *host == ".",
        });
        Told { records: records.collect(), is_proven: true, alias_is_proven: false, canonical: None }
    }

    fn chosen(records: &[(u16, &str)]) -> Result<Vec<String>, NoWay> {
        let hosts = choose(told(records), &"gw.sundby.example".parse().unwrap(), &mut chance)?;
        Ok(hosts.names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_best_come_first_and_equals_share_the_mail() {
        let records = [(20, "c.example"), (10, "a.example"), (10, "b.example")];
        let mut firsts = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let hosts = chosen(&records).unwrap();
            assert_eq!(hosts[2], "c.example");
            firsts.insert(hosts[0].clone());
        }
        assert_eq!(firsts.into_iter().collect::<Vec<_>>(), ["a.example", "b.example"]);
    }

    #[test]
    fn a_host_that_stands_there_twice_is_called_once() {
        let records = [(20, "a.example"), (10, "b.example"), (10, "A.example."), (10, "a.example")];
        for _ in 0..20 {
            let mut hosts = chosen(&records).unwrap();
            hosts.sort();
            assert_eq!(hosts, ["a.example", "b.example"]);
        }
        assert_eq!(
            chosen(&[(20, "a.example"), (10, "b.example"), (5, "a.example")]).unwrap(),
            ["a.example", "b.example"]
        );
    }

    #[test]
    fn mail_never_goes_to_ourselves_or_to_who_is_worse() {
        assert_eq!(chosen(&[(5, "a.example"), (10, "gw.sundby.example"), (20, "c.example")]).unwrap(), ["a.example"]);
        assert_eq!(chosen(&[(10, "gw.sundby.example"), (10, "b.example")]), Err(NoWay::Ourselves));
    }

    #[test]
    fn the_root_alone_takes_no_mail() {
        assert_eq!(chosen(&[(0, ".")]), Err(NoWay::TakesNoMail));
        assert_eq!(chosen(&[(10, "-")]), Err(NoWay::NoAddress), "and one that names no host is no reason to guess one");
        assert_eq!(chosen(&[(0, "."), (10, "a.example")]).unwrap(), ["a.example"]);
    }
}
