//! The bounds of CMS: lengths, depths and counts nobody may exceed.

/// Nesting of ASN.1 elements. An enveloped message needs twelve, a signed one with its certificates some twenty.
pub const DEPTH: usize = 40;
/// ASN.1 elements in one structure that is held in memory; the segments of a streamed content are not counted.
pub const ELEMENTS: usize = 200_000;
/// Octets of one structure that is held in memory: recipients, attributes, certificates, but not the content.
pub const HELD_OCTETS: usize = 8 << 20;
/// Recipients of one message. A tunnel needs one or two; a list of persons with their departments may need hundreds.
pub const RECIPIENTS: usize = 2_000;
/// Attributes in one set.
pub const ATTRIBUTES: usize = 100;
/// Octets of user keying material, RFC 5753 §3.1; a nonce has 16 to 64.
pub const KEYING_MATERIAL_OCTETS: usize = 1_024;
/// Octets of an encrypted content key: the modulus of an RSA key with 16,384 bits.
pub const ENCRYPTED_KEY_OCTETS: usize = 2_048;
/// Octets of an AES-GCM nonce; RFC 5084 §3.2 recommends 12.
pub const NONCE_OCTETS: usize = 64;
/// Octets under one key and nonce of AES-GCM: 2^32 - 2 blocks, NIST SP 800-38D §5.2.1.1.
pub const GCM_OCTETS: u64 = ((1 << 32) - 2) * 16;
/// Signers of one message. One or two are usual.
pub const SIGNERS: usize = 32;
/// Certificates in one message; a bundle of an authority may have some hundred.
pub const CERTIFICATES: usize = 1_000;
/// Revocation lists in one message.
pub const CRLS: usize = 100;
/// Digest algorithms announced before the content.
pub const DIGESTS: usize = 32;
/// Certificates of one name that are tried for one signer.
pub const CANDIDATES: usize = 8;
/// Octets of decompressed content for each that came, beyond the first 64 KiB. Text shrinks to a tenth; zeros to a
/// thousandth.
pub const DECOMPRESSION_RATIO: u64 = 200;
