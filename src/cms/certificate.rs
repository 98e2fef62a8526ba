//! A certificate (RFC 5280 §4): well-formed, not trusted. Its octets are kept as they came, and each part is read when
//! somebody asks for it, so that an odd extension or a long serial number does not spoil the rest.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use der::oid::ObjectIdentifier;

use crate::cms::ber;
use crate::cms::element::{BIT_STRING, Element, INTEGER, SEQUENCE, Seconds, constructed, context};
use crate::cms::error::CmsError;
use crate::cms::extension::{
    AuthorityKeyId, BasicConstraints, DistributionPoint, Extension, GeneralName, KeyUsage, NameConstraints,
    PolicyConstraints, PolicyMapping,
};
use crate::cms::name::Name;
use crate::cms::oid;
use crate::cms::public_key::{PublicKey, SignatureFault, Strictness, Weakness, signature_algorithm};
use crate::mail::Address;

/// Octets of a certificate that is read: one with a hash-based signature has some 50,000.
pub const CERTIFICATE_OCTETS: usize = 128 * 1024;

/// A certificate. A copy costs nothing.
#[derive(Clone)]
pub struct Certificate {
    der: Arc<[u8]>,
    parts: Arc<Parts>,
}

/// Where each part stands.
struct Parts {
    signed: Range<usize>,
    serial: Range<usize>,
    signed_algorithm: Range<usize>,
    issuer: Range<usize>,
    validity: Range<usize>,
    subject: Range<usize>,
    key_info: Range<usize>,
    extensions: Option<Range<usize>>,
    algorithm: Range<usize>,
    signature: Range<usize>,
}

impl Certificate {
    /// Reads one certificate: DER, or BER that is brought into DER, since it is DER that was signed (X.509 §6).
    ///
    /// # Errors
    /// It is none, more octets follow, or it is longer than [`CERTIFICATE_OCTETS`].
    pub fn read(octets: &[u8]) -> Result<Self, CmsError> {
        if octets.len() > CERTIFICATE_OCTETS {
            return Err(CmsError::TooMany { what: "octets in a certificate", limit: CERTIFICATE_OCTETS });
        }
        match Parts::find(octets) {
            Ok(parts) => Ok(Self { der: octets.into(), parts: Arc::new(parts) }),
            Err(fault) => {
                let der = ber::to_der(octets)?;
                let parts = Parts::find(&der).map_err(|_| fault)?;
                Ok(Self { der: der.as_ref().into(), parts: Arc::new(parts) })
            }
        }
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }

    fn content(&self, range: &Range<usize>, tag: u8) -> &[u8] {
        Element::only(self.part(range), tag).map(|element| element.content()).unwrap_or_default()
    }

    /// The whole, in DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 over the whole.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, &self.der).as_ref());
        fingerprint
    }

    /// The serial number's content octets, of whatever length and sign.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        self.content(&self.parts.serial, INTEGER)
    }

    /// Who signed it.
    #[must_use]
    pub fn issuer(&self) -> Name<'_> {
        Name::new(self.part(&self.parts.issuer))
    }

    /// Whose key it has.
    #[must_use]
    pub fn subject(&self) -> Name<'_> {
        Name::new(self.part(&self.parts.subject))
    }

    /// Issuer and subject are one name (RFC 5280 §3.2). It need not be signed by itself.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer().matches(self.subject())
    }

    /// From when to when it is valid; both ends are within.
    ///
    /// # Errors
    /// A time is malformed.
    pub fn validity(&self) -> Result<(Seconds, Seconds), CmsError> {
        let mut fields = Element::only(self.part(&self.parts.validity), SEQUENCE)?.fields();
        let times = (fields.any()?.time()?, fields.any()?.time()?);
        fields.end()?;
        Ok(times)
    }

    /// The key.
    ///
    /// # Errors
    /// It is malformed.
    pub fn public_key(&self) -> Result<PublicKey<'_>, CmsError> {
        PublicKey::read(self.part(&self.parts.key_info))
    }

    /// All extensions.
    ///
    /// # Errors
    /// They are malformed, too many, or one stands twice (RFC 5280 §4.2).
    pub fn extensions(&self) -> Result<Vec<Extension<'_>>, CmsError> {
        let Some(range) = &self.parts.extensions else { return Ok(Vec::new()) };
        let extensions = Extension::all(Element::only(self.part(range), SEQUENCE)?)?;
        for (index, extension) in extensions.iter().enumerate() {
            if extensions.iter().skip(index + 1).any(|other| other.id == extension.id) {
                return Err(CmsError::Unexpected("an extension stands twice in a certificate"));
            }
        }
        Ok(extensions)
    }

    fn extension<'a, T>(
        &'a self,
        id: ObjectIdentifier,
        read: impl Fn(&Extension<'a>) -> Result<T, CmsError>,
    ) -> Result<Option<T>, CmsError> {
        self.extensions()?.iter().find(|extension| extension.id == id.as_bytes()).map(read).transpose()
    }

    /// What the key may be used for; none says anything.
    ///
    /// # Errors
    /// The extension, or the list of them, is malformed. So with all that follow.
    pub fn key_usage(&self) -> Result<Option<KeyUsage>, CmsError> {
        self.extension(oid::KEY_USAGE, Extension::key_usage)
    }

    /// The purposes, as content octets of their object identifiers; none says any.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn purposes(&self) -> Result<Option<Vec<&[u8]>>, CmsError> {
        self.extension(oid::EXT_KEY_USAGE, Extension::purposes)
    }

    /// Whether it is an authority's.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn basic_constraints(&self) -> Result<Option<BasicConstraints>, CmsError> {
        self.extension(oid::BASIC_CONSTRAINTS, Extension::basic_constraints)
    }

    /// Which names may stand below it.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn name_constraints(&self) -> Result<Option<NameConstraints<'_>>, CmsError> {
        self.extension(oid::NAME_CONSTRAINTS, Extension::name_constraints)
    }

    /// The policies it was issued under, as content octets of their object identifiers.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn policies(&self) -> Result<Option<Vec<&[u8]>>, CmsError> {
        self.extension(oid::CERTIFICATE_POLICIES, Extension::policies)
    }

    /// Policies of the issuer, each with what the subject calls it.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn policy_mappings(&self) -> Result<Vec<PolicyMapping<'_>>, CmsError> {
        self.extension(oid::POLICY_MAPPINGS, Extension::mappings).map(Option::unwrap_or_default)
    }

    /// From where on policies are demanded.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn policy_constraints(&self) -> Result<PolicyConstraints, CmsError> {
        self.extension(oid::POLICY_CONSTRAINTS, Extension::policy_constraints).map(Option::unwrap_or_default)
    }

    /// From where on anyPolicy means nothing.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn inhibit_any_policy(&self) -> Result<Option<u64>, CmsError> {
        self.extension(oid::INHIBIT_ANY_POLICY, Extension::number)
    }

    /// The identifier of its key, as CMS and its children name it.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn subject_key_id(&self) -> Result<Option<&[u8]>, CmsError> {
        self.extension(oid::SUBJECT_KEY_IDENTIFIER, Extension::octets)
    }

    /// The identifier of the key that signed it.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn authority_key_id(&self) -> Result<Option<AuthorityKeyId<'_>>, CmsError> {
        self.extension(oid::AUTHORITY_KEY_IDENTIFIER, Extension::authority_key_id)
    }

    /// Other names of the subject.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn alternative_names(&self) -> Result<Vec<GeneralName<'_>>, CmsError> {
        self.extension(oid::SUBJECT_ALT_NAME, Extension::names).map(Option::unwrap_or_default)
    }

    /// The mailboxes it is for (RFC 8550 §3, RFC 9598): among the other names, and in the subject. What is no address is
    /// left out; many have none, and are no worse for it.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        let mut texts = self.subject().email_addresses();
        for name in self.alternative_names().unwrap_or_default() {
            match name {
                GeneralName::Rfc822(text) | GeneralName::SmtpUtf8Mailbox(text) => texts.push(text.to_owned()),
                _ => {}
            }
        }
        let mut addresses: Vec<Address> = texts.iter().filter_map(|text| Address::from_str(text).ok()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Where its revocation is told by lists.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn distribution_points(&self) -> Result<Vec<DistributionPoint<'_>>, CmsError> {
        self.extension(oid::CRL_DISTRIBUTION_POINTS, Extension::distribution_points).map(Option::unwrap_or_default)
    }

    /// URLs of its OCSP responders, RFC 5280 §4.2.2.1.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn ocsp_urls(&self) -> Result<Vec<&str>, CmsError> {
        self.access_urls(oid::AD_OCSP)
    }

    /// URLs of certificates of its issuer.
    ///
    /// # Errors
    /// As [`Certificate::key_usage`].
    pub fn issuer_urls(&self) -> Result<Vec<&str>, CmsError> {
        self.access_urls(oid::AD_CA_ISSUERS)
    }

    fn access_urls(&self, wanted: ObjectIdentifier) -> Result<Vec<&str>, CmsError> {
        let accesses = self.extension(oid::AUTHORITY_INFO_ACCESS, Extension::accesses)?.unwrap_or_default();
        Ok(accesses
            .into_iter()
            .filter(|(method, _)| *method == wanted.as_bytes())
            .filter_map(|(_, place)| if let GeneralName::Uri(url) = place { Some(url) } else { None })
            .collect())
    }

    /// Whether this key signed it.
    ///
    /// # Errors
    /// [`SignatureFault`]; what is malformed is not supported.
    pub fn verify_by(&self, key: &PublicKey<'_>, strictness: Strictness) -> Result<Option<Weakness>, SignatureFault> {
        let algorithm = self.part(&self.parts.algorithm);
        // Both places that tell it must agree (RFC 5280 §4.1.1.2).
        if algorithm != self.part(&self.parts.signed_algorithm) {
            return Err(SignatureFault::Mismatch);
        }
        let algorithm = signature_algorithm(algorithm)?;
        let signature = Element::only(self.part(&self.parts.signature), BIT_STRING)
            .and_then(|bits| bits.octets_of_bits())
            .map_err(|_| SignatureFault::Wrong)?;
        key.verify(algorithm, self.part(&self.parts.signed), signature, strictness)
    }
}

impl Parts {
    fn find(octets: &[u8]) -> Result<Self, CmsError> {
        let mut outer = Element::only(octets, SEQUENCE)?.fields();
        let signed = outer.take(SEQUENCE)?;
        let algorithm = outer.take(SEQUENCE)?.range();
        let signature = outer.take(BIT_STRING)?.range();
        outer.end()?;
        let mut fields = signed.fields();
        fields.take_if(constructed(0))?;
        let serial = fields.take(INTEGER)?.range();
        let signed_algorithm = fields.take(SEQUENCE)?.range();
        let issuer = fields.take(SEQUENCE)?.range();
        let validity = fields.take(SEQUENCE)?.range();
        let subject = fields.take(SEQUENCE)?.range();
        let key_info = fields.take(SEQUENCE)?.range();
        // Unique identifiers, which RFC 5280 §4.1.2.8 says to accept and not to use.
        fields.take_if(context(1))?;
        fields.take_if(context(2))?;
        let extensions = match fields.take_if(constructed(3))? {
            Some(field) => Some(field.inner(SEQUENCE)?.range()),
            None => None,
        };
        fields.end()?;
        let signed = signed.range();
        Ok(Self {
            signed,
            serial,
            signed_algorithm,
            issuer,
            validity,
            subject,
            key_info,
            extensions,
            algorithm,
            signature,
        })
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

/// The fingerprint alone: names belong to nobody's log.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(")?;
        for octet in self.fingerprint().iter().take(8) {
            write!(f, "{octet:02x}")?;
        }
        f.write_str("…)")
    }
}
