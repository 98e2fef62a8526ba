//! Octets for saving: streamed, under their own name, never shown by the browser.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::mailboxes::{MailboxError, Octets};
use crate::portal::letter::FileStream;

/// What a saved file may do if a browser shows it all the same.
const POLICY: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// Something that gives octets until it is at its end.
pub(crate) enum Source {
    /// A whole message.
    Original(Box<Octets>),
    /// One file of it.
    File(Box<FileStream>),
}

impl Source {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, MailboxError> {
        match self {
            Self::Original(octets) => octets.next().await,
            Self::File(file) => file.next().await,
        }
    }
}

/// The answer that streams a source. Trouble on the way breaks the connection off, so that half a file is not taken for
/// a whole one.
pub(crate) fn download(source: Source, name: &str, media_type: &str) -> Response {
    let chunks = stream::try_unfold(source, |mut source| async move {
        match source.next().await {
            Ok(Some(chunk)) => Ok(Some((Bytes::from(chunk), source))),
            Ok(None) => Ok(None),
            Err(fault) => {
                tracing::error!(reason = %fault, "a download breaks off");
                Err(fault)
            }
        }
    });
    as_file(Body::from_stream(chunks), name, media_type)
}

/// An answer to be saved under this name.
pub(crate) fn as_file(body: Body, name: &str, media_type: &str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(media_type) = HeaderValue::from_str(media_type)
        && is_harmless(&media_type)
    {
        headers.insert(header::CONTENT_TYPE, media_type);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(disposition) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Types that no browser takes for a program or a page.
fn is_harmless(media_type: &HeaderValue) -> bool {
    let Ok(media_type) = media_type.to_str() else { return false };
    let (kind, rest) = media_type.split_once('/').unwrap_or_default();
    let is_token = rest.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".+-".contains(&octet));
    let is_active = ["html", "xml", "svg", "script"].iter().any(|active| rest.contains(active));
    is_token && !rest.is_empty() && matches!(kind, "application" | "audio" | "font" | "image" | "text" | "video") && {
        // Office files have `xml` in their names and are none.
        !is_active || rest.starts_with("vnd.openxmlformats-")
    }
}

/// `attachment` with the name twice: for programs that know RFC 8187 and for those that do not (RFC 6266 §4.3).
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " .-_()".contains(c) { c } else { '_' }).collect();
    let mut encoded = String::new();
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push_str(&format!("%{octet:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use crate::portal::download::*;

    #[test]
    fn a_name_is_told_to_old_and_new_programs() {
        assert_eq!(
            disposition("Räkning \"maj\".pdf"),
            "attachment; filename=\"R_kning _maj_.pdf\"; filename*=UTF-8''R%C3%A4kning%20%22maj%22.pdf"
        );
    }

    #[test]
    fn what_could_run_in_a_browser_is_octets() {
        let harmless = |media_type: &'static str| is_harmless(&HeaderValue::from_static(media_type));
        assert!(harmless("application/pdf") && harmless("image/png"));
        assert!(harmless("application/vnd.openxmlformats-officedocument.wordprocessingml.document"));
        for active in
            ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript", "multipart/x", "x", "text/a;b"]
        {
            assert!(!harmless(active), "{active}");
        }
    }
}
