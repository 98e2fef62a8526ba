//! Whose signatures they are, and whether they are to be believed.

use crate::cms::{Certificate, CmsError, Flaw, SignedData, SignedFault, SignerFault, SignerReport, Strictness};
use crate::directory::Directory;
use crate::mail::{Address, Domain};
use crate::sealing::open::protected::same;
use crate::sealing::verdict::{Belonging, SignatureReport};
use crate::store::StoreError;

/// The local part of whoever signs for a whole domain (RFC 3183 §3.1.1).
const SIGNING_AUTHORITY: &str = "domain-signing-authority";
/// Domains above the author's that are looked at.
const ANCESTORS: usize = 8;

/// The signers of one layer, whose signatures were checked.
pub(crate) struct Signed {
    pub reports: Vec<SignerReport>,
    /// Certificates that came with them.
    pub carried: Vec<Certificate>,
    /// No seal stands within: it is over the content.
    pub is_over_content: bool,
}

impl Signed {
    /// Checks what passed. Nobody signed: no reports. It blocks.
    pub fn check(data: &SignedData, found: Result<Vec<SignerReport>, SignedFault>) -> Self {
        let reports = match found {
            Ok(reports) => reports,
            Err(SignedFault::NobodySigned) => Vec::new(),
            Err(SignedFault::ContentIsMissing) => vec![none_holds("the signed content is not there")],
            Err(SignedFault::ContentStandsTwice) => vec![none_holds("the signed content stands twice")],
        };
        Self { reports, carried: data.certificates(), is_over_content: true }
    }

    /// What is to be said of each signer, for this author of the message.
    pub fn judge(&self, directory: &Directory, author: Option<&Address>) -> Result<Vec<SignatureReport>, StoreError> {
        let Self { reports, carried, is_over_content } = self;
        let judge = |report: &SignerReport| judged(report.clone(), carried, *is_over_content, directory, author);
        reports.iter().map(judge).collect()
    }
}

/// SHA-1 and short keys prove something, and are told apart: partners of today sign so.
pub(crate) const STRICTNESS: Strictness = Strictness::AllowWeak;

fn none_holds(why: &'static str) -> SignerReport {
    SignerReport {
        id: None,
        certificate: None,
        digest: None,
        signature: None,
        attributes: None,
        verdict: Err(SignerFault::Malformed(CmsError::Unexpected(why))),
    }
}

fn judged(
    report: SignerReport,
    carried: &[Certificate],
    is_over_content: bool,
    directory: &Directory,
    author: Option<&Address>,
) -> Result<SignatureReport, StoreError> {
    let Some(certificate) = report.certificate.clone().filter(|_| report.holds()) else {
        return Ok(SignatureReport {
            certificate: report.certificate,
            is_over_content,
            holds: report.verdict,
            trusted: Err(Flaw::IssuerIsMissing.of(0)),
            belonging: Belonging::Nobody,
            seal_to: None,
        });
    };
    let mut is_pinned = false;
    let mut partner_of = None;
    for domain in author.map(|author| with_ancestors(author.domain())).unwrap_or_default() {
        if let Some(partner) = directory.partner(&domain, &certificate)? {
            is_pinned = partner.is_pinned;
            partner_of = Some(domain);
            break;
        }
    }
    let trusted = directory.judge_signer(&certificate, carried, is_pinned)?.map(drop);
    let belonging = belonging(&certificate, author, partner_of);
    let preferred = report.attributes.as_ref().and_then(|attributes| attributes.key_preference.as_ref());
    let seal_to = match preferred {
        Some(preference) => carried.iter().chain([&certificate]).find(|it| preference.names(it)).cloned(),
        None => Some(certificate.clone()),
    };
    Ok(SignatureReport {
        certificate: Some(certificate),
        is_over_content,
        holds: report.verdict,
        trusted,
        belonging,
        seal_to: seal_to.filter(|it| author.is_some_and(|author| it.addresses().iter().any(|own| same(own, author)))),
    })
}

fn belonging(certificate: &Certificate, author: Option<&Address>, partner_of: Option<Domain>) -> Belonging {
    let addresses = certificate.addresses();
    let Some(author) = author else {
        return if addresses.is_empty() { Belonging::Nobody } else { Belonging::Other };
    };
    if addresses.iter().any(|address| same(address, author)) {
        return Belonging::Author;
    }
    if let Some(domain) = partner_of {
        return Belonging::Domain(domain);
    }
    let above = with_ancestors(author.domain());
    let authority = addresses.iter().find(|address| {
        address.local().as_str().eq_ignore_ascii_case(SIGNING_AUTHORITY) && above.contains(address.domain())
    });
    match authority {
        Some(authority) => Belonging::Domain(authority.domain().clone()),
        None if addresses.is_empty() => Belonging::Nobody,
        None => Belonging::Other,
    }
}

/// A domain, and those above it that are more than a top-level domain.
fn with_ancestors(domain: &Domain) -> Vec<Domain> {
    let mut all = vec![domain.clone()];
    let mut rest = domain.as_str();
    while let Some((_, above)) = rest.split_once('.')
        && above.contains('.')
        && all.len() < ANCESTORS
    {
        all.extend(above.parse());
        rest = above;
    }
    all
}

#[cfg(test)]
mod tests {
    use crate::sealing::open::signers::with_ancestors;

    #[test]
    fn a_signer_may_stand_above_the_author_and_never_at_the_top() {
        let names = |domain: &str| {
            let all = with_ancestors(&domain.parse().unwrap());
            all.iter().map(|domain| domain.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("a.b.partner.example"), ["a.b.partner.example", "b.partner.example", "partner.example"]);
        assert_eq!(names("partner.example"), ["partner.example"]);
    }
}
