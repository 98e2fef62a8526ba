//! Inbox, outbox, drafts; and the page about accessibility.

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::mailboxes::{Draft, Found, Sent, Stored, StoredId};
use crate::portal::door::Shared;
use crate::portal::frame::{CSS, Frame, page};
use crate::portal::refusal::Refusal;
use crate::portal::visit::{Reader, Visit};

#[derive(Template)]
#[template(path = "portal/inbox.html")]
struct InboxPage<'f> {
    f: &'f Frame,
    messages: Vec<(Found, Stored)>,
    unread: usize,
}

#[derive(Template)]
#[template(path = "portal/outbox.html")]
struct OutboxPage<'f> {
    f: &'f Frame,
    answers: Vec<Sent>,
}

#[derive(Template)]
#[template(path = "portal/drafts.html")]
struct DraftsPage<'f> {
    f: &'f Frame,
    drafts: Vec<(StoredId, Draft)>,
}

#[derive(Template)]
#[template(path = "portal/accessibility.html")]
struct AccessibilityPage<'f> {
    f: &'f Frame,
}

/// `GET /inbox`.
pub(crate) async fn inbox(State(portal): State<Shared>, reader: Reader) -> Result<Response, Refusal> {
    let messages = portal.deps.post_box.inbox(reader.visitor.person)?;
    let unread = messages.iter().filter(|(found, _)| found.milestones.opened.is_none()).count();
    let frame = Frame::new(&portal, &reader.visit);
    Ok(page(StatusCode::OK, &frame, &InboxPage { f: &frame, messages, unread }))
}

/// `GET /outbox`.
pub(crate) async fn outbox(State(portal): State<Shared>, reader: Reader) -> Result<Response, Refusal> {
    let answers = portal.deps.post_box.outbox(reader.visitor.person)?;
    let frame = Frame::new(&portal, &reader.visit);
    Ok(page(StatusCode::OK, &frame, &OutboxPage { f: &frame, answers }))
}

/// `GET /drafts`.
pub(crate) async fn drafts(State(portal): State<Shared>, reader: Reader) -> Result<Response, Refusal> {
    let (post_box, person) = (&portal.deps.post_box, reader.visitor.person);
    let mut drafts = post_box.drafts(person)?;
    let mut readable = Vec::with_capacity(drafts.len());
    for (id, draft) in drafts.drain(..) {
        // A draft outlives its message, but there is nobody left to answer then.
        if post_box.find_for(id, person)?.is_some() {
            readable.push((id, draft));
        }
    }
    let frame = Frame::new(&portal, &reader.visit);
    Ok(page(StatusCode::OK, &frame, &DraftsPage { f: &frame, drafts: readable }))
}

/// `GET /accessibility`.
pub(crate) async fn accessibility(State(portal): State<Shared>, visit: Visit) -> Response {
    let frame = Frame::new(&portal, &visit);
    page(StatusCode::OK, &frame, &AccessibilityPage { f: &frame })
}

/// `GET /static/portal-HASH.css`: never changes, so it may be kept.
pub(crate) async fn style_sheet() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, CSS).into_response()
}
