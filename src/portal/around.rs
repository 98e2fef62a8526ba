//! What every request and every answer pass: pace, language, refusals, security headers.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::portal::cookie::{self, CHOICE_LASTS};
use crate::portal::door::{Portal, Shared};
use crate::portal::frame::{Frame, page};
use crate::portal::refusal::Refusal;
use crate::portal::visit::Visit;

/// What a page may load and do: our style sheet, our images, our frames, our forms.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Headers of every answer (OWASP Secure Headers); an answer's own stand before them.
const ALWAYS: [(HeaderName, &str); 9] = [
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
];

#[derive(Template)]
#[template(path = "portal/refused.html")]
struct RefusedPage<'f> {
    f: &'f Frame,
    heading: String,
    text: String,
    again: bool,
}

/// Lets a request in and its answer out.
pub(crate) async fn around(State(portal): State<Shared>, mut request: Request, next: Next) -> Response {
    let visit = Visit::of(&portal, &request);
    let path = request.uri().path();
    let method = request.method().clone();
    let is_knock = ["/m/", "/login", "/callback/"].iter().any(|knock| path.starts_with(knock));
    let mut response = if is_knock && !portal.pace.allows(visit.client, portal.deps.clock.now()) {
        Refusal::TooOften.into_response()
    } else {
        request.extensions_mut().insert(visit.clone());
        next.run(request).await
    };
    let refusal = response.extensions_mut().remove::<Refusal>().or_else(|| unreadable(&response, &method));
    if let Some(refusal) = refusal {
        let cookies: Vec<HeaderValue> = response.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
        response = refused(&portal, &visit, &refusal);
        for cookie in cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    if let Some(choice) = cookie::set(cookie::LANGUAGE, visit.language.tag(), Some(CHOICE_LASTS))
        && visit.chose_language
    {
        response.headers_mut().append(header::SET_COOKIE, choice);
    }
    always(response.headers_mut());
    response
}

/// A request that was refused before any page looked at it, with words for programs: people get a page.
fn unreadable(response: &Response, method: &Method) -> Option<Refusal> {
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let is_for_programs = media_type.is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/plain"));
    match response.status() {
        status if !status.is_client_error() || !is_for_programs => None,
        StatusCode::PAYLOAD_TOO_LARGE => Some(Refusal::TooLarge),
        _ if method == Method::POST => Some(Refusal::FormIsStale),
        _ => Some(Refusal::NotFound),
    }
}

fn refused(portal: &Portal, visit: &Visit, refusal: &Refusal) -> Response {
    if let Refusal::LoginFirst { back } = refusal {
        return Redirect::to(&format!("/login?back={back}")).into_response();
    }
    let frame = Frame::new(portal, visit);
    let (heading, text) = refusal.texts();
    let (heading, text) = (frame.t(heading), frame.t(text));
    let again = matches!(refusal, Refusal::LoginFailed);
    page(refusal.status(), &frame, &RefusedPage { f: &frame, heading, text, again })
}

fn always(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
