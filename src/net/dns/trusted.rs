//! Answers that resolvers on this machine have validated: their AD bit is believed (RFC 4035 §4.9.3, RFC 6840 §5.7, §5.8).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::time::timeout;

use crate::net::dns::chain::Chain;
use crate::net::dns::settings::resolvers;
use crate::net::dns::told::{BOGUS, DnsFault, Found, PATIENCE, Told, domain_of};

/// Octets of an answer that fit in a datagram; a longer one comes by TCP.
const DATAGRAM_OCTETS: u16 = 4_096;
/// How long a resolver that has shown that it validates is taken to do so, if it answers all the while.
const SHOWN: Duration = Duration::from_secs(60);
/// How long an answer takes for which nothing had to be sent again: who answers later may have been started meanwhile.
const PROMPT: Duration = Duration::from_millis(300);
/// Extended DNS Error (RFC 8914 §2).
const EXTENDED_ERROR: EdnsCode = EdnsCode::Unknown(15);

/// Asks resolvers on this machine, the one that answered last first. They remember answers, and how long each may be
/// remembered; here nothing is. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Trusted(Arc<Resolvers>);

struct Resolvers {
    all: Vec<Resolver>,
    answered_last: AtomicUsize,
}

struct Resolver {
    address: SocketAddr,
    /// When it showed last that it validates.
    shown: Mutex<Option<Instant>>,
}

impl Trusted {
    pub(crate) fn new(given: &[SocketAddr]) -> Result<Self, DnsFault> {
        let addresses = resolvers(given).map_err(DnsFault::Settings)?;
        let all = addresses.into_iter().map(|address| Resolver { address, shown: Mutex::new(None) });
        Ok(Self(Arc::new(Resolvers { all: all.collect(), answered_last: AtomicUsize::new(0) })))
    }

    /// Whether all of them validate.
    pub(crate) async fn validates(&self) -> bool {
        for resolver in &self.0.all {
            if resolver.validates().await.is_err() {
                return false;
            }
        }
        true
    }

    /// Whether one of them answers now, and validates.
    pub(crate) async fn serves(&self) -> bool {
        for resolver in &self.0.all {
            resolver.forget();
            if resolver.validates().await.is_ok() {
                return true;
            }
        }
        false
    }

    /// Asks. What is told without the AD bit is not proven; that it could be, whoever answers has shown (RFC 7672 §2.1.2).
    pub(crate) async fn look_up(&self, name: &Name, kind: RecordType) -> Result<Found<RData>, DnsFault> {
        let answer = self.ask(name, kind).await?;
        let is_proven = answer.metadata.authentic_data;
        let Chain { aliases, end } = Chain::of(name, kind, &answer.answers);
        let end = &end;
        let at_end = |of: RecordType| answer.answers.iter().filter(move |it| it.name == *end && it.record_type() == of);
        let records: Vec<RData> = at_end(kind).map(|record| record.data.clone()).collect();
        if records.is_empty() && at_end(RecordType::CNAME).next().is_some() {
            return Err(DnsFault::unavailable(name, "its aliases do not end"));
        }
        let told = Told {
            records,
            is_proven,
            alias_is_proven: !aliases.is_empty() && (is_proven || self.alias_is_proven(name, &answer.answers).await?),
            canonical: if aliases.is_empty() { None } else { domain_of(end) },
        };
        // Behind aliases the code speaks of the last name (RFC 6604 §3).
        Ok(Found { told, exists: answer.metadata.response_code != ResponseCode::NXDomain })
    }

    /// Whether the first alias is proven where the whole way is not: it is asked for itself (RFC 7672 §2.1.3), and where a
    /// DNAME makes it, that, for an alias so made bears no signature (RFC 6672 §5.3.1).
    async fn alias_is_proven(&self, name: &Name, answers: &[Record]) -> Result<bool, DnsFault> {
        let makes_it =
            |it: &&Record| it.record_type() == RecordType::DNAME && it.name != *name && it.name.zone_of(name);
        let (owner, kind) =
            answers.iter().find(makes_it).map_or((name, RecordType::CNAME), |dname| (&dname.name, RecordType::DNAME));
        let answer = self.ask(owner, kind).await?;
        let is_there = answer.answers.iter().any(|it| it.name == *owner && it.record_type() == kind);
        Ok(is_there && answer.metadata.authentic_data)
    }

    /// An answer that says something: NOERROR or NXDOMAIN.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, DnsFault> {
        let query = Query::query(name.clone(), kind);
        let Resolvers { all, answered_last } = &*self.0;
        let first = answered_last.load(Ordering::Relaxed);
        let mut last = "there is no name server".to_owned();
        for (place, resolver) in all.iter().enumerate().cycle().skip(first).take(all.len()) {
            match resolver.answer(&query).await {
                Ok(answer) => {
                    answered_last.store(place, Ordering::Relaxed);
                    return match fault_of(&answer) {
                        None => Ok(answer),
                        Some(fault) => Err(DnsFault::unavailable(name, fault)),
                    };
                }
                Err(fault) => last = fault,
            }
        }
        Err(DnsFault::unavailable(name, last))
    }
}

impl Resolver {
    /// What it answers. An answer without the AD bit is none if it cannot be told from one of a resolver that does not
    /// validate: what is signed would go for unsigned.
    async fn answer(&self, query: &Query) -> Result<Message, String> {
        let begun = Instant::now();
        let answer = self.asked(query).await;
        // Whoever answers after a failure may be another than who answered before it.
        if begun.elapsed() >= PROMPT || answer.as_ref().map_or(true, |answer| fault_of(answer).is_some()) {
            self.forget();
        }
        let answer = answer?;
        if !answer.metadata.authentic_data && fault_of(&answer).is_none() {
            self.validates().await?;
        }
        Ok(answer)
    }

    /// Whether it validates, as it has shown of late or shows now: the root's own records are proven then.
    async fn validates(&self) -> Result<(), String> {
        let is_fresh = |shown: Instant| shown.elapsed() < SHOWN;
        if self.shown.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(is_fresh) {
            return Ok(());
        }
        let answer = self.asked(&Query::query(Name::root(), RecordType::NS)).await?;
        if !answer.metadata.authentic_data || answer.answers.is_empty() {
            return Err(format!("the resolver at {} does not validate", self.address));
        }
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }

    /// What it has shown counts no longer.
    fn forget(&self) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn asked(&self, query: &Query) -> Result<Message, String> {
        // What drives a connection ends with the provider.
        let provider = TokioRuntimeProvider::default();
        let asked = async {
            let by_udp = UdpClientStream::builder(self.address, provider.clone()).with_timeout(Some(PATIENCE));
            let answer = send(&by_udp.exchange(), query).await?;
            if !answer.metadata.truncation {
                return Ok(answer);
            }
            let by_tcp = TcpClientStream::exchange(self.address, None, PATIENCE, None, provider.clone());
            send(&by_tcp.await?, query).await
        };
        let failed = |fault: String| format!("the resolver at {}: {fault}", self.address);
        let answer = match timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(|fault: NetError| failed(fault.to_string()))?,
            Err(_) => return Err(failed("no answer".to_owned())),
        };
        if answer.metadata.truncation || answer.queries.as_slice() != std::slice::from_ref(query) {
            return Err(failed("it answers something else, or not all of it".to_owned()));
        }
        Ok(answer)
    }
}

/// Asks for what is proven and for the signs of it: AD and DO, with CD clear.
async fn send(exchange: &DnsExchange<TokioRuntimeProvider>, query: &Query) -> Result<Message, NetError> {
    let mut message = Message::query();
    message.queries.push(query.clone());
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = true;
    message.edns.get_or_insert_with(Edns::new).set_max_payload(DATAGRAM_OCTETS).set_dnssec_ok(true);
    let answer = exchange.send(DnsRequest::new(message, DnsRequestOptions::default())).first_answer().await?;
    Ok(answer.into())
}

/// Why an answer says nothing, if it does not. A resolver that validates says SERVFAIL of what is not as signed (RFC 4035
/// §5.5); some say why.
fn fault_of(answer: &Message) -> Option<String> {
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => None,
        ResponseCode::ServFail if is_bogus(answer) => Some(BOGUS.to_owned()),
        code => Some(code.to_string()),
    }
}

/// Whether the resolver says of what it does not answer that it does not fit its signature (RFC 8914 §4.7 to §4.13).
fn is_bogus(answer: &Message) -> bool {
    let options = answer.edns.iter().flat_map(|edns| &edns.options().options);
    let mut codes = options.filter(|(code, _)| *code == EXTENDED_ERROR).filter_map(|(_, option)| match option {
        EdnsOption::Unknown(_, octets) => octets.first_chunk().copied().map(u16::from_be_bytes),
        _ => None,
    });
    codes.any(|code| (6..=12).contains(&code))
}
