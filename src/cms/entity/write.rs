//! Writes S/MIME entities, RFC 8551 §3.2 and 3.5.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cms::entity::kind::SmimeType;
use crate::mail::{parameter, structured};

/// Octets that make a line of base 64 (RFC 2045 §6.8).
const LINE_OCTETS: usize = 57;

/// The fields that describe an `application/pkcs7-mime`, whose body is to follow in base 64. The empty line is not among
/// them: a message has fields of its own.
#[must_use]
pub fn entity_header(kind: SmimeType) -> Vec<u8> {
    let name = kind.file_name();
    let content = format!("application/pkcs7-mime; smime-type={}; {}", kind.name(), parameter("name", name));
    described(&content, name)
}

fn described(content_type: &str, name: &str) -> Vec<u8> {
    [
        structured("Content-Type", content_type),
        structured("Content-Transfer-Encoding", "base64"),
        structured("Content-Disposition", &format!("attachment; {}", parameter("filename", name))),
    ]
    .concat()
}

/// Writes a body in base 64 as its octets come.
#[derive(Debug, Default)]
pub struct Base64Writer {
    /// Octets that fill no line yet.
    pending: Vec<u8>,
}

impl Base64Writer {
    /// The next octets: the lines that they fill are appended to `out`.
    pub fn push(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while !octets.is_empty() {
            let (taken, rest) = octets.split_at(octets.len().min(LINE_OCTETS - self.pending.len()));
            self.pending.extend_from_slice(taken);
            octets = rest;
            if self.pending.len() == LINE_OCTETS {
                self.line(out);
            }
        }
    }

    /// The end.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            self.line(out);
        }
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(STANDARD.encode(&self.pending).as_bytes());
        out.extend_from_slice(b"\r\n");
        self.pending.clear();
    }
}

/// Writes a `multipart/signed`: the content follows what [`begin`](Self::begin) gives, and [`end`](Self::end) follows it.
#[derive(Debug, Clone)]
pub struct MultipartSignedWriter {
    boundary: String,
}

impl MultipartSignedWriter {
    /// One whose parts are told apart by this boundary: random, so that no content holds it.
    #[must_use]
    pub fn new(boundary: impl Into<String>) -> Self {
        Self { boundary: boundary.into() }
    }

    /// The field that describes the entity.
    #[must_use]
    pub fn header(&self, micalg: &str) -> Vec<u8> {
        let content = format!(
            "multipart/signed; protocol=\"application/pkcs7-signature\"; {}; boundary=\"{}\"",
            parameter("micalg", micalg),
            self.boundary
        );
        structured("Content-Type", &content)
    }

    /// What stands before the content, whose lines end by CRLF.
    #[must_use]
    pub fn begin(&self) -> Vec<u8> {
        format!("--{}\r\n", self.boundary).into_bytes()
    }

    /// What stands behind the content: its signature, detached.
    #[must_use]
    pub fn end(&self, signature: &[u8]) -> Vec<u8> {
        let mut out = format!("\r\n--{}\r\n", self.boundary).into_bytes();
        out.extend(described("application/pkcs7-signature; name=smime.p7s", "smime.p7s"));
        out.extend_from_slice(b"\r\n");
        let mut writer = Base64Writer::default();
        writer.push(signature, &mut out);
        writer.finish(&mut out);
        out.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        out
    }
}
