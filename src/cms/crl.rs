//! A certificate revocation list (RFC 5280 §5): well-formed, not trusted.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::cms::ber;
use crate::cms::element::{
    BIT_STRING, ENUMERATED, Element, Fields, GENERALIZED_TIME, INTEGER, SEQUENCE, SET, Seconds, UTC_TIME, constructed,
    context, encode,
};
use crate::cms::error::CmsError;
use crate::cms::extension::{DistributionPoint, Extension, GeneralName, RelativeName, distribution_point_name};
use crate::cms::name::Name;
use crate::cms::oid;
use crate::cms::public_key::{PublicKey, SignatureFault, Strictness, signature_algorithm};

/// Octets of a list that is read. Those of a country's authority have some ten million.
pub const CRL_OCTETS: usize = 64 << 20;

/// A revocation list. A copy costs nothing.
#[derive(Clone)]
pub struct Crl {
    der: Arc<[u8]>,
    parts: Arc<Parts>,
}

struct Parts {
    signed: Range<usize>,
    issuer: Range<usize>,
    this_update: Seconds,
    next_update: Option<Seconds>,
    revoked: Option<Range<usize>>,
    extensions: Option<Range<usize>>,
    algorithm: Range<usize>,
    is_algorithm_one: bool,
    signature: Range<usize>,
}

/// What the list is about (RFC 5280 §5.2.5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Names of the place it is found at.
    pub names: Vec<GeneralName<'a>>,
    /// Such a name relative to the list's issuer.
    pub relative: Option<RelativeName<'a>>,
    /// No certificates of authorities.
    pub only_user: bool,
    /// Certificates of authorities alone.
    pub only_authorities: bool,
    /// Attribute certificates alone.
    pub only_attributes: bool,
    /// These reasons alone, bit 0 of the standard as the lowest.
    pub reasons: Option<u16>,
    /// Entries may be about other issuers' certificates.
    pub is_indirect: bool,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Since when.
    pub at: Seconds,
    /// Reason code (RFC 5280 §5.3.1); 0 where none is told.
    pub reason: u8,
}

impl Crl {
    /// Reads one list, DER or BER.
    ///
    /// # Errors
    /// It is none, more octets follow, or it is longer than [`CRL_OCTETS`].
    pub fn read(octets: &[u8]) -> Result<Self, CmsError> {
        if octets.len() > CRL_OCTETS {
            return Err(CmsError::TooMany { what: "octets in a revocation list", limit: CRL_OCTETS });
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

    /// The whole, in DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Who signed it.
    #[must_use]
    pub fn issuer(&self) -> Name<'_> {
        Name::new(self.part(&self.parts.issuer))
    }

    /// When it was issued.
    #[must_use]
    pub fn this_update(&self) -> Seconds {
        self.parts.this_update
    }

    /// When the next is due.
    #[must_use]
    pub fn next_update(&self) -> Option<Seconds> {
        self.parts.next_update
    }

    /// Whether it is in force: issued, and the next not due for longer than `grace` seconds. One that does not say when
    /// the next is due (RFC 5280 §5.1.2.5 demands it) is not.
    #[must_use]
    pub fn is_fresh(&self, at: Seconds, grace: Seconds) -> bool {
        self.parts.this_update <= at && self.parts.next_update.is_some_and(|next| at <= next.saturating_add(grace))
    }

    /// All extensions of the list.
    ///
    /// # Errors
    /// They are malformed.
    pub fn extensions(&self) -> Result<Vec<Extension<'_>>, CmsError> {
        let Some(range) = &self.parts.extensions else { return Ok(Vec::new()) };
        Extension::all(Element::only(self.part(range), SEQUENCE)?)
    }

    /// An extension's value, in DER.
    pub fn extension(&self, id: der::oid::ObjectIdentifier) -> Result<Option<Extension<'_>>, CmsError> {
        Ok(self.extensions()?.into_iter().find(|extension| extension.id == id.as_bytes()))
    }

    /// Its number, or that of the list a delta goes with: content octets without leading zeros.
    pub fn number_of(&self, id: der::oid::ObjectIdentifier) -> Result<Option<&[u8]>, CmsError> {
        self.extension(id)?.map(|extension| extension.long_number()).transpose()
    }

    /// Whether it tells only what changed since another (RFC 5280 §5.2.4).
    ///
    /// # Errors
    /// The extensions are malformed.
    pub fn is_delta(&self) -> Result<bool, CmsError> {
        self.extension(oid::DELTA_CRL_INDICATOR).map(|indicator| indicator.is_some())
    }

    /// What it is about; of a list that does not say, all of its issuer's.
    ///
    /// # Errors
    /// The extension is malformed.
    pub fn scope(&self) -> Result<Scope<'_>, CmsError> {
        self.extension(oid::ISSUING_DISTRIBUTION_POINT)?.map_or(Ok(Scope::default()), |point| Scope::read(point.value))
    }

    /// Whether all critical extensions of the list are understood here.
    pub fn is_understood(&self) -> Result<bool, CmsError> {
        let known =
            [oid::ISSUING_DISTRIBUTION_POINT, oid::DELTA_CRL_INDICATOR, oid::CRL_NUMBER, oid::AUTHORITY_KEY_IDENTIFIER];
        let is_known = |id: &[u8]| known.iter().any(|known| known.as_bytes() == id);
        Ok(self.extensions()?.iter().all(|extension| !extension.critical || is_known(extension.id)))
    }

    /// Whether this key signed it.
    ///
    /// # Errors
    /// [`SignatureFault`]; what is malformed is not supported.
    pub fn verify_by(&self, key: &PublicKey<'_>, strictness: Strictness) -> Result<(), SignatureFault> {
        if !self.parts.is_algorithm_one {
            return Err(SignatureFault::Mismatch);
        }
        let algorithm = signature_algorithm(self.part(&self.parts.algorithm))?;
        let signature = Element::only(self.part(&self.parts.signature), BIT_STRING)
            .and_then(|bits| bits.octets_of_bits())
            .map_err(|_| SignatureFault::Wrong)?;
        key.verify(algorithm, self.part(&self.parts.signed), signature, strictness).map(|_| ())
    }

    /// The entry of the certificate of that issuer and serial number (content octets). In an indirect list an entry names
    /// its issuer, or stands for the one before it (RFC 5280 §5.3.3).
    ///
    /// # Errors
    /// An entry is malformed, or has a critical extension that is not understood: the list must not be used.
    pub fn entry(&self, issuer: Name<'_>, serial: &[u8]) -> Result<Option<Entry>, CmsError> {
        let Some(range) = &self.parts.revoked else { return Ok(None) };
        let mut entries = Element::only(self.part(range), SEQUENCE)?.fields();
        let is_issuer = |named: Name<'_>| named.matches(issuer);
        let mut is_ours = is_issuer(self.issuer());
        let mut found = None;
        while !entries.is_empty() {
            let entry = entries.take(SEQUENCE)?;
            let mut fields = entry.fields();
            let number = fields.take(INTEGER)?.content();
            let time = fields.any()?;
            let mut reason = 0;
            if let Some(extensions) = fields.take_if(SEQUENCE)? {
                for extension in Extension::all(extensions)? {
                    if extension.id == oid::CRL_REASON.as_bytes() {
                        let code = Element::only(extension.value, ENUMERATED)?.unsigned()?;
                        reason = u8::try_from(code).unwrap_or(0);
                    } else if extension.id == oid::CERTIFICATE_ISSUER.as_bytes() {
                        let names = extension.names()?;
                        is_ours =
                            names.iter().any(|name| matches!(name, GeneralName::Directory(name) if is_issuer(*name)));
                    } else if extension.critical {
                        return Err(CmsError::Unexpected("an entry of a revocation list has a critical extension"));
                    }
                }
            }
            fields.end()?;
            if is_ours && number == serial && found.is_none() {
                found = Some(Entry { at: time.time()?, reason });
            }
        }
        Ok(found)
    }
}

impl<'a> Scope<'a> {
    fn read(value: &'a [u8]) -> Result<Self, CmsError> {
        let mut fields = Element::only(value, SEQUENCE)?.fields();
        let mut scope = Self::default();
        if let Some(name) = fields.take_if(constructed(0))? {
            (scope.names, scope.relative) = distribution_point_name(name)?;
        }
        let flag = |fields: &mut Fields<'a>, number| match fields.take_if(context(number))? {
            Some(flag) => flag.boolean(),
            None => Ok(false),
        };
        scope.only_user = flag(&mut fields, 1)?;
        scope.only_authorities = flag(&mut fields, 2)?;
        scope.reasons = fields.take_if(context(3))?.map(|bits| bits.flags()).transpose()?;
        scope.is_indirect = flag(&mut fields, 4)?;
        scope.only_attributes = flag(&mut fields, 5)?;
        fields.end()?;
        Ok(scope)
    }

    /// Whether the list is found at this place (RFC 5280 §6.3.3 b 2 i): one name of both is the same. `issuer` is the
    /// list's, to which relative names are relative.
    #[must_use]
    pub fn is_at(&self, point: &DistributionPoint<'_>, issuer: Name<'_>) -> bool {
        if self.names.is_empty() && self.relative.is_none() {
            return true;
        }
        let ours = whole_names(&self.names, self.relative, issuer);
        let theirs = if point.names.is_empty() && point.relative.is_none() {
            point.crl_issuer.iter().map(|name| name.as_der().to_vec()).map(Place::Directory).collect()
        } else {
            whole_names(&point.names, point.relative, issuer)
        };
        ours.iter().any(|our| theirs.iter().any(|their| our.is(their)))
    }
}

/// A name of a place, whole.
enum Place {
    Directory(Vec<u8>),
    Uri(String),
}

impl Place {
    fn is(&self, other: &Place) -> bool {
        match (self, other) {
            (Self::Directory(one), Self::Directory(other)) => Name::new(one).matches(Name::new(other)),
            (Self::Uri(one), Self::Uri(other)) => one == other,
            _ => false,
        }
    }
}

fn whole_names(names: &[GeneralName<'_>], relative: Option<RelativeName<'_>>, issuer: Name<'_>) -> Vec<Place> {
    let mut places: Vec<Place> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::Directory(name) => Some(Place::Directory(name.as_der().to_vec())),
            GeneralName::Uri(uri) => Some(Place::Uri((*uri).to_owned())),
            _ => None,
        })
        .collect();
    if let Some(RelativeName(content)) = relative {
        let before = Element::only(issuer.as_der(), SEQUENCE).map(|name| name.content()).unwrap_or_default();
        places.push(Place::Directory(encode(SEQUENCE, &[before, &encode(SET, &[content])])));
    }
    places
}

impl Parts {
    fn find(octets: &[u8]) -> Result<Self, CmsError> {
        let mut outer = Element::only(octets, SEQUENCE)?.fields();
        let signed = outer.take(SEQUENCE)?;
        let algorithm = outer.take(SEQUENCE)?;
        let signature = outer.take(BIT_STRING)?.range();
        outer.end()?;
        let mut fields = signed.fields();
        fields.take_if(INTEGER)?;
        let is_algorithm_one = fields.take(SEQUENCE)?.whole() == algorithm.whole();
        let issuer = fields.take(SEQUENCE)?.range();
        let this_update = fields.any()?.time()?;
        let next_update = match fields.peek() {
            Some(UTC_TIME | GENERALIZED_TIME) => Some(fields.any()?.time()?),
            _ => None,
        };
        let revoked = fields.take_if(SEQUENCE)?.map(|list| list.range());
        let extensions = match fields.take_if(constructed(0))? {
            Some(field) => Some(field.inner(SEQUENCE)?.range()),
            None => None,
        };
        fields.end()?;
        let (signed, algorithm) = (signed.range(), algorithm.range());
        Ok(Self {
            signed,
            issuer,
            this_update,
            next_update,
            revoked,
            extensions,
            algorithm,
            is_algorithm_one,
            signature,
        })
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crl").field("this_update", &self.parts.this_update).finish_non_exhaustive()
    }
}
