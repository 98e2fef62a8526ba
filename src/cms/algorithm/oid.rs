//! What the identifiers of our algorithms have in common: an object identifier and parameters.

use der::asn1::{Any, AnyRef, ObjectIdentifier};
use der::{Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

use crate::cms::error::CmsError;

/// The identifier without parameters.
pub(crate) fn bare(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: None }
}

/// The identifier with NULL for parameters, as RFC 4055 §2.1 wants it of hashes, and RFC 3370 §3.2 of RSA.
pub(crate) fn with_null(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: Some(Any::null()) }
}

/// The identifier with these parameters.
pub(crate) fn with(oid: ObjectIdentifier, parameters: &impl Encode) -> Result<AlgorithmIdentifierOwned, CmsError> {
    let parameters = Any::from_der(&parameters.to_der()?)?;
    Ok(AlgorithmIdentifierOwned { oid, parameters: Some(parameters) })
}

/// That no parameters are there, or NULL: what belongs there is told in both ways by old and new standards.
pub(crate) fn no_parameters(identifier: AlgorithmIdentifierRef<'_>, name: &'static str) -> Result<(), CmsError> {
    match identifier.parameters {
        None => Ok(()),
        Some(parameters) if parameters.is_null() => Ok(()),
        Some(_) => Err(CmsError::BadParameters(name)),
    }
}

/// The parameters, which must be there.
pub(crate) fn parameters<'a>(
    identifier: AlgorithmIdentifierRef<'a>,
    name: &'static str,
) -> Result<AnyRef<'a>, CmsError> {
    identifier.parameters.ok_or(CmsError::BadParameters(name))
}

/// The identifier, seen from outside.
pub(crate) fn borrowed(identifier: &AlgorithmIdentifierOwned) -> AlgorithmIdentifierRef<'_> {
    AlgorithmIdentifierRef { oid: identifier.oid, parameters: identifier.parameters.as_ref().map(AnyRef::from) }
}
