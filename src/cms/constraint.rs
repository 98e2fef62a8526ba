//! Name constraints along a path (RFC 5280 §4.2.1.10, §6.1.3 b and c; RFC 9598 §6).

use crate::cms::certificate::Certificate;
use crate::cms::error::CmsError;
use crate::cms::extension::{GeneralName, NameConstraints};
use crate::cms::name::NameKey;

/// Comparisons of a name with a constraint that one path may cost.
const COMPARISONS: usize = 250_000;

/// Why a certificate's names do not stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameFlaw {
    /// No subtree that an authority permits has the name.
    NotPermitted,
    /// An authority excludes the name.
    Excluded,
    /// Name and constraint are of a kind that cannot be compared.
    Incomparable,
    /// More names and constraints than anybody needs.
    TooMany,
    /// The certificate cannot be read.
    Malformed(CmsError),
}

/// The constraints of all authorities so far.
#[derive(Debug)]
pub struct Constraints<'a> {
    permitted: Vec<Vec<Subtree<'a>>>,
    excluded: Vec<Subtree<'a>>,
    comparisons_left: usize,
}

/// A constraint, and what directory names are compared by.
#[derive(Debug)]
struct Subtree<'a> {
    base: GeneralName<'a>,
    key: Option<NameKey>,
}

impl Default for Constraints<'_> {
    fn default() -> Self {
        Self { permitted: Vec::new(), excluded: Vec::new(), comparisons_left: COMPARISONS }
    }
}

impl<'a> Constraints<'a> {
    /// Those of one more authority. What it permits narrows what others permit.
    pub fn add(&mut self, constraints: NameConstraints<'a>) {
        if !constraints.permitted.is_empty() {
            self.permitted.push(constraints.permitted.into_iter().map(Subtree::new).collect());
        }
        self.excluded.extend(constraints.excluded.into_iter().map(Subtree::new));
    }

    /// Whether all names of the certificate stand.
    pub fn check(&mut self, certificate: &Certificate) -> Result<(), NameFlaw> {
        if self.permitted.is_empty() && self.excluded.is_empty() {
            return Ok(());
        }
        let alternatives = certificate.alternative_names().map_err(NameFlaw::Malformed)?;
        let subject = certificate.subject();
        // The mailbox in the subject counts where no other is named.
        let has_mailbox = alternatives.iter().any(|name| name.is_form(GeneralName::RFC822_FORM));
        let mailboxes = if has_mailbox { Vec::new() } else { subject.email_addresses() };
        for name in alternatives.into_iter().chain(mailboxes.iter().map(|text| GeneralName::Rfc822(text))) {
            self.check_name(&Subtree::new(name))?;
        }
        if !subject.is_empty() {
            self.check_name(&Subtree::new(GeneralName::Directory(subject)))?;
        }
        Ok(())
    }

    fn check_name(&mut self, name: &Subtree<'_>) -> Result<(), NameFlaw> {
        let subtrees = self.permitted.iter().map(Vec::len).sum::<usize>().saturating_add(self.excluded.len());
        self.comparisons_left = self.comparisons_left.checked_sub(subtrees).ok_or(NameFlaw::TooMany)?;
        for permitted in &self.permitted {
            let mut concerned = permitted.iter().filter(|base| base.concerns(name)).peekable();
            if concerned.peek().is_none() {
                continue;
            }
            let mut is_within = false;
            for base in concerned {
                is_within |= base.has(name).ok_or(NameFlaw::Incomparable)?;
            }
            if !is_within {
                return Err(NameFlaw::NotPermitted);
            }
        }
        for excluded in self.excluded.iter().filter(|base| base.concerns(name)) {
            if excluded.has(name).ok_or(NameFlaw::Incomparable)? {
                return Err(NameFlaw::Excluded);
            }
        }
        Ok(())
    }
}

impl<'a> Subtree<'a> {
    fn new(base: GeneralName<'a>) -> Self {
        let key = if let GeneralName::Directory(name) = base { name.key() } else { None };
        Self { base, key }
    }

    fn concerns(&self, name: &Subtree<'_>) -> bool {
        (0..=8).any(|form| self.base.is_form(form) && name.base.is_form(form))
    }

    /// Whether the name lies in this subtree, or nothing if that cannot be told.
    fn has(&self, name: &Subtree<'_>) -> Option<bool> {
        match (self.base, name.base) {
            (GeneralName::Directory(_), GeneralName::Directory(_)) => {
                Some(name.key.as_ref()?.is_within(self.key.as_ref()?))
            }
            (GeneralName::Rfc822(base), GeneralName::Rfc822(mailbox)) => mailbox_is_within(mailbox, base),
            (GeneralName::Rfc822(base), GeneralName::SmtpUtf8Mailbox(mailbox)) => {
                let (local, host) = mailbox.rsplit_once('@')?;
                let host = idna::domain_to_ascii(host).ok()?;
                mailbox_is_within(&format!("{local}@{host}"), base)
            }
            (GeneralName::Dns(base), GeneralName::Dns(host)) => Some(match base.strip_prefix('.') {
                Some(_) => host_is_below(host, base),
                None => base.is_empty() || host.eq_ignore_ascii_case(base) || host_is_below(host, &format!(".{base}")),
            }),
            (GeneralName::Uri(base), GeneralName::Uri(uri)) => host_is_within(host_of(uri)?, base),
            (GeneralName::Ip(base), GeneralName::Ip(address)) => ip_is_within(address, base),
            _ => None,
        }
    }
}

impl GeneralName<'_> {
    const RFC822_FORM: u8 = 1;

    /// Whether it is of this form, numbered as `GeneralName`'s alternatives are. A mailbox in UTF-8 is both another name
    /// and a mailbox.
    fn is_form(&self, form: u8) -> bool {
        match self {
            Self::SmtpUtf8Mailbox(_) => form <= Self::RFC822_FORM,
            Self::Rfc822(_) => form == Self::RFC822_FORM,
            Self::Dns(_) => form == 2,
            Self::Directory(_) => form == 4,
            Self::Uri(_) => form == 6,
            Self::Ip(_) => form == 7,
            Self::Other(tag) => form == tag & 0x1f,
        }
    }
}

/// A mailbox, all mailboxes at a host, or all at hosts below a domain (with a leading dot).
fn mailbox_is_within(mailbox: &str, base: &str) -> Option<bool> {
    let (local, host) = mailbox.rsplit_once('@')?;
    match base.rsplit_once('@') {
        Some((base_local, base_host)) => {
            Some(local.to_lowercase() == base_local.to_lowercase() && host.eq_ignore_ascii_case(base_host))
        }
        None => host_is_within(host, base),
    }
}

fn host_is_within(host: &str, base: &str) -> Option<bool> {
    if host.is_empty() {
        return None;
    }
    Some(match base.strip_prefix('.') {
        Some(_) => host_is_below(host, base),
        None => base.is_empty() || host.eq_ignore_ascii_case(base),
    })
}

fn host_is_below(host: &str, dotted: &str) -> bool {
    let cut = host.len().checked_sub(dotted.len()).filter(|cut| *cut > 0);
    cut.and_then(|cut| host.get(cut..)).is_some_and(|end| end.eq_ignore_ascii_case(dotted))
}

/// The host of a URI that names one; not an address in digits, which RFC 5280 §4.2.1.10 refuses here.
fn host_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let is_address = host.starts_with('[') || host.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    (!is_address).then_some(host)
}

fn ip_is_within(address: &[u8], base: &[u8]) -> Option<bool> {
    let (network, mask) = base.split_at_checked(base.len() / 2)?;
    if network.len() != mask.len() || !matches!(address.len(), 4 | 16) {
        return None;
    }
    let is_same = |((address, network), mask): ((&u8, &u8), &u8)| address & mask == network & mask;
    Some(address.len() == network.len() && address.iter().zip(network).zip(mask).all(is_same))
}

#[cfg(test)]
mod tests {
    use crate::cms::constraint::{Constraints, NameFlaw, Subtree};
    use crate::cms::extension::{GeneralName, NameConstraints};

    fn judged<'a>(
        permitted: &[GeneralName<'a>],
        excluded: &[GeneralName<'a>],
        name: GeneralName<'a>,
    ) -> Result<(), NameFlaw> {
        let mut constraints = Constraints::default();
        constraints.add(NameConstraints { permitted: permitted.to_vec(), excluded: excluded.to_vec() });
        constraints.check_name(&Subtree::new(name))
    }

    #[test]
    fn mailboxes_are_held_to_host_domain_or_one_box() {
        let permitted = |base, mailbox| judged(&[GeneralName::Rfc822(base)], &[], GeneralName::Rfc822(mailbox));
        assert_eq!(permitted("sundby.example", "a@SUNDBY.example"), Ok(()));
        assert_eq!(permitted("sundby.example", "a@post.sundby.example"), Err(NameFlaw::NotPermitted));
        assert_eq!(permitted(".sundby.example", "a@post.sundby.example"), Ok(()));
        assert_eq!(permitted(".sundby.example", "a@sundby.example"), Err(NameFlaw::NotPermitted));
        assert_eq!(permitted(".sundby.example", "a@evilsundby.example"), Err(NameFlaw::NotPermitted));
        assert_eq!(permitted("b@sundby.example", "B@sundby.example"), Ok(()));
        assert_eq!(permitted("sundby.example", "no mailbox"), Err(NameFlaw::Incomparable));
        assert_eq!(permitted("sundby.example", "evil@x.example@sundby.example"), Ok(()));
    }

    #[test]
    fn a_mailbox_in_utf_8_is_held_to_the_constraints_of_mailboxes() {
        let permitted = |mailbox| {
            judged(&[GeneralName::Rfc822("xn--rdby-gra.example")], &[], GeneralName::SmtpUtf8Mailbox(mailbox))
        };
        assert_eq!(permitted("søren@xn--rdby-gra.example"), Ok(()));
        assert_eq!(permitted("søren@rødby.example"), Ok(()));
        assert_eq!(permitted("søren@sundby.example"), Err(NameFlaw::NotPermitted));
    }

    #[test]
    fn hosts_resources_and_addresses_have_their_own_rules() {
        let dns = |base, host| judged(&[], &[GeneralName::Dns(base)], GeneralName::Dns(host));
        assert_eq!(dns("sundby.example", "a.sundby.example"), Err(NameFlaw::Excluded));
        assert_eq!(dns("sundby.example", "asundby.example"), Ok(()));
        let uri = |base, uri| judged(&[GeneralName::Uri(base)], &[], GeneralName::Uri(uri));
        assert_eq!(uri(".sundby.example", "https://x@a.sundby.example:8443/p?q"), Ok(()));
        assert_eq!(uri("sundby.example", "https://other.example/sundby.example"), Err(NameFlaw::NotPermitted));
        assert_eq!(uri("sundby.example", "https://192.0.2.1/"), Err(NameFlaw::Incomparable));
        let ip = |address| judged(&[GeneralName::Ip(&[192, 0, 2, 0, 255, 255, 255, 0])], &[], GeneralName::Ip(address));
        assert_eq!(ip(&[192, 0, 2, 9]), Ok(()));
        assert_eq!(ip(&[192, 0, 3, 9]), Err(NameFlaw::NotPermitted));
    }

    #[test]
    fn a_constraint_of_a_kind_that_is_not_understood_refuses_names_of_that_kind_alone() {
        let other = [GeneralName::Other(0xa0)];
        assert_eq!(judged(&other, &[], GeneralName::Other(0xa0)), Err(NameFlaw::Incomparable));
        assert_eq!(judged(&other, &[], GeneralName::Rfc822("a@b.example")), Ok(()));
        assert_eq!(judged(&other, &[], GeneralName::SmtpUtf8Mailbox("ø@b.example")), Err(NameFlaw::Incomparable));
    }
}
