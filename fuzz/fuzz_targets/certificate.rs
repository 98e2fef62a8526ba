//! Whatever stands in a file of certificates, reading it ends; what a certificate says can be asked without end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::cms::{Certificate, Check, Imported, PolicyDemand, Pool, Purpose, Sources, Strictness};

fuzz_target!(|octets: &[u8]| {
    let mut certificates: Vec<Certificate> = Certificate::read(octets).into_iter().collect();
    certificates.extend(Imported::read(octets, None).map(|read| read.certificates).unwrap_or_default());
    for certificate in &certificates {
        assert!(Certificate::read(certificate.as_der()).is_ok_and(|again| again == *certificate));
        let _ = (certificate.validity(), certificate.extensions(), certificate.addresses(), certificate.subject().oces());
        let _ = (certificate.distribution_points(), certificate.ocsp_urls(), certificate.issuer_urls());
        let _ = format!("{} {}", certificate.subject(), certificate.issuer());
    }
    let (anchors, others): (Vec<_>, Vec<_>) = certificates.iter().cloned().enumerate().partition(|(place, _)| place % 2 == 0);
    let pool = |half: Vec<(usize, Certificate)>| half.into_iter().map(|(_, certificate)| certificate).collect::<Pool>();
    let (anchors, others) = (pool(anchors), pool(others));
    let check = Check {
        at: 1_790_000_000,
        purpose: Purpose::Seal,
        strictness: Strictness::AllowWeak,
        policies: PolicyDemand::default(),
    };
    for certificate in certificates.iter().take(8) {
        let _ = Sources { anchors: &anchors, others: &others }.find(certificate, &check, &mut |_| Ok(()));
    }
});
