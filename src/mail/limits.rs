//! The bounds of mail: lengths, depths and counts nobody may exceed.

/// Octets in a local part, RFC 5321 §4.5.3.1.1.
pub const LOCAL_PART_OCTETS: usize = 64;
/// Octets in a domain, RFC 5321 §4.5.3.1.2.
pub const DOMAIN_OCTETS: usize = 255;
/// Octets in a path without its angle brackets, RFC 5321 §4.5.3.1.3.
pub const PATH_OCTETS: usize = 254;
/// Octets in one line of text, CRLF included. RFC 5321 §4.5.3.1.6 asks for 1,000; real clients send longer
/// header lines, so the door is more patient than the standard.
pub const TEXT_LINE_OCTETS: usize = 65_536;
/// Octets in a message's whole header.
pub const HEADER_OCTETS: usize = 1 << 20;
/// Header fields in a message.
pub const HEADER_FIELDS: usize = 2_000;
/// `Received` fields before a message goes in a circle (RFC 5321 §6.3 asks for at least 100).
pub const HOPS: usize = 100;
/// Recipients of one envelope. RFC 5321 §4.5.3.1.8 asks for at least 100.
pub const RECIPIENTS: usize = 1_000;
/// Nesting of MIME entities, message/rfc822 included.
pub const MIME_DEPTH: usize = 32;
/// MIME entities in one message.
pub const MIME_PARTS: usize = 2_000;
/// Ids read from one field, such as `References`.
pub const MESSAGE_IDS: usize = 2_000;
