//! Which address leads where.

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::portal::around::around;
use crate::portal::door::Shared;
use crate::portal::entry;
use crate::portal::frame::CSS_PATH;
use crate::portal::lists;
use crate::portal::reading;
use crate::portal::refusal::Refusal;
use crate::portal::reply;

/// Octets of any request but an answer's.
const REQUEST_OCTETS: usize = 64 * 1024;
/// What a form has besides its files: fields and boundaries.
const FORM_OCTETS: usize = 2 * 1024 * 1024;
/// How long a page may take to be made.
const PAGE_PATIENCE: Duration = Duration::from_secs(60);
/// How long an answer's files may take to come.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(1_800);

/// All addresses of the portal.
pub(crate) fn router(portal: Shared) -> Router {
    let largest = usize::try_from(portal.settings.max_upload).unwrap_or(usize::MAX).saturating_add(FORM_OCTETS);
    let upload = Router::new()
        .route("/messages/{id}/reply", post(reply::post))
        .layer(DefaultBodyLimit::max(largest))
        .layer(from_fn(|request, next| within(UPLOAD_PATIENCE, request, next)));
    Router::new()
        .route("/", get(entry::home))
        .route("/m/{token}", get(entry::landing).post(entry::claim))
        .route("/login", get(entry::login))
        .route("/login/{provider}", get(entry::depart))
        .route("/callback/{provider}", get(entry::arrive))
        .route("/logout", post(entry::logout))
        .route("/stay", post(entry::stay))
        .route("/still-there", get(entry::still_there))
        .route("/inbox", get(lists::inbox))
        .route("/outbox", get(lists::outbox))
        .route("/drafts", get(lists::drafts))
        .route("/accessibility", get(lists::accessibility))
        .route("/messages/{id}", get(reading::read))
        .route("/messages/{id}/html", get(reading::html))
        .route("/messages/{id}/original", get(reading::original))
        .route("/messages/{id}/pdf", get(reading::as_pdf))
        .route("/messages/{id}/attachments/{number}", get(reading::attachment))
        .route("/messages/{id}/reply", get(reply::write))
        .route("/messages/{id}/sent", get(reply::sent))
        .route(&CSS_PATH, get(lists::style_sheet))
        .layer(DefaultBodyLimit::max(REQUEST_OCTETS))
        .layer(from_fn(|request, next| within(PAGE_PATIENCE, request, next)))
        .merge(upload)
        .fallback(|| async { Refusal::NotFound })
        .layer(from_fn_with_state(portal.clone(), around))
        .with_state(portal)
}

async fn within(patience: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::Unavailable.into_response(),
    }
}
