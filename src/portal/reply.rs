//! Answering a message: the form, the draft, the sending.

use std::time::Duration;

use askama::Template;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::time::timeout;

use crate::mailboxes::{Draft, DraftFile, Found, Stored, StoredId};
use crate::portal::cookie::{self, CHOICE_LASTS};
use crate::portal::door::{Portal, Shared};
use crate::portal::form::{self, FILES, FormFault, Room, Written, one_line};
use crate::portal::frame::{Frame, page, size};
use crate::portal::letter::Letter;
use crate::portal::reading::theirs;
use crate::portal::refusal::Refusal;
use crate::portal::visit::{Reader, Visit};
use crate::queue::{Answer, Attachment, ReceptionError};
use crate::texts::Language;
use crate::vault::Token;

/// How long somebody without a login may take to send a form.
const STRANGERS_PATIENCE: Duration = Duration::from_secs(300);
/// Characters of an original that are quoted.
const QUOTED: usize = 50_000;
/// Beginnings of a subject that say it is an answer already.
const MARKS: [&str; 4] = ["re:", "sv:", "vs:", "aw:"];

#[derive(Template)]
#[template(path = "portal/reply.html")]
struct ReplyPage<'f> {
    f: &'f Frame,
    id: String,
    stored: Stored,
    draft: Draft,
    /// Another for each page: a form is sent once.
    once: Token,
    is_kept: bool,
    saved: Option<String>,
    max_upload: String,
    fault: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "portal/sent.html")]
struct SentPage<'f> {
    f: &'f Frame,
    id: String,
    to: String,
}

#[derive(Template)]
#[template(path = "portal/unsent.html")]
struct UnsentPage<'f> {
    f: &'f Frame,
    id: String,
    subject: &'f str,
    text: &'f str,
    had_files: bool,
}

/// The form's token, and whether the page comes after a saving.
#[derive(Deserialize)]
pub(crate) struct After {
    once: Option<String>,
    saved: Option<String>,
}

/// Why an answer was not sent.
enum Unsent {
    Form(FormFault),
    /// Its form was sent before, with something else in it.
    Changed,
    Intake,
}

/// `GET /messages/ID/reply`: the draft, or a new answer with the original quoted. The form's token stands in the address:
/// a browser that goes back to the page asks for it anew, and puts into it what was typed there.
pub(crate) async fn write(
    State(portal): State<Shared>,
    reader: Reader,
    Path(id): Path<String>,
    Query(after): Query<After>,
) -> Result<Response, Refusal> {
    let (found, stored) = theirs(&portal, &reader, &id)?;
    let Some(once) = after.once.and_then(|once| once.parse::<Token>().ok()) else {
        let saved = match after.saved.as_deref() {
            None => "",
            Some("nothing") => "saved=nothing&",
            Some(_) => "saved=1&",
        };
        return Ok(Redirect::to(&format!("/messages/{id}/reply?{saved}once={}", Token::random()?)).into_response());
    };
    if portal.deps.post_box.sent_with(found.id, &once)?.is_some() {
        return Ok(Redirect::to(&format!("/messages/{id}/sent")).into_response());
    }
    let kept = portal.deps.post_box.draft(reader.visitor.person, found.id)?;
    let is_kept = kept.is_some();
    let draft = match kept {
        Some(draft) => draft,
        None => begun(&portal, reader.visit.language, &found, &stored).await?,
    };
    let shown = Shown { draft, once, is_kept, saved: after.saved, fault: None };
    Ok(form_page(&portal, &reader, &found, stored, shown))
}

/// `POST /messages/ID/reply`: saves, takes a file away, throws away, or sends. Whatever is written is saved first, so
/// that nothing is lost where sending fails.
pub(crate) async fn post(
    State(portal): State<Shared>,
    visit: Visit,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Response, Refusal> {
    let stored_id: StoredId = id.parse().map_err(|_| Refusal::NotFound)?;
    let Some(mut reader) = visit.reader() else {
        let read = form::read(form, None, &portal.deps, Room { octets: 0, files: 0 });
        let written = timeout(STRANGERS_PATIENCE, read).await;
        let written = written.ok().and_then(Result::ok).unwrap_or_default();
        let login_first = Refusal::LoginFirst { back: format!("/messages/{id}/reply") };
        return shown_again(&portal, visit, stored_id, &headers, &written).ok_or(login_first);
    };
    let (found, stored) = theirs(&portal, &reader, &id)?;
    let post_box = &portal.deps.post_box;
    let kept = post_box.draft(reader.visitor.person, found.id)?.map(|draft| draft.files).unwrap_or_default();
    let taken: u64 = kept.iter().map(|file| file.body.plain_length).sum();
    let room =
        Room { octets: portal.settings.max_upload.saturating_sub(taken), files: FILES.saturating_sub(kept.len()) };
    let written = form::read(form, Some(&reader), &portal.deps, room).await?;
    if !written.is_signed {
        return shown_again(&portal, visit, stored_id, &headers, &written).ok_or(Refusal::FormIsStale);
    }
    // Uploads take a while, and another window may save or send meanwhile.
    let _turn = portal.turns.turn(found.id).await;
    if written.action == "discard" {
        post_box.discard_draft(reader.visitor.person, found.id).await?;
        return Ok(Redirect::to(&format!("/messages/{id}")).into_response());
    }
    let (action, fault) = (written.action.clone(), written.fault);
    let language = chosen(&action);
    let is_sending = action == "send" && fault.is_none();
    // A client that leaves it out sends as often as it says.
    let once = written.form.clone().map_or_else(Token::random, Ok)?;
    let before = if is_sending { sent_before(&portal, &reader, &found, &once, &written)? } else { Before::Nothing };
    let sent_page = || Ok(Redirect::to(&format!("/messages/{id}/sent")).into_response());
    if before == Before::TheSame {
        return sent_page();
    }
    let kept = post_box.draft(reader.visitor.person, found.id)?.map(|draft| draft.files).unwrap_or_default();
    let (draft, is_kept) = save(&portal, &reader, &found, &stored, kept, written).await?;
    let unsent = match fault {
        Some(fault) => Unsent::Form(fault),
        None if let Some(language) = language => {
            let saved = if is_kept { "saved=1&" } else { "" };
            return Ok(Redirect::to(&format!("/messages/{id}/reply?{saved}lang={language}")).into_response());
        }
        None if action != "send" => {
            let saved = if is_kept { "1" } else { "nothing" };
            return Ok(Redirect::to(&format!("/messages/{id}/reply?saved={saved}")).into_response());
        }
        None if says_nothing(&draft) => Unsent::Form(FormFault::NothingWritten),
        None if before == Before::SomethingElse => Unsent::Changed,
        None => match send(&portal, &reader, &found, &stored, &draft, &once).await {
            Ok(()) => return sent_page(),
            Err(_) => Unsent::Intake,
        },
    };
    // Whether it was taken may be unknown: sent again, it must be the same form.
    let once = if before == Before::Nothing { once } else { Token::random()? };
    let shown = Shown { draft, once, is_kept, saved: None, fault: Some(unsent) };
    reader.visit.language = language.unwrap_or(reader.visit.language);
    Ok(in_language(language, form_page(&portal, &reader, &found, stored, shown)))
}

/// The language a form's button asks for.
fn chosen(action: &str) -> Option<Language> {
    action.strip_prefix("language-")?.parse().ok()
}

/// The page, its language remembered if somebody chose it.
fn in_language(chosen: Option<Language>, mut page: Response) -> Response {
    if let Some(choice) = chosen.and_then(|language| cookie::set(cookie::LANGUAGE, language.tag(), Some(CHOICE_LASTS)))
    {
        page.headers_mut().append(header::SET_COOKIE, choice);
    }
    page
}

/// What was written and cannot be kept, since its login is over: shown to whoever sent it, and nowhere else. `None` where
/// there is nothing to show, or another site sent it: no stranger puts words on our pages.
fn shown_again(
    portal: &Portal,
    mut visit: Visit,
    id: StoredId,
    headers: &HeaderMap,
    written: &Written,
) -> Option<Response> {
    let is_own = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let is_empty = written.text.trim().is_empty() && written.subject.is_empty() && !written.had_files;
    if !is_own || is_empty || written.action == "discard" {
        return None;
    }
    let language = chosen(&written.action);
    visit.language = language.unwrap_or(visit.language);
    let frame = Frame::new(portal, &visit).that_stays();
    let Written { subject, text, had_files, .. } = written;
    let again = UnsentPage { f: &frame, id: id.to_string(), subject, text, had_files: *had_files };
    Some(in_language(language, page(StatusCode::FORBIDDEN, &frame, &again)))
}

/// `GET /messages/ID/sent`.
pub(crate) async fn sent(
    State(portal): State<Shared>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (found, stored) = theirs(&portal, &reader, &id)?;
    let frame = Frame::new(&portal, &reader.visit);
    let to = stored.to_whom(&portal.settings.organisation.name);
    Ok(page(StatusCode::OK, &frame, &SentPage { f: &frame, id: found.id.to_string(), to }))
}

/// What the form shows.
struct Shown {
    draft: Draft,
    once: Token,
    is_kept: bool,
    saved: Option<String>,
    fault: Option<Unsent>,
}

fn form_page(portal: &Portal, reader: &Reader, found: &Found, stored: Stored, shown: Shown) -> Response {
    let frame = Frame::new(portal, &reader.visit).that_stays();
    let max_upload = size(reader.visit.language, portal.settings.max_upload);
    let status = match &shown.fault {
        None => StatusCode::OK,
        Some(Unsent::Form(FormFault::NoRoom) | Unsent::Intake) => StatusCode::SERVICE_UNAVAILABLE,
        Some(Unsent::Form(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        Some(Unsent::Changed) => StatusCode::CONFLICT,
    };
    let fault = shown.fault.map(|fault| match fault {
        Unsent::Form(FormFault::FilesTooLarge) => (frame.t1("portal-fault-files-large", "size", &max_upload), "file"),
        Unsent::Form(FormFault::TooManyFiles) => (frame.count("portal-fault-files-many", &FILES), "file"),
        Unsent::Form(FormFault::Malware) => (frame.t("portal-fault-malware"), "file"),
        Unsent::Form(FormFault::NoRoom) => (frame.t("portal-fault-no-room"), "file"),
        Unsent::Form(FormFault::Unscanned) => (frame.t("portal-fault-unscanned"), "file"),
        Unsent::Form(FormFault::TextTooLong) => (frame.t("portal-fault-text-long"), "text"),
        Unsent::Form(FormFault::NothingWritten) => (frame.t("portal-fault-nothing"), "text"),
        Unsent::Changed => (frame.t("portal-fault-changed"), "send"),
        Unsent::Intake => (frame.t("portal-fault-unsent"), "send"),
    });
    let Shown { draft, once, is_kept, saved, .. } = shown;
    let id = found.id.to_string();
    let form = ReplyPage { f: &frame, id, stored, draft, once, is_kept, saved, max_upload, fault };
    page(status, &frame, &form)
}

/// What was sent before with a form.
#[derive(PartialEq, Eq)]
enum Before {
    Nothing,
    TheSame,
    SomethingElse,
}

fn sent_before(
    portal: &Portal,
    reader: &Reader,
    found: &Found,
    once: &Token,
    written: &Written,
) -> Result<Before, Refusal> {
    let post_box = &portal.deps.post_box;
    let Some(first) = post_box.sent_with(found.id, once)? else { return Ok(Before::Nothing) };
    let is_same = post_box.sent_as(reader.visitor.person, first)?.is_none_or(|sent| {
        sent.text == written.text
            && (written.subject.is_empty() || sent.subject == written.subject)
            && written.files.iter().all(|file| sent.files.contains(&file.name))
    });
    Ok(if is_same { Before::TheSame } else { Before::SomethingElse })
}

/// Saves what was written, with the new files and without the one that is to go, and whether it is kept: an untouched
/// form is not, nor is an emptied draft once it is saved. What stands in a draft outlives an empty form that is sent.
async fn save(
    portal: &Portal,
    reader: &Reader,
    found: &Found,
    stored: &Stored,
    kept: Vec<DraftFile>,
    written: Written,
) -> Result<(Draft, bool), Refusal> {
    let gone = written.action.strip_prefix("remove-").and_then(|id| u128::from_str_radix(id, 16).ok());
    let (removed, mut files): (Vec<DraftFile>, Vec<DraftFile>) =
        kept.into_iter().partition(|file| Some(file.body.id) == gone);
    let mut added = Vec::with_capacity(written.files.len());
    for file in written.files {
        files.push(DraftFile { name: file.name, media_type: file.media_type, body: file.file.body_ref().clone() });
        added.push(file.file);
    }
    let draft = Draft { subject: written.subject, text: written.text, files, saved: 0 };
    if is_untouched(portal, reader.visit.language, found, stored, &draft).await {
        if written.action != "send" {
            portal.deps.post_box.discard_draft(reader.visitor.person, found.id).await?;
        }
        return Ok((draft, false));
    }
    let removed = removed.into_iter().map(|file| file.body).collect();
    portal.deps.post_box.save_draft(reader.visitor.person, found.id, draft.clone(), added, removed).await?;
    Ok((draft, true))
}

/// Nothing but what the form began with, or less.
async fn is_untouched(portal: &Portal, language: Language, found: &Found, stored: &Stored, draft: &Draft) -> bool {
    let is_own_subject = !draft.subject.is_empty()
        && Language::ALL.iter().all(|tag| one_line(&subject(*tag, &stored.subject)) != draft.subject);
    if is_own_subject || !says_nothing(draft) {
        return false;
    }
    // Whoever answers between the lines of the quote has written something.
    draft.text.trim().is_empty()
        || begun(portal, language, found, stored)
            .await
            .is_ok_and(|begun| begun.text.split_whitespace().eq(draft.text.split_whitespace()))
}

async fn send(
    portal: &Portal,
    reader: &Reader,
    found: &Found,
    stored: &Stored,
    draft: &Draft,
    once: &Token,
) -> Result<(), ReceptionError> {
    let who = &reader.visitor.who;
    let language = reader.visit.language;
    let attachments = draft.files.iter().cloned();
    let answer = Answer {
        message: found.id.message,
        recipient: found.id.place,
        author: who.name.clone(),
        provider: who.provider.clone(),
        level: who.level.clone(),
        number_verified: who.number.is_some() && (stored.number.is_none() || stored.number == who.number),
        subject: if draft.subject.is_empty() { subject(language, &stored.subject) } else { draft.subject.clone() },
        text: draft.text.clone(),
        attachments: attachments
            .map(|file| Attachment { file_name: file.name, media_type: file.media_type, body: file.body })
            .collect(),
        language: language.to_string(),
        form: once.clone(),
    };
    let taken = portal.deps.answers.answer(answer).await;
    match &taken {
        Ok(_) => portal.count("answered"),
        Err(fault) => tracing::error!(reason = %fault, message = %found.id, "an answer was not taken"),
    }
    taken.map(drop)
}

/// A new answer: the subject marked, the original quoted with who wrote it and when.
async fn begun(portal: &Portal, language: Language, found: &Found, stored: &Stored) -> Result<Draft, Refusal> {
    let letter = Letter::read(&portal.deps.post_box, stored).await?;
    let when = portal.settings.zone.moment(language, found.milestones.noticed);
    let words = [("author", stored.author.as_str()), ("time", when.as_str())];
    let wrote = crate::texts::say(language, "portal-reply-wrote", &words);
    let original: String = letter.readable_text().chars().take(QUOTED).collect();
    let quoted: Vec<String> = original.trim().lines().map(quote).collect();
    let text = if quoted.is_empty() { String::new() } else { format!("\n\n{wrote}\n{}\n", quoted.join("\n")) };
    Ok(Draft { subject: subject(language, &stored.subject), text, files: Vec::new(), saved: 0 })
}

fn quote(line: &str) -> String {
    if line.starts_with('>') { format!(">{line}") } else { format!("> {line}").trim_end().to_owned() }
}

fn subject(language: Language, original: &str) -> String {
    let start: String = original.chars().take(3).collect::<String>().to_lowercase();
    if MARKS.contains(&start.as_str()) {
        return original.to_owned();
    }
    let mark = match language {
        Language::Sv | Language::Da => "SV:",
        Language::En => "Re:",
    };
    format!("{mark} {original}").trim_end().to_owned()
}

/// Nothing but the quoted original and the line above it.
fn says_nothing(draft: &Draft) -> bool {
    let lines: Vec<&str> = draft.text.lines().filter(|line| !line.trim().is_empty()).collect();
    let own = lines.iter().enumerate().filter(|(place, line)| {
        let introduces =
            line.trim_end().ends_with(':') && lines.get(place + 1).is_some_and(|next| next.starts_with('>'));
        !line.starts_with('>') && !introduces
    });
    draft.files.is_empty() && own.count() == 0
}

#[cfg(test)]
mod tests {
    use crate::portal::reply::*;

    #[test]
    fn a_subject_is_marked_once() {
        assert_eq!(subject(Language::Sv, "Bygglov"), "SV: Bygglov");
        assert_eq!(subject(Language::Sv, "Re: Bygglov"), "Re: Bygglov");
        assert_eq!(subject(Language::En, ""), "Re:");
    }

    #[test]
    fn a_quote_alone_says_nothing() {
        let draft = |text: &str| Draft { text: text.to_owned(), ..Draft::default() };
        assert!(says_nothing(&draft("\n\nDen 1 juni skrev Anna:\n> Hej\n> \n")));
        assert!(!says_nothing(&draft("Tack!\n\nDen 1 juni skrev Anna:\n> Hej\n")));
        assert!(!says_nothing(&draft("Se här:\nJa.\n")));
    }
}
