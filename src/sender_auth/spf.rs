//! SPF: whether a domain lets an address send for it (RFC 7208). Records are read by the library; they are evaluated here,
//! where every look-up goes through our own name servers and every limit of RFC 7208 §4.6.4 holds.

use std::net::IpAddr;
use std::pin::Pin;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::spf::{Directive, Macro, Mechanism, Qualifier, Spf, Variables};

use crate::sender_auth::lookup::{Lookup, Unfound, is_name};

/// Terms of all records that cost look-ups (RFC 7208 §4.6.4).
const TERMS: usize = 10;
/// Look-ups that find nothing.
const VOID: usize = 2;
/// Exchangers of one `mx`.
const EXCHANGERS: usize = 10;
/// Names of one address that `ptr` and `%{p}` follow.
const POINTERS: usize = 10;
/// Octets of a name that macros make (RFC 7208 §7.3).
const NAME_OCTETS: usize = 253;

/// What SPF says (RFC 7208 §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpfResult {
    /// Nothing.
    None,
    /// Expressly nothing.
    Neutral,
    /// The address may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// It cannot be found out now.
    TempError,
    /// The record cannot be evaluated.
    PermError,
}

/// Of whom SPF is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// Where the mail comes from.
    pub(crate) ip: IpAddr,
    /// What the client calls itself.
    pub(crate) helo: &'a str,
    /// The part before the `@`; `postmaster` where there is none (RFC 7208 §4.3).
    pub(crate) local: &'a str,
    /// The domain that is asked.
    pub(crate) domain: &'a str,
    /// Who asks.
    pub(crate) receiver: &'a str,
}

/// The end of an evaluation before any term decided it.
enum Fault {
    Temporary,
    Permanent,
}

/// A message that asks for too much can never be evaluated (RFC 7208 §4.6.4).
impl From<Unfound> for Fault {
    fn from(why: Unfound) -> Self {
        match why {
            Unfound::Unanswered => Self::Temporary,
            Unfound::TooMany => Self::Permanent,
        }
    }
}

type Evaluated<'e> = Pin<Box<dyn Future<Output = Result<SpfResult, Fault>> + Send + 'e>>;

/// Asks SPF of a sender: `check_host()` of RFC 7208 §4.
pub(crate) async fn check_host(lookup: Lookup<'_>, sender: Sender<'_>) -> SpfResult {
    if !is_name(sender.domain) || !sender.domain.trim_end_matches('.').contains('.') {
        return SpfResult::None;
    }
    let mut evaluation = Evaluation { lookup, sender, terms: 0, voids: 0, validated: None };
    match evaluation.evaluate(sender.domain.to_owned()).await {
        Ok(result) => result,
        Err(Fault::Temporary) => SpfResult::TempError,
        Err(Fault::Permanent) => SpfResult::PermError,
    }
}

struct Evaluation<'e> {
    lookup: Lookup<'e>,
    sender: Sender<'e>,
    terms: usize,
    voids: usize,
    /// The name of `%{p}`, once it was asked for.
    validated: Option<String>,
}

impl Evaluation<'_> {
    /// Evaluates the record of a domain. Deeper calls are counted by [`TERMS`].
    fn evaluate(&mut self, domain: String) -> Evaluated<'_> {
        Box::pin(async move {
            let Some(record) = self.record(&domain).await? else { return Ok(SpfResult::None) };
            for Directive { qualifier, mechanism } in &record.directives {
                if self.matches(mechanism, &domain).await? {
                    return Ok(match qualifier {
                        Qualifier::Pass => SpfResult::Pass,
                        Qualifier::Fail => SpfResult::Fail,
                        Qualifier::SoftFail => SpfResult::SoftFail,
                        Qualifier::Neutral => SpfResult::Neutral,
                    });
                }
            }
            let Some(redirect) = &record.redirect else { return Ok(SpfResult::Neutral) };
            self.count_term()?;
            let target = self.expand(redirect, &domain).await?.ok_or(Fault::Permanent)?;
            match self.evaluate(target).await? {
                SpfResult::None => Err(Fault::Permanent),
                result => Ok(result),
            }
        })
    }

    /// The record of a domain (RFC 7208 §4.5): none, or exactly one.
    async fn record(&mut self, domain: &str) -> Result<Option<Spf>, Fault> {
        let texts = self.lookup.texts(domain).await?;
        let is_spf = |text: &&String| {
            let version = text.split(' ').next().unwrap_or_default();
            version.eq_ignore_ascii_case("v=spf1")
        };
        let mut records = texts.iter().filter(is_spf);
        let (first, second) = (records.next(), records.next());
        match (first, second) {
            (None, _) => Ok(None),
            (Some(text), None) if has_known_terms(text) => {
                Spf::parse(text.as_bytes()).map(Some).map_err(|_| Fault::Permanent)
            }
            (Some(_), _) => Err(Fault::Permanent),
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Fault> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4 { addr, mask } => {
                Ok(matches!(self.sender.ip, IpAddr::V4(ip) if same4(ip.into(), (*addr).into(), *mask)))
            }
            Mechanism::Ip6 { addr, mask } => {
                Ok(matches!(self.sender.ip, IpAddr::V6(ip) if same6(ip.into(), (*addr).into(), *mask)))
            }
            Mechanism::A { macro_string, ip4_mask, ip6_mask } => {
                self.count_term()?;
                let Some(target) = self.expand(macro_string, domain).await? else { return Ok(false) };
                let addresses = self.addresses(&target).await?;
                self.count_void(addresses.is_empty())?;
                Ok(self.is_among(&addresses, *ip4_mask, *ip6_mask))
            }
            Mechanism::Mx { macro_string, ip4_mask, ip6_mask } => {
                self.count_term()?;
                let Some(target) = self.expand(macro_string, domain).await? else { return Ok(false) };
                self.is_exchanger(&target, *ip4_mask, *ip6_mask).await
            }
            Mechanism::Exists { macro_string } => {
                self.count_term()?;
                let Some(target) = self.expand(macro_string, domain).await? else { return Ok(false) };
                // Of IPv4 whatever the client's address is (RFC 7208 §5.7).
                let addresses = self.lookup.addresses(&target, false).await?;
                self.count_void(addresses.is_empty())?;
                Ok(!addresses.is_empty())
            }
            Mechanism::Include { macro_string } => {
                self.count_term()?;
                let target = self.expand(macro_string, domain).await?.ok_or(Fault::Permanent)?;
                match self.evaluate(target).await? {
                    SpfResult::Pass => Ok(true),
                    SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => Ok(false),
                    SpfResult::TempError => Err(Fault::Temporary),
                    SpfResult::PermError | SpfResult::None => Err(Fault::Permanent),
                }
            }
            Mechanism::Ptr { macro_string } => {
                self.count_term()?;
                let Some(target) = self.expand(macro_string, domain).await? else { return Ok(false) };
                let below = format!(".{}", target.to_ascii_lowercase());
                let names = self.validated_names().await?;
                Ok(names.iter().any(|name| *name == below.trim_start_matches('.') || name.ends_with(&below)))
            }
        }
    }

    async fn is_exchanger(&mut self, target: &str, ip4_mask: u32, ip6_mask: u128) -> Result<bool, Fault> {
        let exchangers = self.lookup.exchangers(target).await?;
        self.count_void(exchangers.is_empty())?;
        for (number, exchanger) in exchangers.iter().enumerate() {
            if number >= EXCHANGERS {
                return Err(Fault::Permanent);
            }
            let addresses = self.addresses(exchanger).await?;
            if self.is_among(&addresses, ip4_mask, ip6_mask) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of the client's address that point back to it (RFC 7208 §5.5): what cannot be found out is none.
    async fn validated_names(&mut self) -> Result<Vec<String>, Fault> {
        let names = self.lookup.pointers(self.sender.ip).await.unwrap_or_default();
        self.count_void(names.is_empty())?;
        let mut validated = Vec::new();
        for name in names.into_iter().take(POINTERS) {
            if self.addresses(&name).await.is_ok_and(|addresses| addresses.contains(&self.sender.ip)) {
                validated.push(name);
            }
        }
        Ok(validated)
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Fault> {
        Ok(self.lookup.addresses(name, self.sender.ip.is_ipv6()).await?)
    }

    fn is_among(&self, addresses: &[IpAddr], ip4_mask: u32, ip6_mask: u128) -> bool {
        addresses.iter().any(|address| match (self.sender.ip, address) {
            (IpAddr::V4(ip), IpAddr::V4(address)) => same4(ip.into(), (*address).into(), ip4_mask),
            (IpAddr::V6(ip), IpAddr::V6(address)) => same6(ip.into(), (*address).into(), ip6_mask),
            _ => false,
        })
    }

    fn count_term(&mut self) -> Result<(), Fault> {
        self.terms += 1;
        if self.terms > TERMS { Err(Fault::Permanent) } else { Ok(()) }
    }

    fn count_void(&mut self, is_void: bool) -> Result<(), Fault> {
        self.voids += usize::from(is_void);
        if self.voids > VOID { Err(Fault::Permanent) } else { Ok(()) }
    }

    /// The name a macro makes, or `None` if that is no name (RFC 7208 §7).
    async fn expand(&mut self, written: &Macro, domain: &str) -> Result<Option<String>, Fault> {
        if matches!(written, Macro::None) {
            return Ok(Some(domain.to_owned()));
        }
        if written.needs_ptr() && self.validated.is_none() {
            let names = self.validated_names().await?;
            let below = format!(".{domain}");
            let best = names.iter().find(|name| *name == domain || name.ends_with(&below)).or(names.first());
            self.validated = Some(best.cloned().unwrap_or_else(|| "unknown".to_owned()));
        }
        let Sender { ip, helo, local, domain: sender_domain, receiver } = self.sender;
        let sender = format!("{local}@{sender_domain}");
        let mut variables = Variables::new();
        variables.set_ip(&ip);
        variables.set_sender(sender.into_bytes());
        variables.set_domain(domain.as_bytes());
        variables.set_helo_domain(helo.as_bytes());
        variables.set_host_domain(receiver.as_bytes());
        variables.set_validated_domain(self.validated.clone().unwrap_or_default().into_bytes());
        let made = written.eval(&variables, domain, false).into_owned();
        let mut name = made.strip_suffix('.').unwrap_or(&made);
        while name.len() > NAME_OCTETS {
            let Some((_, rest)) = name.split_once('.') else { return Ok(None) };
            name = rest;
        }
        Ok(Some(name.to_owned()).filter(|name| is_name(name)))
    }
}

/// Whether every mechanism is one, and no modifier that decides stands there twice (RFC 7208 §4.6.1, §6): the library passes
/// over what it does not know.
fn has_known_terms(record: &str) -> bool {
    const MECHANISMS: [&str; 8] = ["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"];
    let mut decisive = Vec::new();
    let is_known = |term: &str| {
        let name_length = term.find([':', '/', '=']).unwrap_or(term.len());
        let (name, rest) = term.split_at(name_length);
        if rest.starts_with('=') {
            let name = name.to_ascii_lowercase();
            let is_second = decisive.contains(&name);
            if matches!(name.as_str(), "redirect" | "exp") {
                decisive.push(name);
            }
            return !is_second;
        }
        let name = name.strip_prefix(['+', '-', '?', '~']).unwrap_or(name);
        MECHANISMS.iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    record.is_ascii() && record.split(' ').skip(1).filter(|term| !term.is_empty()).all(is_known)
}

fn same4(one: u32, other: u32, mask: u32) -> bool {
    one & mask == other & mask
}

fn same6(one: u128, other: u128, mask: u128) -> bool {
    one & mask == other & mask
}
