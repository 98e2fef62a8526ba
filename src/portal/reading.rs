//! One message: read, saved, printed.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::mailboxes::{Found, Stored, StoredId};
use crate::pdf::{Document, PdfError, render};
use crate::portal::door::{Portal, Shared};
use crate::portal::download::{Source, as_file, download};
use crate::portal::frame::{Frame, page};
use crate::portal::letter::{File, FileStream, Letter, Passage, passages};
use crate::portal::refusal::Refusal;
use crate::portal::visit::Reader;
use crate::portal::web_page::{POLICY, web_page};
use crate::records::{Event, EventKind};

/// One message is rendered at a time: nobody keeps the machine from those who only read.
static RENDERING: Semaphore = Semaphore::const_new(1);

#[derive(Template)]
#[template(path = "portal/message.html")]
struct MessagePage<'f> {
    f: &'f Frame,
    id: String,
    found: Found,
    stored: Stored,
    letter: Letter,
    passages: Vec<Passage>,
    has_draft: bool,
}

/// `GET /messages/ID`. Its reader's own GET, and nobody else's and no looking ahead, is a reading.
pub(crate) async fn read(
    State(portal): State<Shared>,
    reader: Reader,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (found, stored) = theirs(&portal, &reader, &id)?;
    let post_box = &portal.deps.post_box;
    let letter = Letter::read(post_box, &stored).await?;
    let looks_ahead = ["sec-purpose", "purpose"]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|value| value.as_bytes().starts_with(b"prefetch")));
    if method == Method::GET && !looks_ahead {
        if found.milestones.opened.is_none() {
            portal.count("opened");
        }
        post_box.opened(&found, &reader.visitor.who).await?;
    }
    let has_draft = post_box.draft(reader.visitor.person, found.id)?.is_some();
    let frame = Frame::new(&portal, &reader.visit);
    let passages = passages(&letter.text);
    let message = MessagePage { f: &frame, id: found.id.to_string(), found, stored, letter, passages, has_draft };
    Ok(page(StatusCode::OK, &frame, &message))
}

/// `GET /messages/ID/html`: the message's HTML, alone in its sandbox.
pub(crate) async fn html(
    State(portal): State<Shared>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (_, stored) = theirs(&portal, &reader, &id)?;
    let letter = Letter::read(&portal.deps.post_box, &stored).await?;
    if letter.html.is_empty() {
        return Err(Refusal::NotFound);
    }
    // Large HTML takes its time, which other visitors should not have to wait.
    let _turn = RENDERING.acquire().await.map_err(|_| Refusal::Unavailable)?;
    let language = reader.visit.language;
    let made = tokio::task::spawn_blocking(move || web_page(language, &stored.subject, &letter.html)).await;
    let mut response = Html(made.map_err(|_| Refusal::Unavailable)?).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

/// `GET /messages/ID/original`: the message as it stands, for whatever we cannot show.
pub(crate) async fn original(
    State(portal): State<Shared>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (found, stored) = theirs(&portal, &reader, &id)?;
    let octets = portal.deps.post_box.octets(&stored).await?;
    fetched(&portal, &reader, &found, "the original").await?;
    Ok(download(Source::Original(Box::new(octets)), &format!("{}.eml", found.id), "application/octet-stream"))
}

/// `GET /messages/ID/attachments/N`.
pub(crate) async fn attachment(
    State(portal): State<Shared>,
    reader: Reader,
    Path((id, number)): Path<(String, usize)>,
) -> Result<Response, Refusal> {
    let (found, stored) = theirs(&portal, &reader, &id)?;
    let opened = FileStream::open(&portal.deps.post_box, &stored, number).await?;
    let (file, stream) = opened.ok_or(Refusal::NotFound)?;
    fetched(&portal, &reader, &found, &format!("attachment {number}")).await?;
    Ok(download(Source::File(Box::new(stream)), &file.name, &file.media_type))
}

/// `GET /messages/ID/pdf`.
pub(crate) async fn as_pdf(
    State(portal): State<Shared>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (found, stored) = theirs(&portal, &reader, &id)?;
    let letter = Letter::read(&portal.deps.post_box, &stored).await?;
    let frame = Frame::new(&portal, &reader.visit);
    let _turn = RENDERING.acquire().await.map_err(|_| Refusal::Unavailable)?;
    let made =
        tokio::task::spawn_blocking(move || paper(&frame, &found, &stored, &letter).map(|pdf| (found, pdf))).await;
    let (found, pdf) = made.map_err(|_| Refusal::Unavailable)?.map_err(|fault| {
        tracing::error!(reason = %fault, "a PDF cannot be made");
        Refusal::Unavailable
    })?;
    fetched(&portal, &reader, &found, "the PDF").await?;
    Ok(as_file(pdf.into(), &format!("{}.pdf", found.id), "application/pdf"))
}

fn paper(frame: &Frame, found: &Found, stored: &Stored, letter: &Letter) -> Result<Vec<u8>, PdfError> {
    let named = |file: &File| format!("{} ({}, {})", file.name, frame.kind(&file.media_type), frame.size(&file.size));
    render(&Document {
        title: if stored.subject.is_empty() { frame.t("portal-no-subject") } else { stored.subject.clone() },
        organisation: frame.owner.name.clone(),
        language: frame.language,
        rows: vec![
            (frame.t("portal-from"), stored.from_whom(&frame.owner.name)),
            (frame.t("portal-to"), stored.address.to_string()),
            (frame.t("portal-received"), frame.moment(&found.milestones.noticed)),
        ],
        text: letter.readable_text(),
        attachments_heading: frame.count("portal-file-count", &letter.files.len()),
        attachments: letter.files.iter().map(named).collect(),
        footer: frame.owner.name.clone(),
    })
}

/// The message with this id, if it is the reader's and can be read now.
pub(crate) fn theirs(portal: &Portal, reader: &Reader, id: &str) -> Result<(Found, Stored), Refusal> {
    let id: StoredId = id.parse().map_err(|_| Refusal::NotFound)?;
    portal.deps.post_box.find_for(id, reader.visitor.person)?.ok_or(Refusal::NotFound)
}

/// Records that its reader took a copy.
pub(crate) async fn fetched(portal: &Portal, reader: &Reader, found: &Found, what: &str) -> Result<(), Refusal> {
    let address = found.stored.as_ref().map(|stored| stored.address.to_string());
    let event = address.into_iter().fold(Event::new(EventKind::Fetched), Event::recipient);
    let event = event.about(found.id.message).detail(what);
    Ok(portal.deps.post_box.record(event.note(reader.visitor.who.name.clone())).await?)
}
