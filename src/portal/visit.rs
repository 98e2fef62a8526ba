//! One request: who comes, in which language, to where.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use subtle::ConstantTimeEq;

use crate::identity::Visitor;
use crate::portal::client::{Peer, client};
use crate::portal::cookie;
use crate::portal::door::Portal;
use crate::portal::refusal::Refusal;
use crate::texts::Language;

/// Octets of a language field that are looked at.
const LOOKED_AT: usize = 256;

/// What is known of a request before any page looks at it.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// The language of the page.
    pub(crate) language: Language,
    /// That language was chosen with this very request.
    pub(crate) chose_language: bool,
    /// Path and query, the choice of a language left out.
    pub(crate) here: String,
    /// Who is logged in.
    pub(crate) visitor: Option<Visitor>,
    /// Whose account of knocks it goes to.
    pub(crate) client: IpAddr,
}

/// A visit by somebody who is logged in. Who is not is sent to the login page, and back here afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// The visit.
    pub(crate) visit: Visit,
    /// Who.
    pub(crate) visitor: Visitor,
}

impl Visit {
    /// Looks at a request. Whether that counts as doing something is the login's own affair.
    pub(crate) fn of(portal: &Portal, request: &Request) -> Self {
        let (uri, headers) = (request.uri(), request.headers());
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let (choices, others): (Vec<&str>, Vec<&str>) = pairs.partition(|pair| pair.starts_with("lang="));
        let chosen = choices.last().and_then(|pair| pair.get(5..)?.parse().ok());
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|field| field.to_str().ok());
        let kept = cookie::get(headers, cookie::LANGUAGE).and_then(|tag| tag.parse().ok());
        let language = chosen.or(kept).or_else(|| accepted.and_then(first_of_ours)).unwrap_or(portal.settings.language);
        // The warning that a login is about to end must not prolong it, nor must a style sheet.
        let is_of_a_person = !uri.path().starts_with("/static/") && uri.path() != "/still-there";
        let token = cookie::get(headers, cookie::SESSION).filter(|_| is_of_a_person);
        let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        Self {
            language,
            chose_language: chosen.is_some(),
            here: if others.is_empty() {
                uri.path().to_owned()
            } else {
                format!("{}?{}", uri.path(), others.join("&"))
            },
            visitor: token.and_then(|token| portal.deps.visitors.find(token)),
            client: client(peer, headers, &portal.settings.trusted_proxies),
        }
    }

    /// The same visit, if somebody is logged in.
    pub(crate) fn reader(&self) -> Option<Reader> {
        self.visitor.clone().map(|visitor| Reader { visit: self.clone(), visitor })
    }
}

impl Reader {
    /// Whether a form was made for this login.
    ///
    /// # Errors
    /// [`Refusal::FormIsStale`] if not.
    pub(crate) fn check(&self, csrf: &str) -> Result<(), Refusal> {
        let fits: bool = self.visitor.csrf.as_bytes().ct_eq(csrf.as_bytes()).into();
        if fits { Ok(()) } else { Err(Refusal::FormIsStale) }
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::NotFound)
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let visit = Visit::from_request_parts(parts, state).await?;
        visit.reader().ok_or_else(|| Refusal::LoginFirst { back: parts.uri.path().to_owned() })
    }
}

/// The first language of `Accept-Language` that we speak, or one near to it; browsers write the dearest first.
fn first_of_ours(field: &str) -> Option<Language> {
    let field = field.get(..LOOKED_AT).unwrap_or(field);
    field.split(',').find_map(|range| Language::nearest(range.split(';').next()?.trim()))
}

/// A path of our own that a login may lead to; anything else leads to the inbox.
pub(crate) fn way_back(path: &str) -> String {
    let is_ours = ["/m/", "/messages/", "/inbox", "/outbox", "/drafts"].iter().any(|own| path.starts_with(own));
    let is_plain =
        path.len() <= 200 && path.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"/-_".contains(&octet));
    if is_ours && is_plain && !path.contains("//") { path.to_owned() } else { "/inbox".to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::portal::visit::*;

    #[test]
    fn the_way_back_stays_within_the_portal() {
        assert_eq!(way_back("/messages/01JD-0/reply"), "/messages/01JD-0/reply");
        for path in
            ["//evil.example", "/\\evil.example", "https://evil.example", "/m/..//x", "/logout", "/inbox\r\nX: y"]
        {
            assert_eq!(way_back(path), "/inbox", "{path}");
        }
    }

    #[test]
    fn a_browsers_dearest_language_of_ours_is_taken() {
        assert_eq!(first_of_ours("de-DE,de;q=0.9,da;q=0.8,en;q=0.7"), Some(Language::Da));
        assert_eq!(first_of_ours("fi"), None);
        for norwegian in ["nb-NO,nb;q=0.9,no;q=0.8,nn;q=0.6,en-US;q=0.5,en;q=0.4", "nn", "no", "NB-no", "fi,nb"] {
            assert_eq!(first_of_ours(norwegian), Some(Language::Da), "{norwegian}");
        }
        assert_eq!(first_of_ours("sv,nb;q=0.9"), Some(Language::Sv));
        assert_eq!(first_of_ours("en-GB,nb;q=0.9"), Some(Language::En));
    }
}
