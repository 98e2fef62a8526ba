//! Object identifiers of names, extensions, content and certificates' algorithms.

use der::oid::ObjectIdentifier;

macro_rules! identifiers {
    ($($(#[$note:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$note])* pub const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($text);)*
    };
}

identifiers! {
    // Attributes of names (RFC 5280 Appendix A, RFC 2985 §5.2).
    AT_COMMON_NAME = "2.5.4.3";
    AT_SERIAL_NUMBER = "2.5.4.5";
    AT_COUNTRY = "2.5.4.6";
    AT_LOCALITY = "2.5.4.7";
    AT_STATE = "2.5.4.8";
    AT_ORGANIZATION = "2.5.4.10";
    AT_ORGANIZATIONAL_UNIT = "2.5.4.11";
    AT_ORGANIZATION_IDENTIFIER = "2.5.4.97";
    AT_EMAIL_ADDRESS = "1.2.840.113549.1.9.1";
    AT_DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25";

    // Extensions of certificates and CRLs (RFC 5280 §4.2, §5.2, §5.3).
    SUBJECT_KEY_IDENTIFIER = "2.5.29.14";
    KEY_USAGE = "2.5.29.15";
    SUBJECT_ALT_NAME = "2.5.29.17";
    BASIC_CONSTRAINTS = "2.5.29.19";
    CRL_NUMBER = "2.5.29.20";
    CRL_REASON = "2.5.29.21";
    DELTA_CRL_INDICATOR = "2.5.29.27";
    ISSUING_DISTRIBUTION_POINT = "2.5.29.28";
    CERTIFICATE_ISSUER = "2.5.29.29";
    NAME_CONSTRAINTS = "2.5.29.30";
    CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    CERTIFICATE_POLICIES = "2.5.29.32";
    ANY_POLICY = "2.5.29.32.0";
    POLICY_MAPPINGS = "2.5.29.33";
    AUTHORITY_KEY_IDENTIFIER = "2.5.29.35";
    POLICY_CONSTRAINTS = "2.5.29.36";
    EXT_KEY_USAGE = "2.5.29.37";
    INHIBIT_ANY_POLICY = "2.5.29.54";
    AUTHORITY_INFO_ACCESS = "1.3.6.1.5.5.7.1.1";
    /// SmtpUTF8Mailbox, RFC 9598 §3.
    ON_SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9";

    // Content (RFC 5652 §4 to §6, RFC 5083 §2.1, RFC 3274 §1.1).
    /// Content that is not protected: octets, mostly a MIME entity.
    DATA = "1.2.840.113549.1.7.1";
    SIGNED_DATA = "1.2.840.113549.1.7.2";
    ENVELOPED_DATA = "1.2.840.113549.1.7.3";
    AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23";
    COMPRESSED_DATA = "1.2.840.113549.1.9.16.1.9";

    // Attributes and recipients (RFC 5652 §11.1, RFC 9629 §3, RFC 8619 §3).
    CONTENT_TYPE = "1.2.840.113549.1.9.3";
    ORI_KEM = "1.2.840.113549.1.9.16.13.3";
    HKDF_SHA_256 = "1.2.840.113549.1.9.16.3.28";
    HKDF_SHA_384 = "1.2.840.113549.1.9.16.3.29";
    HKDF_SHA_512 = "1.2.840.113549.1.9.16.3.30";

    // Purposes and ways of access.
    EKU_ANY = "2.5.29.37.0";
    EKU_EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4";
    EKU_OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";
    AD_OCSP = "1.3.6.1.5.5.7.48.1";
    AD_CA_ISSUERS = "1.3.6.1.5.5.7.48.2";
    OCSP_BASIC = "1.3.6.1.5.5.7.48.1.1";
    OCSP_NONCE = "1.3.6.1.5.5.7.48.1.2";

    // Content that is not protected, and how it is compressed (RFC 5652 §4, 3274 §2).
    ZLIB_COMPRESSION = "1.2.840.113549.1.9.16.3.8";

    // Attributes of signatures (RFC 5652 §11, 8551 §2.5, 5035 §4, 6211, 3183 §2).
    MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
    SIGNING_TIME = "1.2.840.113549.1.9.5";
    SMIME_CAPABILITIES = "1.2.840.113549.1.9.15";
    ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52";
    ENCRYPTION_KEY_PREFERENCE = "1.2.840.113549.1.9.16.2.11";
    SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12";
    SIGNATURE_TYPE = "1.2.840.113549.1.9.16.2.28";
    SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47";
    PREFER_BINARY_INSIDE = "1.2.840.113549.1.9.16.11.1";
    ORIGINATOR_SIGNATURE = "1.2.840.113549.1.9.16.9.1";
    DOMAIN_SIGNATURE = "1.2.840.113549.1.9.16.9.2";
    ADDITIONAL_ATTRIBUTES_SIGNATURE = "1.2.840.113549.1.9.16.9.3";
    REVIEW_SIGNATURE = "1.2.840.113549.1.9.16.9.4";

    // Keys (RFC 3279, 4055, 5480, 8410, 9935).
    RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
    RSASSA_PSS = "1.2.840.113549.1.1.10";
    EC_PUBLIC_KEY = "1.2.840.10045.2.1";
    P256 = "1.2.840.10045.3.1.7";
    P384 = "1.3.132.0.34";
    P521 = "1.3.132.0.35";
    X25519 = "1.3.101.110";
    ED25519 = "1.3.101.112";
    ML_KEM_512 = "2.16.840.1.101.3.4.4.1";
    ML_KEM_768 = "2.16.840.1.101.3.4.4.2";
    ML_KEM_1024 = "2.16.840.1.101.3.4.4.3";

    // What a password opens (RFC 8018 Appendix C, RFC 9579).
    PBES2 = "1.2.840.113549.1.5.13";
    PBKDF2 = "1.2.840.113549.1.5.12";
    PBMAC1 = "1.2.840.113549.1.5.14";
    HMAC_SHA1 = "1.2.840.113549.2.7";
    HMAC_SHA256 = "1.2.840.113549.2.9";
    HMAC_SHA384 = "1.2.840.113549.2.10";
    HMAC_SHA512 = "1.2.840.113549.2.11";
    AES_128_CBC = "2.16.840.1.101.3.4.1.2";
    AES_192_CBC = "2.16.840.1.101.3.4.1.22";
    AES_256_CBC = "2.16.840.1.101.3.4.1.42";
    DES_EDE3_CBC = "1.2.840.113549.3.7";

    // Containers (RFC 5652 §4 and §8, RFC 7292 §4.2).
    ENCRYPTED_DATA = "1.2.840.113549.1.7.6";
    KEY_BAG = "1.2.840.113549.1.12.10.1.1";
    SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2";
    CERT_BAG = "1.2.840.113549.1.12.10.1.3";
    SAFE_CONTENTS_BAG = "1.2.840.113549.1.12.10.1.6";
    X509_CERTIFICATE = "1.2.840.113549.1.9.22.1";
}

/// Whether it is one of the locks of PKCS #5 version 1 (RFC 8018 Appendix A.3) or of PKCS #12 (RFC 7292 Appendix C): DES,
/// triple DES, RC2 and RC4, with a key from MD5 or SHA-1.
pub fn is_legacy_lock(identifier: ObjectIdentifier) -> bool {
    const FAMILIES: [ObjectIdentifier; 2] =
        [ObjectIdentifier::new_unwrap("1.2.840.113549.1.5"), ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1")];
    let parent = identifier.parent();
    let last = identifier.arc(identifier.len().saturating_sub(1)).unwrap_or_default();
    parent == Some(FAMILIES[1]) || (parent == Some(FAMILIES[0]) && last < 12)
}

/// What people write before an attribute's value (RFC 4514 §3), or the number.
pub fn attribute_label(attribute_type: &[u8]) -> String {
    let Ok(identifier) = ObjectIdentifier::from_bytes(attribute_type) else { return "?".to_owned() };
    match identifier {
        AT_COMMON_NAME => "CN",
        AT_SERIAL_NUMBER => "serialNumber",
        AT_COUNTRY => "C",
        AT_LOCALITY => "L",
        AT_STATE => "ST",
        AT_ORGANIZATION => "O",
        AT_ORGANIZATIONAL_UNIT => "OU",
        AT_ORGANIZATION_IDENTIFIER => "organizationIdentifier",
        AT_EMAIL_ADDRESS => "emailAddress",
        AT_DOMAIN_COMPONENT => "DC",
        other => return other.to_string(),
    }
    .to_owned()
}
