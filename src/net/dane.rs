//! A certificate held against TLSA records (RFC 6698, RFC 7671, RFC 7672 §3).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};
use x509_parser::parse_x509_certificate;

use crate::net::dns::Tlsa;
use crate::net::verifier::{Judge, Verifier};

/// Usages that mean something to SMTP; PKIX-TA and PKIX-EE do not (RFC 7672 §3.1.3).
const DANE_TA: u8 = 2;
const DANE_EE: u8 = 3;
/// Certificates of a chain that are looked at.
const CHAIN: usize = 16;

/// What a peer's certificate is to match. At least one of the records is usable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dane {
    records: Arc<[Tlsa]>,
    /// Names that count in a certificate below a DANE-TA (RFC 7672 §3.2.3): first the one where the records stand.
    names: Arc<[String]>,
}

impl Dane {
    /// Of the usable records, under the names that count, first the TLSA base domain; `None` if none is usable: then TLS is required and proves nothing (RFC 7672 §2.1.1).
    #[must_use]
    pub fn of(records: &[Tlsa], names: Vec<String>) -> Option<Self> {
        let usable: Vec<Tlsa> = records.iter().filter(|record| record.is_usable()).cloned().collect();
        (!usable.is_empty()).then(|| Self { records: usable.into(), names: names.into() })
    }

    /// The TLSA base domain.
    pub(crate) fn base(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }

    pub(crate) fn verifier(self, provider: Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
        Verifier::new(ByRecords { dane: self, provider: Arc::clone(&provider) }, provider)
    }
}

impl Tlsa {
    fn is_usable(&self) -> bool {
        let length = match self.matching {
            0 => !self.data.is_empty(),
            1 => self.data.len() == 32,
            2 => self.data.len() == 64,
            _ => false,
        };
        matches!(self.usage, DANE_TA | DANE_EE) && matches!(self.selector, 0 | 1) && length
    }

    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        let selected: &[u8] = match self.selector {
            0 => certificate,
            _ => match parse_x509_certificate(certificate) {
                Ok((_, parsed)) => parsed.tbs_certificate.subject_pki.raw,
                Err(_) => return false,
            },
        };
        match self.matching {
            0 => self.data == selected,
            1 => self.data == digest(&SHA256, selected).as_ref(),
            _ => self.data == digest(&SHA512, selected).as_ref(),
        }
    }
}

struct ByRecords {
    dane: Dane,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for ByRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByRecords").field(&self.dane).finish()
    }
}

impl ByRecords {
    fn records(&self, usage: u8) -> impl Iterator<Item = &Tlsa> {
        self.dane.records.iter().filter(move |record| record.usage == usage)
    }

    /// Whether the chain ends in what a DANE-TA record names, for one of the names, today.
    fn is_below_anchor(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>], now: UnixTime) -> bool {
        let sent = others.iter().chain([leaf]).take(CHAIN);
        let named = sent.filter(|certificate| self.records(DANE_TA).any(|record| record.matches(certificate)));
        // A whole certificate in the record need not be sent (RFC 7671 §5.2.3).
        let whole = self.records(DANE_TA).filter(|record| record.selector == 0 && record.matching == 0);
        let whole = whole.map(|record| CertificateDer::from(record.data.as_slice()));
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(
            named.map(|certificate| certificate.clone().into_owned()).chain(whole.map(CertificateDer::into_owned)),
        );
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build();
        let Ok(verifier) = verifier else { return false };
        self.dane
            .names
            .iter()
            .filter_map(|name| ServerName::try_from(name.as_str()).ok())
            .any(|name| verifier.verify_server_cert(leaf, others, &name, &[], now).is_ok())
    }
}

impl Judge for ByRecords {
    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        // Names and dates do not count with DANE-EE: the record says them (RFC 7672 §3.1.1).
        let serves = self.records(DANE_EE).any(|record| record.matches(own)) || self.is_below_anchor(own, others, now);
        if serves { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::crypto::aws_lc_rs;

    use crate::net::dane::*;

    struct Chain {
        leaf: CertificateDer<'static>,
        anchor: CertificateDer<'static>,
    }

    fn chain(name: &str, until: i32) -> Chain {
        let mut of_anchor = CertificateParams::new(Vec::new()).unwrap();
        of_anchor.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchor_key = KeyPair::generate().unwrap();
        let anchor = of_anchor.self_signed(&anchor_key).unwrap().der().clone();
        let issuer = Issuer::new(of_anchor, anchor_key);
        let mut of_leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        of_leaf.not_after = date_time_ymd(until, 1, 1);
        let leaf = of_leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone();
        Chain { leaf, anchor }
    }

    fn record(usage: u8, selector: u8, matching: u8, certificate: &CertificateDer<'_>) -> Tlsa {
        let selected: Vec<u8> = match selector {
            0 => certificate.to_vec(),
            _ => parse_x509_certificate(certificate).unwrap().1.tbs_certificate.subject_pki.raw.to_vec(),
        };
        let data = match matching {
            0 => selected,
            1 => digest(&SHA256, &selected).as_ref().to_vec(),
            _ => digest(&SHA512, &selected).as_ref().to_vec(),
        };
        Tlsa { usage, selector, matching, data }
    }

    /// Whether a chain matches; the names are the host's and the next-hop domain.
    fn holds(records: &[Tlsa], chain: &Chain) -> bool {
        let names = vec!["mx.live.example".to_owned(), "live.example".to_owned()];
        let verifier = Dane::of(records, names).unwrap().verifier(Arc::new(aws_lc_rs::default_provider()));
        let name = ServerName::try_from("mx.live.example").unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_795_000_000));
        verifier.verify_server_cert(&chain.leaf, std::slice::from_ref(&chain.anchor), &name, &[], now).is_ok()
    }

    #[test]
    fn a_certificate_named_by_a_record_holds_whatever_its_name_and_date() {
        let (ours, theirs) = (chain("elsewhere.example", 2020), chain("mx.live.example", 2040));
        for selector in [0, 1] {
            for matching in [0, 1, 2] {
                let named = record(DANE_EE, selector, matching, &ours.leaf);
                assert!(holds(std::slice::from_ref(&named), &ours), "{selector} {matching}");
                assert!(!holds(&[named], &theirs), "{selector} {matching}");
            }
        }
    }

    #[test]
    fn below_an_anchor_name_and_date_count() {
        let good = chain("mx.live.example", 2040);
        for selector in [0, 1] {
            for matching in [0, 1, 2] {
                assert!(holds(&[record(DANE_TA, selector, matching, &good.anchor)], &good), "{selector} {matching}");
            }
        }
        let by_domain = chain("live.example", 2040);
        assert!(holds(&[record(DANE_TA, 0, 1, &by_domain.anchor)], &by_domain));
        for bad in [chain("elsewhere.example", 2040), chain("mx.live.example", 2020)] {
            assert!(!holds(&[record(DANE_TA, 0, 1, &bad.anchor)], &bad));
        }
        // Another's anchor is none, though it is sent along.
        let mut mixed = chain("mx.live.example", 2040);
        mixed.anchor = good.anchor.clone();
        assert!(!holds(&[record(DANE_TA, 0, 1, &good.anchor)], &mixed));
    }

    #[test]
    fn what_means_nothing_to_smtp_is_not_usable() {
        let ours = chain("mx.live.example", 2040);
        let usable = |record: Tlsa| Dane::of(&[record], Vec::new()).is_some();
        assert!(usable(record(3, 1, 1, &ours.leaf)));
        for (usage, selector, matching) in [(0, 1, 1), (1, 1, 1), (4, 1, 1), (3, 2, 1), (3, 1, 3)] {
            assert!(!usable(Tlsa { usage, selector, matching, ..record(3, 1, 1, &ours.leaf) }));
        }
        assert!(!usable(Tlsa { data: vec![0; 31], ..record(3, 1, 1, &ours.leaf) }));
        assert!(!usable(Tlsa { matching: 0, data: Vec::new(), ..record(3, 1, 1, &ours.leaf) }));
        // A record that cannot be used stands in nobody's way.
        let unusable = Tlsa { usage: 1, ..record(3, 1, 1, &ours.leaf) };
        assert!(holds(&[unusable, record(3, 1, 1, &ours.leaf)], &ours));
    }
}
