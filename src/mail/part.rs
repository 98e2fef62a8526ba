//! What the header of a part says about it.

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};

use crate::mail::encoded_word::decode;
use crate::mail::field::{Field, Header};
use crate::mail::transfer::TransferEncoding;

/// Octets of a boundary (RFC 2046 §5.1.1 allows 70; some programs write more).
pub(crate) const BOUNDARY_OCTETS: usize = 256;

/// Names read of one part.
const NAMES: usize = 16;

/// What is known of a part before its octets come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// Entities around it, messages included.
    pub depth: usize,
    /// `type/subtype` in lower case; `text/plain` where nothing is said (RFC 2045 §5.2).
    pub media_type: String,
    /// `charset`.
    pub charset: Option<String>,
    /// `delsp=yes`: the blank before a line end is not part of the text (RFC 3676 §4.2).
    pub deletes_blanks: bool,
    /// The name it is given, by `filename` or `name` (RFC 2183, 2231, 2047).
    pub file_name: Option<String>,
    /// Every name that any program may take for its own: fields and parameters said twice, `name` beside `filename`.
    pub other_names: Vec<String>,
    /// It has more names than that.
    pub has_more_names: bool,
    /// What place it takes.
    pub disposition: Disposition,
    /// How its octets are written.
    pub encoding: TransferEncoding,
    /// `boundary`, where it is a multipart.
    pub(crate) boundary: Option<Vec<u8>>,
    /// Readers will disagree about it: fields said twice, an encoding nobody knows, a multipart without a boundary.
    pub(crate) is_doubtful: bool,
}

/// What place a part takes in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// To be read with the message.
    Inline,
    /// A file.
    Attachment,
    /// Before, between or behind the parts of a multipart: what programs do not show. The media type is the
    /// multipart's own.
    Between,
    /// The rest of a message that passed a limit.
    Opaque,
}

impl PartHead {
    pub(crate) fn of(header: &Header, depth: usize, in_digest: bool) -> Self {
        let parse = |name: &str| parameters(&header.first(name)?);
        let content: Option<ContentType<'static>> = parse("Content-Type");
        let disposition = parse("Content-Disposition");
        let attribute = |from: &Option<ContentType<'static>>, name: &str| {
            from.as_ref().and_then(|c| c.attribute(name)).map(str::to_owned)
        };
        let default = if in_digest { "message/rfc822" } else { "text/plain" };
        let media_type = content.as_ref().map_or_else(
            || default.to_owned(),
            |c| format!("{}/{}", c.ctype(), c.subtype().unwrap_or("plain")).to_ascii_lowercase(),
        );
        let file_name =
            attribute(&disposition, "filename").or_else(|| attribute(&content, "name")).map(|name| decoded(&name));
        let is_file =
            disposition.as_ref().is_some_and(|d| d.ctype().eq_ignore_ascii_case("attachment")) || file_name.is_some();
        let encoding = header.first("Content-Transfer-Encoding").map(|field| field.unfolded().to_ascii_lowercase());
        let plain = ["7bit", "8bit", "binary", "base64", "quoted-printable"];
        let said_twice = ["Content-Type", "Content-Transfer-Encoding"].iter().any(|name| header.all(name).count() > 1)
            || ["boundary", "charset"].iter().any(|name| differs(&content, name));
        let mut other_names = names(header);
        let has_more_names = other_names.len() > NAMES;
        other_names.truncate(NAMES);
        let boundary = attribute(&content, "boundary").map(String::into_bytes);
        let without_boundary = media_type.starts_with("multipart/")
            && boundary.as_ref().is_none_or(|b| b.trim_ascii().is_empty() || b.len() > BOUNDARY_OCTETS);
        // RFC 2046 §5.2.1: a message within is not encoded; some readers decode it all the same.
        let encoded_message =
            media_type.starts_with("message/") && matches!(encoding.as_deref(), Some("base64" | "quoted-printable"));
        let unknown_encoding = encoding.as_deref().is_some_and(|e| !plain.contains(&e));
        Self {
            is_doubtful: said_twice || without_boundary || encoded_message || unknown_encoding,
            depth,
            charset: attribute(&content, "charset"),
            deletes_blanks: attribute(&content, "delsp").is_some_and(|value| value.eq_ignore_ascii_case("yes")),
            boundary,
            encoding: match encoding.as_deref().map(|e| e.split([' ', ';', '(']).next().unwrap_or_default()) {
                Some("base64") => TransferEncoding::Base64,
                Some("quoted-printable") => TransferEncoding::QuotedPrintable,
                Some(_) | None => TransferEncoding::Identity,
            },
            disposition: if is_file { Disposition::Attachment } else { Disposition::Inline },
            other_names,
            has_more_names,
            media_type,
            file_name,
        }
    }

    pub(crate) fn between(depth: usize) -> Self {
        Self { disposition: Disposition::Between, ..Self::opaque(depth) }
    }

    pub(crate) fn opaque(depth: usize) -> Self {
        Self {
            depth,
            media_type: "text/plain".to_owned(),
            charset: None,
            deletes_blanks: false,
            file_name: None,
            other_names: Vec::new(),
            has_more_names: false,
            disposition: Disposition::Opaque,
            encoding: TransferEncoding::Identity,
            boundary: None,
            is_doubtful: false,
        }
    }

    pub(crate) fn is_multipart(&self) -> bool {
        self.media_type.starts_with("multipart/")
    }

    pub(crate) fn is_message(&self) -> bool {
        matches!(self.media_type.as_str(), "message/rfc822" | "message/global")
    }
}

/// A parameter of the content's type, such as `micalg`.
pub(crate) fn content_parameter(header: &Header, name: &str) -> Option<String> {
    parameters(&header.first("Content-Type")?)?.attribute(name).map(str::to_owned)
}

fn parameters(field: &Field<'_>) -> Option<ContentType<'static>> {
    let value = field.value;
    let ended = if value.ends_with(b"\n") { value.to_vec() } else { [value, b"\r\n"].concat() };
    match MessageStream::new(&ended).parse_content_type().into_owned() {
        HeaderValue::ContentType(parsed) => Some(parsed),
        _ => None,
    }
}

/// Whether a parameter is said more than once, and not the same: readers disagree about which counts.
fn differs(content: &Option<ContentType<'static>>, name: &str) -> bool {
    let attributes = content.as_ref().and_then(|content| content.attributes()).unwrap_or_default().iter();
    let mut said = attributes
        .filter(|attribute| attribute.name.trim_end_matches('*').eq_ignore_ascii_case(name))
        .map(|attribute| &attribute.value);
    said.next().is_some_and(|first| said.any(|other| !other.eq_ignore_ascii_case(first)))
}

/// Every name that stands in a part's header, in order, and one more than are read where there are more.
fn names(header: &Header) -> Vec<String> {
    let fields = header.fields().filter(|field| field.is("Content-Disposition") || field.is("Content-Type"));
    let all = fields.filter_map(|field| parameters(&field));
    let mut names = Vec::new();
    for parsed in all {
        let attributes = parsed.attributes().unwrap_or_default().iter();
        let named = attributes.filter(|attribute| {
            ["filename", "name"].iter().any(|name| attribute.name.trim_end_matches('*').eq_ignore_ascii_case(name))
        });
        names.extend(named.take(NAMES + 1).map(|attribute| decoded(&attribute.value)));
    }
    names
}

/// Some programs write encoded words where RFC 2231 has another form.
fn decoded(name: &str) -> String {
    if !name.contains("=?") {
        return name.to_owned();
    }
    decode(name.as_bytes()).text
}
