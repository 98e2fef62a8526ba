//! Extensions of certificates (RFC 5280 §4.2), each read when somebody asks for it.

use crate::cms::element::{
    BOOLEAN, Element, Fields, INTEGER, OCTET_STRING, OID, SEQUENCE, UTF8_STRING, constructed, context,
};
use crate::cms::error::CmsError;
use crate::cms::name::{Name, directory_name};
use crate::cms::oid;

/// Extensions of one certificate or list.
const EXTENSIONS: usize = 100;
/// Names in one extension.
pub const NAMES: usize = 1000;
/// Policies, mappings, purposes, distribution points in one extension.
const ENTRIES: usize = 100;

/// One extension: what it is, whether it may be passed over, and what it says, still unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The content octets of its object identifier.
    pub id: &'a [u8],
    /// Who does not understand it must refuse the certificate.
    pub critical: bool,
    /// DER of what it says.
    pub value: &'a [u8],
}

/// What the key may be used for (RFC 5280 §4.2.1.3), as far as it concerns mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage(u16);

/// Whether the subject is a certificate authority, and how many may follow it (RFC 5280 §4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BasicConstraints {
    /// It may sign certificates.
    pub ca: bool,
    /// How many authorities that are not self-issued may follow.
    pub path_length: Option<u64>,
}

/// A name of any kind (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeneralName<'a> {
    /// A mailbox in ASCII.
    Rfc822(&'a str),
    /// A mailbox whose local part is not ASCII (RFC 9598).
    SmtpUtf8Mailbox(&'a str),
    /// A host.
    Dns(&'a str),
    /// A distinguished name.
    Directory(Name<'a>),
    /// A resource.
    Uri(&'a str),
    /// An address: 4 or 16 octets, in constraints 8 or 32 with the mask.
    Ip(&'a [u8]),
    /// Any other kind: its tag. Kinds that are known but malformed come as this, too.
    Other(u8),
}

/// Names that may or must not stand below an authority (RFC 5280 §4.2.1.10).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameConstraints<'a> {
    /// One of each kind's must hold.
    pub permitted: Vec<GeneralName<'a>>,
    /// None must hold.
    pub excluded: Vec<GeneralName<'a>>,
}

/// Counters of certificates until a demand begins (RFC 5280 §4.2.1.11).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyConstraints {
    /// Until an acceptable policy must be there.
    pub require_explicit: Option<u64>,
    /// Until mapping ends.
    pub inhibit_mapping: Option<u64>,
}

/// One policy under two names (RFC 5280 §4.2.1.5): the content octets of both object identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyMapping<'a> {
    /// What the issuer calls it.
    pub issuers: &'a [u8],
    /// What the subject calls it.
    pub subjects: &'a [u8],
}

/// Whose key signed (RFC 5280 §4.2.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorityKeyId<'a> {
    /// The subject key identifier of the issuer's certificate.
    pub key_id: Option<&'a [u8]>,
    /// The content octets of the serial number of the issuer's certificate.
    pub serial: Option<&'a [u8]>,
}

/// Where revocations are told (RFC 5280 §4.2.1.13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DistributionPoint<'a> {
    /// Names of the place, any of which will do; a name relative to the issuer is [`RelativeName`]'s.
    pub names: Vec<GeneralName<'a>>,
    /// A relative name: the content of its set.
    pub relative: Option<RelativeName<'a>>,
    /// The reasons it tells of, bit 0 of the standard as the lowest; none means all.
    pub reasons: Option<u16>,
    /// Who issues the list, if not the issuer of the certificate.
    pub crl_issuer: Vec<Name<'a>>,
}

/// What is to be put behind the issuer's name (RFC 5280 §4.2.1.13): content of a `RelativeDistinguishedName`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelativeName<'a>(pub &'a [u8]);

impl<'a> Extension<'a> {
    /// All of an `Extensions` sequence.
    pub fn all(extensions: Element<'a>) -> Result<Vec<Extension<'a>>, CmsError> {
        extensions.fields().all(EXTENSIONS)?.into_iter().map(Self::read).collect()
    }

    fn read(element: Element<'a>) -> Result<Self, CmsError> {
        let mut fields = element.fields();
        let id = fields.take(OID)?.content();
        let critical = fields.take_if(BOOLEAN)?.map_or(Ok(false), |flag| flag.boolean())?;
        let value = fields.take(OCTET_STRING)?.content();
        fields.end()?;
        Ok(Self { id, critical, value })
    }

    fn sequence(&self) -> Result<Fields<'a>, CmsError> {
        Element::only(self.value, SEQUENCE).map(|element| element.fields())
    }

    /// As key usage.
    pub fn key_usage(&self) -> Result<KeyUsage, CmsError> {
        Element::only(self.value, crate::cms::element::BIT_STRING)?.flags().map(KeyUsage)
    }

    /// As basic constraints.
    pub fn basic_constraints(&self) -> Result<BasicConstraints, CmsError> {
        let mut fields = self.sequence()?;
        let ca = fields.take_if(BOOLEAN)?.map_or(Ok(false), |flag| flag.boolean())?;
        let path_length = fields.take_if(INTEGER)?.map(|number| number.unsigned()).transpose()?;
        fields.end()?;
        Ok(BasicConstraints { ca, path_length })
    }

    /// As a list of object identifiers: their content octets.
    pub fn purposes(&self) -> Result<Vec<&'a [u8]>, CmsError> {
        self.sequence()?.all(ENTRIES)?.into_iter().map(identifier).collect()
    }

    /// As certificate policies: the content octets of each; qualifiers are for people.
    pub fn policies(&self) -> Result<Vec<&'a [u8]>, CmsError> {
        let entries = self.sequence()?.all(ENTRIES)?;
        entries.into_iter().map(|entry| entry.fields().take(OID).map(|policy| policy.content())).collect()
    }

    /// As policy mappings.
    pub fn mappings(&self) -> Result<Vec<PolicyMapping<'a>>, CmsError> {
        let pair = |entry: Element<'a>| {
            let mut fields = entry.fields();
            let pair = PolicyMapping { issuers: fields.take(OID)?.content(), subjects: fields.take(OID)?.content() };
            fields.end().map(|()| pair)
        };
        self.sequence()?.all(ENTRIES)?.into_iter().map(pair).collect()
    }

    /// As policy constraints.
    pub fn policy_constraints(&self) -> Result<PolicyConstraints, CmsError> {
        let mut fields = self.sequence()?;
        let require_explicit = fields.take_if(context(0))?.map(|number| number.unsigned()).transpose()?;
        let inhibit_mapping = fields.take_if(context(1))?.map(|number| number.unsigned()).transpose()?;
        fields.end()?;
        Ok(PolicyConstraints { require_explicit, inhibit_mapping })
    }

    /// As a number.
    pub fn number(&self) -> Result<u64, CmsError> {
        Element::only(self.value, INTEGER)?.unsigned()
    }

    /// As a number of any size: its content octets without leading zeros.
    pub fn long_number(&self) -> Result<&'a [u8], CmsError> {
        let mut octets = Element::only(self.value, INTEGER)?.content();
        while let [0, rest @ ..] = octets {
            octets = rest;
        }
        Ok(octets)
    }

    /// As octets: the subject key identifier.
    pub fn octets(&self) -> Result<&'a [u8], CmsError> {
        Element::only(self.value, OCTET_STRING).map(|element| element.content())
    }

    /// As an authority key identifier.
    pub fn authority_key_id(&self) -> Result<AuthorityKeyId<'a>, CmsError> {
        let mut fields = self.sequence()?;
        let key_id = fields.take_if(context(0))?.map(|id| id.content());
        fields.take_if(constructed(1))?;
        let serial = fields.take_if(context(2))?.map(|number| number.content());
        fields.end()?;
        Ok(AuthorityKeyId { key_id, serial })
    }

    /// As a list of names.
    pub fn names(&self) -> Result<Vec<GeneralName<'a>>, CmsError> {
        let entries = self.sequence()?.all(NAMES)?;
        Ok(entries.into_iter().map(GeneralName::read).collect())
    }

    /// As name constraints. Subtrees with a minimum or a maximum are refused, as RFC 5280 §4.2.1.10 has none.
    pub fn name_constraints(&self) -> Result<NameConstraints<'a>, CmsError> {
        let mut fields = self.sequence()?;
        let mut subtrees = |number| match fields.take_if(constructed(number))? {
            Some(list) => list.fields().all(NAMES)?.into_iter().map(subtree).collect::<Result<Vec<_>, _>>(),
            None => Ok(Vec::new()),
        };
        let constraints = NameConstraints { permitted: subtrees(0)?, excluded: subtrees(1)? };
        fields.end()?;
        Ok(constraints)
    }

    /// As access descriptions: method (content octets of its OID) and place.
    pub fn accesses(&self) -> Result<Vec<(&'a [u8], GeneralName<'a>)>, CmsError> {
        let access = |entry: Element<'a>| {
            let mut fields = entry.fields();
            let method = fields.take(OID)?.content();
            Ok((method, GeneralName::read(fields.any()?)))
        };
        self.sequence()?.all(ENTRIES)?.into_iter().map(access).collect()
    }

    /// As CRL distribution points.
    pub fn distribution_points(&self) -> Result<Vec<DistributionPoint<'a>>, CmsError> {
        self.sequence()?.all(ENTRIES)?.into_iter().map(DistributionPoint::read).collect()
    }
}

impl KeyUsage {
    fn has(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }

    /// Signs what is not a certificate and not a promise.
    #[must_use]
    pub fn digital_signature(self) -> bool {
        self.has(0)
    }

    /// Signs what is to be proven later; also called contentCommitment.
    #[must_use]
    pub fn non_repudiation(self) -> bool {
        self.has(1)
    }

    /// Opens content keys.
    #[must_use]
    pub fn key_encipherment(self) -> bool {
        self.has(2)
    }

    /// Agrees on keys.
    #[must_use]
    pub fn key_agreement(self) -> bool {
        self.has(4)
    }

    /// Signs certificates.
    #[must_use]
    pub fn key_cert_sign(self) -> bool {
        self.has(5)
    }

    /// Signs revocation lists.
    #[must_use]
    pub fn crl_sign(self) -> bool {
        self.has(6)
    }
}

impl<'a> GeneralName<'a> {
    /// Reads one. What is malformed inside is [`GeneralName::Other`], so that its neighbours can be used.
    pub fn read(element: Element<'a>) -> Self {
        let ascii = || std::str::from_utf8(element.content()).ok().filter(|text| text.is_ascii());
        let known = match element.tag & 0x1f {
            0 => smtp_utf8_mailbox(element).ok().flatten().map(GeneralName::SmtpUtf8Mailbox),
            1 => ascii().map(GeneralName::Rfc822),
            2 => ascii().map(GeneralName::Dns),
            4 => directory_name(element).ok().map(GeneralName::Directory),
            6 => ascii().map(GeneralName::Uri),
            7 => Some(GeneralName::Ip(element.content())),
            _ => None,
        };
        known.unwrap_or(GeneralName::Other(element.tag))
    }
}

impl<'a> DistributionPoint<'a> {
    fn read(element: Element<'a>) -> Result<Self, CmsError> {
        let mut fields = element.fields();
        let mut point = Self::default();
        if let Some(name) = fields.take_if(constructed(0))? {
            (point.names, point.relative) = distribution_point_name(name)?;
        }
        point.reasons = fields.take_if(context(1))?.map(|bits| bits.flags()).transpose()?;
        if let Some(issuers) = fields.take_if(constructed(2))? {
            for issuer in issuers.fields().all(NAMES)? {
                if let GeneralName::Directory(name) = GeneralName::read(issuer) {
                    point.crl_issuer.push(name);
                }
            }
        }
        fields.end()?;
        Ok(point)
    }
}

/// The choice inside a distribution point: full names, or one relative to the issuer.
pub fn distribution_point_name(
    outer: Element<'_>,
) -> Result<(Vec<GeneralName<'_>>, Option<RelativeName<'_>>), CmsError> {
    let mut fields = outer.fields();
    let choice = fields.any()?;
    fields.end()?;
    match choice.tag {
        0xa0 => {
            let names = choice.fields().all(NAMES)?.into_iter().map(GeneralName::read).collect();
            Ok((names, None))
        }
        0xa1 => Ok((Vec::new(), Some(RelativeName(choice.content())))),
        _ => Err(CmsError::Unexpected("a distribution point has a name of no kind")),
    }
}

fn identifier(element: Element<'_>) -> Result<&[u8], CmsError> {
    if element.tag == OID { Ok(element.content()) } else { Err(CmsError::Unexpected("no object identifier")) }
}

fn subtree(element: Element<'_>) -> Result<GeneralName<'_>, CmsError> {
    let mut fields = element.fields();
    let base = GeneralName::read(fields.any()?);
    if let Some(minimum) = fields.take_if(context(0))?
        && minimum.unsigned()? != 0
    {
        return Err(CmsError::Unexpected("a subtree of names has a minimum"));
    }
    fields.end().map(|()| base)
}

fn smtp_utf8_mailbox(element: Element<'_>) -> Result<Option<&str>, CmsError> {
    let mut fields = element.fields();
    if fields.take(OID)?.content() != oid::ON_SMTP_UTF8_MAILBOX.as_bytes() {
        return Ok(None);
    }
    let text = fields.take(constructed(0))?.inner(UTF8_STRING)?.content();
    Ok(std::str::from_utf8(text).ok())
}
