//! Which entities are S/MIME, RFC 8551 §3.9.

use crate::cms::error::CmsError;
use crate::mail::{Header, PartHead, TransferEncoding, content_parameter};

/// What an `application/pkcs7-mime` says that it holds (RFC 8551 §3.2.2). What it holds indeed, its octets tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmimeType {
    /// EnvelopedData.
    Enveloped,
    /// AuthEnvelopedData.
    AuthEnveloped,
    /// SignedData with its content.
    Signed,
    /// Certificates, signed by nobody.
    CertificatesOnly,
    /// CompressedData.
    Compressed,
}

impl SmimeType {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Enveloped, Self::AuthEnveloped, Self::Signed, Self::CertificatesOnly, Self::Compressed];

    /// As `smime-type` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enveloped => "enveloped-data",
            Self::AuthEnveloped => "authEnveloped-data",
            Self::Signed => "signed-data",
            Self::CertificatesOnly => "certs-only",
            Self::Compressed => "compressed-data",
        }
    }

    /// The file name that goes with it (RFC 8551 §3.2.1).
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Enveloped | Self::AuthEnveloped | Self::Signed => "smime.p7m",
            Self::CertificatesOnly => "smime.p7c",
            Self::Compressed => "smime.p7z",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name.trim()))
    }
}

/// An entity that holds CMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// In which way.
    pub kind: EntityKind,
    /// How its body is written.
    pub encoding: TransferEncoding,
}

/// In which way an entity holds CMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityKind {
    /// The body is CMS; it may say of which kind.
    Cms(Option<SmimeType>),
    /// The body is a signature that is detached from its content, and stands alone.
    LoneSignature,
    /// The first of two parts is signed in the second.
    MultipartSigned {
        /// What stands between the parts.
        boundary: Vec<u8>,
        /// The digests, as they are announced; any text.
        micalg: String,
    },
}

/// Why an S/MIME entity cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntityFault {
    /// It says twice what it is: readers would disagree.
    #[error("the entity says twice what it is")]
    Ambiguous,
    /// It is signed in parts, and does not say where they begin.
    #[error("the signed entity has no boundary")]
    NoBoundary,
    /// It has another number of parts than two (RFC 1847 §2.1).
    #[error("the signed entity has not two parts")]
    NotTwoParts,
    /// The second part is no signature.
    #[error("the second part of the signed entity is no signature")]
    NoSignature,
    /// Its end is missing.
    #[error("the entity is cut off")]
    CutOff,
    /// The header of its second part is longer than anybody's.
    #[error("the header of the signature is too long")]
    HeaderTooLong,
    /// Its encoding is damaged.
    #[error("the encoding of the entity is damaged")]
    DamagedEncoding,
    /// What it holds is no CMS that we read.
    #[error("{0}")]
    Cms(#[from] CmsError),
}

impl Entity {
    /// What the header of a message or part says; none if it is no S/MIME.
    ///
    /// # Errors
    /// [`EntityFault::Ambiguous`] or [`EntityFault::NoBoundary`], of an entity that may be S/MIME.
    pub fn of(header: &Header) -> Result<Option<Self>, EntityFault> {
        let head = PartHead::of(header, 0, false);
        let Some(kind) = kind(header, &head)? else { return Ok(None) };
        if ["Content-Type", "Content-Transfer-Encoding"].iter().any(|name| header.all(name).count() > 1) {
            return Err(EntityFault::Ambiguous);
        }
        Ok(Some(Self { kind, encoding: head.encoding }))
    }
}

/// Whether the media type is that of a detached signature.
pub(crate) fn is_signature(media_type: &str) -> bool {
    matches!(media_type, "application/pkcs7-signature" | "application/x-pkcs7-signature")
}

fn kind(header: &Header, head: &PartHead) -> Result<Option<EntityKind>, EntityFault> {
    let parameter = |name| content_parameter(header, name);
    match head.media_type.as_str() {
        "multipart/signed" => {
            // A protocol that is not named, or oddly, is no hindrance: the second part tells. OpenPGP's is another house.
            let protocol = parameter("protocol").unwrap_or_default().trim().to_ascii_lowercase();
            if protocol == "application/pgp-signature" {
                return Ok(None);
            }
            let boundary = head.boundary.clone().filter(|boundary| !boundary.trim_ascii().is_empty());
            let boundary = boundary.ok_or(EntityFault::NoBoundary)?;
            Ok(Some(EntityKind::MultipartSigned { boundary, micalg: parameter("micalg").unwrap_or_default() }))
        }
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
            let said = parameter("smime-type").and_then(|name| SmimeType::of(&name));
            Ok(Some(EntityKind::Cms(said.or_else(|| named(head).and_then(|(_, hint)| hint)))))
        }
        media_type if is_signature(media_type) => Ok(Some(EntityKind::LoneSignature)),
        media_type if media_type.starts_with("multipart/") || media_type.starts_with("message/") => Ok(None),
        // Any other type with such a name, RFC 8551 §3.9.
        _ => Ok(named(head).map(
            |(is_lone, hint)| {
                if is_lone { EntityKind::LoneSignature } else { EntityKind::Cms(hint) }
            },
        )),
    }
}

/// What the ending of a file name tells: a detached signature, or CMS, perhaps of a kind.
fn named(head: &PartHead) -> Option<(bool, Option<SmimeType>)> {
    let names = head.file_name.iter().chain(&head.other_names);
    names.into_iter().find_map(|name| {
        let (_, ending) = name.trim().rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "p7m" => Some((false, None)),
            "p7s" => Some((true, None)),
            "p7c" => Some((false, Some(SmimeType::CertificatesOnly))),
            "p7z" => Some((false, Some(SmimeType::Compressed))),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str) -> Result<Option<EntityKind>, EntityFault> {
        Entity::of(&Header::new(fields.replace('|', "\r\n").into_bytes())).map(|found| found.map(|entity| entity.kind))
    }

    #[test]
    fn entities_are_recognised_by_type_and_by_name() {
        for (fields, expected) in [
            (
                "Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data; name=\"smime.p7m\"|",
                Some(SmimeType::AuthEnveloped),
            ),
            (
                "Content-Type: application/x-pkcs7-mime;| name=smime.p7m; SMIME-TYPE=\"Signed-Data\"|",
                Some(SmimeType::Signed),
            ),
            ("Content-Type: application/pkcs7-mime; name=x.p7c|", Some(SmimeType::CertificatesOnly)),
            ("Content-Type: application/pkcs7-mime; smime-type=certs-only|", Some(SmimeType::CertificatesOnly)),
            ("Content-Type: application/octet-stream|Content-Disposition: attachment; filename=SMIME.P7M|", None),
            ("Content-Type: application/octet-stream; name=a.p7z|", Some(SmimeType::Compressed)),
            ("Content-Type: application/pkcs7-mime; smime-type=\"something else\"|", None),
        ] {
            assert_eq!(of(fields), Ok(Some(EntityKind::Cms(expected))), "{fields}");
        }
        for fields in
            ["Content-Type: application/octet-stream; name=a.p7s|", "Content-Type: application/pkcs7-signature|"]
        {
            assert_eq!(of(fields), Ok(Some(EntityKind::LoneSignature)), "{fields}");
        }
        for fields in [
            "Subject: smime.p7m|",
            "Content-Type: text/plain|",
            "Content-Type: multipart/mixed; boundary=b; name=a.p7m|",
            "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b|",
            "Content-Type: application/octet-stream; name=p7m|",
        ] {
            assert_eq!(of(fields), Ok(None), "{fields}");
        }
    }

    #[test]
    fn a_signed_multipart_is_recognised_whatever_it_announces() {
        for (protocol, micalg) in [
            ("protocol=\"application/pkcs7-signature\"; micalg=sha-256; ", "sha-256"),
            ("protocol=application/X-PKCS7-signature; micalg=\"sha1, md5\"; ", "sha1, md5"),
            ("protocol=nonsense; ", ""),
            ("", ""),
        ] {
            let fields = format!("Content-Type: multipart/signed; {protocol}boundary=\"b b\"|");
            let expected = EntityKind::MultipartSigned { boundary: b"b b".to_vec(), micalg: micalg.to_owned() };
            assert_eq!(of(&fields), Ok(Some(expected)), "{fields}");
        }
        assert_eq!(of("Content-Type: multipart/signed|"), Err(EntityFault::NoBoundary));
        let twice = "Content-Type: multipart/signed; boundary=a|Content-Type: multipart/signed; boundary=b|";
        assert_eq!(of(twice), Err(EntityFault::Ambiguous));
    }
}
