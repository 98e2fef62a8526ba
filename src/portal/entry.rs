//! The way in and out: a notice's link, the choice of e-ID, the way back from it, logging out.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::identity::{LoginFault, WayBack};
use crate::mailboxes::Identified;
use crate::portal::config::ProviderName;
use crate::portal::cookie;
use crate::portal::door::{Portal, Shared};
use crate::portal::frame::{Frame, page};
use crate::portal::refusal::Refusal;
use crate::portal::visit::{Reader, Visit, way_back};
use crate::records::{Event, EventKind};
use crate::vault::Token;

/// What a browser forgets when it logs out (Clear-Site-Data).
const FORGET: &str = "\"cache\", \"cookies\", \"storage\"";

#[derive(Template)]
#[template(path = "portal/landing.html")]
struct LandingPage<'f> {
    f: &'f Frame,
    providers: &'f [ProviderName],
    /// The token of the notice's link, where one led here.
    token: Option<String>,
    /// What follows `/login/ID`.
    query: String,
    said: Option<String>,
}

#[derive(Template)]
#[template(path = "portal/still_there.html")]
struct StillTherePage<'f> {
    f: &'f Frame,
    back: String,
}

/// Where a login is to lead.
#[derive(Deserialize)]
pub(crate) struct Going {
    m: Option<String>,
    back: Option<String>,
    out: Option<String>,
}

/// What the provider gives back.
#[derive(Deserialize)]
pub(crate) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// A form with nothing but its token, and perhaps where to return to.
#[derive(Deserialize)]
pub(crate) struct Signed {
    pub(crate) csrf: String,
    back: Option<String>,
}

/// `GET /`.
pub(crate) async fn home() -> Redirect {
    Redirect::to("/inbox")
}

/// `GET /m/TOKEN`: the same page for every token, known or not. It changes nothing.
pub(crate) async fn landing(
    State(portal): State<Shared>,
    visit: Visit,
    Path(token): Path<String>,
) -> Result<Response, Refusal> {
    let token: Token = token.parse().map_err(|_| Refusal::NotFound)?;
    let frame = Frame::new(&portal, &visit);
    let (token, providers) = (token.to_string(), portal.settings.providers.as_slice());
    let query = format!("?m={token}");
    Ok(page(StatusCode::OK, &frame, &LandingPage { f: &frame, providers, token: Some(token), query, said: None }))
}

/// `POST /m/TOKEN`: somebody who is logged in opens a notice's link.
pub(crate) async fn claim(
    State(portal): State<Shared>,
    reader: Reader,
    Path(token): Path<String>,
    Form(form): Form<Signed>,
) -> Result<Response, Refusal> {
    reader.check(&form.csrf)?;
    Ok(Redirect::to(&claimed(&portal, &token, &reader.visitor.who).await?).into_response())
}

/// `GET /login`.
pub(crate) async fn login(State(portal): State<Shared>, visit: Visit, Query(going): Query<Going>) -> Response {
    if visit.visitor.is_some() {
        return Redirect::to(&way_back(going.back.as_deref().unwrap_or_default())).into_response();
    }
    let frame = Frame::new(&portal, &visit);
    let query = going.back.as_deref().map(|back| format!("?back={}", way_back(back))).unwrap_or_default();
    let said = going.out.as_deref().map(|why| match why {
        "ended" => frame.t("portal-login-ended"),
        _ => frame.t("portal-logged-out"),
    });
    let providers = portal.settings.providers.as_slice();
    page(StatusCode::OK, &frame, &LandingPage { f: &frame, providers, token: None, query, said })
}

/// `GET /login/PROVIDER`: off to the e-ID.
pub(crate) async fn depart(
    State(portal): State<Shared>,
    Path(provider): Path<String>,
    Query(going): Query<Going>,
) -> Result<Response, Refusal> {
    let return_to = match (going.m.map(|token| token.parse::<Token>()), going.back) {
        (Some(Ok(token)), _) => format!("/m/{token}"),
        (Some(Err(_)), _) => return Err(Refusal::NotFound),
        (None, back) => way_back(back.as_deref().unwrap_or_default()),
    };
    let begun = portal.deps.electronic_id.begin(&provider, return_to).await?;
    let mut response = Redirect::to(&begun.location).into_response();
    put(&mut response, header::SET_COOKIE, cookie::set(cookie::BINDING, &begun.binding, None));
    Ok(response)
}

/// `GET /callback/PROVIDER`: back from the e-ID.
pub(crate) async fn arrive(
    State(portal): State<Shared>,
    visit: Visit,
    Path(provider): Path<String>,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Answer { code, state, iss, error } = answer;
    let binding = cookie::get(&headers, cookie::BINDING).unwrap_or_default();
    let back = WayBack { code, state, iss, error };
    let finished = match portal.deps.electronic_id.finish(&provider, back, binding).await {
        Ok(finished) => finished,
        Err(fault) => return Err(not_logged_in(&portal, fault).await?),
    };
    let deps = &portal.deps;
    let person = deps.post_box.person(&finished.who).await?;
    if let Some(old) = cookie::get(&headers, cookie::SESSION) {
        deps.visitors.end(old);
    }
    let who = &finished.who;
    let detail = format!("provider={} level={}", who.provider, who.level);
    deps.post_box.record(Event::new(EventKind::Login).detail(detail).note(who.name.clone())).await?;
    portal.count("login");
    let session = deps.visitors.begin(who.clone(), person, visit.language).ok_or(Refusal::Unavailable)?;
    let to = match finished.return_to.strip_prefix("/m/") {
        Some(token) => claimed(&portal, token, who).await,
        None => Ok(way_back(&finished.return_to)),
    };
    // The login holds even where the link does not: other messages may be theirs.
    let mut response = to.map_or_else(IntoResponse::into_response, |to| Redirect::to(&to).into_response());
    put(&mut response, header::SET_COOKIE, cookie::set(cookie::SESSION, &session, None));
    put(&mut response, header::SET_COOKIE, cookie::clear(cookie::BINDING));
    Ok(response)
}

/// `POST /logout`: the login ends here, not only in the browser.
pub(crate) async fn logout(
    State(portal): State<Shared>,
    reader: Reader,
    headers: HeaderMap,
    Form(form): Form<Signed>,
) -> Result<Response, Refusal> {
    reader.check(&form.csrf)?;
    if let Some(token) = cookie::get(&headers, cookie::SESSION) {
        portal.deps.visitors.end(token);
    }
    let name = reader.visitor.who.name.clone();
    portal.deps.post_box.record(Event::new(EventKind::Logout).note(name)).await?;
    let mut response = Redirect::to("/login?out=now").into_response();
    put(&mut response, header::SET_COOKIE, cookie::clear(cookie::SESSION));
    put(&mut response, HeaderName::from_static("clear-site-data"), Some(HeaderValue::from_static(FORGET)));
    Ok(response)
}

/// `POST /stay`: the login goes on, by the very asking.
pub(crate) async fn stay(reader: Reader, Form(form): Form<Signed>) -> Result<Redirect, Refusal> {
    reader.check(&form.csrf)?;
    Ok(Redirect::to(&way_back(form.back.as_deref().unwrap_or_default())))
}

/// `GET /still-there`: the login is about to end. Seeing this page does not prolong it; following its link does.
pub(crate) async fn still_there(State(portal): State<Shared>, visit: Visit, Query(going): Query<Going>) -> Response {
    let frame = Frame::new(&portal, &visit);
    let back = way_back(going.back.as_deref().unwrap_or_default());
    let mut response = page(StatusCode::OK, &frame, &StillTherePage { f: &frame, back });
    let gone = format!("{}; url=/login?out=ended", crate::portal::frame::WARNING);
    put(&mut response, header::REFRESH, HeaderValue::from_str(&gone).ok());
    response
}

/// Tries a notice's link for who is there: where it leads. The exact reason of a refusal goes into the trace alone.
async fn claimed(portal: &Portal, token: &str, who: &Identified) -> Result<String, Refusal> {
    let token: Token = token.parse().map_err(|_| Refusal::NotFound)?;
    let post_box = &portal.deps.post_box;
    let refused = match post_box.claim(&token, who).await? {
        Ok(claim) => return Ok(format!("/messages/{}", claim.id)),
        Err(refused) => refused,
    };
    let detail = format!("{refused}; provider={} level={}", who.provider, who.level);
    let event = Event::new(EventKind::LoginRefused).detail(detail).note(who.name.clone());
    let event = match post_box.by_token(&token)? {
        Some(found) => event.about(found.id.message),
        None => event,
    };
    post_box.record(event).await?;
    portal.count("refused");
    Err(Refusal::NotFound)
}

async fn not_logged_in(portal: &Portal, fault: LoginFault) -> Result<Refusal, Refusal> {
    portal.count("refused");
    // Whoever comes with what nobody began is counted: an event for each would be his to write as many of as he likes.
    if !matches!(fault, LoginFault::NotUnderWay | LoginFault::NoSuchProvider) {
        let event = Event::new(EventKind::LoginRefused).detail(fault.to_string());
        portal.deps.post_box.record(event).await?;
    }
    Ok(fault.into())
}

fn put(response: &mut Response, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        response.headers_mut().append(name, value);
    }
}
