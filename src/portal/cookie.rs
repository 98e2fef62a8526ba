//! Cookies: three of them, all `__Host-` (RFC 6265bis §4.1.3.2).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// The login's token.
pub(crate) const SESSION: &str = "__Host-session";
/// What ties the way back from the provider to this browser.
pub(crate) const BINDING: &str = "__Host-login";
/// The language somebody chose.
pub(crate) const LANGUAGE: &str = "__Host-lang";

/// How long somebody's choice of language is remembered.
pub(crate) const CHOICE_LASTS: Duration = Duration::from_secs(365 * 24 * 3600);
/// Octets of the `Cookie` field that are looked at.
const LOOKED_AT: usize = 8 * 1024;

/// A cookie's value.
pub(crate) fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    fields
        .filter(|field| field.len() <= LOOKED_AT)
        .flat_map(|field| field.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
        .filter(|value| !value.is_empty())
}

/// Sets a cookie, for as long as the browser runs or for a time. `Lax`, since the way back from the provider comes
/// from another site. `None` if the value cannot stand in a field.
pub(crate) fn set(name: &str, value: &str, lasts: Option<Duration>) -> Option<HeaderValue> {
    let age = lasts.map(|time| format!("; Max-Age={}", time.as_secs())).unwrap_or_default();
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}")).ok()
}

/// Takes a cookie back.
pub(crate) fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", Some(Duration::ZERO))
}
