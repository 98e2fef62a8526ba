//! The reply form as it comes in: fields first, then files, each locked while it arrives.

use std::time::Duration;

use axum::extract::Multipart;
use axum::extract::multipart::Field;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::mailboxes::KeptFile;
use crate::portal::door::Deps;
use crate::portal::letter::safe_name;
use crate::portal::refusal::Refusal;
use crate::portal::visit::Reader;
use crate::scan::{Finding, Scanner};
use crate::vault::Token;

/// Octets of the answer's text.
pub(crate) const TEXT_OCTETS: usize = 512 * 1024;
/// Characters of its subject.
pub(crate) const SUBJECT_LENGTH: usize = 200;
/// Files of one answer.
pub(crate) const FILES: usize = 50;
/// Octets of any other field.
const FIELD_OCTETS: usize = 256;
/// Those at once whose writing is held without a login, until they have it back.
static STRANGERS: Semaphore = Semaphore::const_new(16);
/// How long the next octets may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Octets by which a file's type is known.
const TYPE_OCTETS: usize = 8 * 1024;

/// What somebody sent. What is whole is here even where `fault` tells that something else was not taken.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) action: String,
    /// The token of the form itself.
    pub(crate) form: Option<Token>,
    pub(crate) files: Vec<Uploaded>,
    pub(crate) fault: Option<FormFault>,
    /// It came from a form of this very login. What did not is not kept: its text is here to be shown again, and whether
    /// it had files.
    pub(crate) is_signed: bool,
    pub(crate) had_files: bool,
    /// A place among those whose writing is held without a login.
    place: Option<SemaphorePermit<'static>>,
}

/// A file that has come whole; it belongs to nobody yet.
pub(crate) struct Uploaded {
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) file: KeptFile,
}

/// What was not taken, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormFault {
    /// The files are larger than an answer may have.
    FilesTooLarge,
    /// There are more files than an answer may have.
    TooManyFiles,
    /// The text is longer than an answer may have.
    TextTooLong,
    /// There is malware in a file.
    Malware,
    /// The disk has no room for a file.
    NoRoom,
    /// Whether there is malware in a file could not be told.
    Unscanned,
    /// The answer has no text of its own and no file.
    NothingWritten,
}

/// How much may still come.
pub(crate) struct Room {
    pub(crate) octets: u64,
    pub(crate) files: usize,
}

/// Reads the form. The token comes first and is checked before anything is kept; without a login nothing is.
pub(crate) async fn read(
    mut form: Multipart,
    reader: Option<&Reader>,
    deps: &Deps,
    mut room: Room,
) -> Result<Written, Refusal> {
    let mut written = Written::default();
    while let Some(mut field) = next(&mut form).await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "csrf" && !written.is_signed && written.place.is_none() {
            written.place = Some(STRANGERS.try_acquire().map_err(|_| Refusal::FormIsStale)?);
        }
        match name.as_str() {
            // Behind anything else it comes too late.
            "csrf" if written.place.is_none() => {
                let csrf = text(&mut field, FIELD_OCTETS).await?.0;
                written.is_signed = reader.is_some_and(|reader| reader.check(&csrf).is_ok());
            }
            "once" => written.form = text(&mut field, FIELD_OCTETS).await?.0.parse().ok(),
            "subject" => written.subject = one_line(&text(&mut field, SUBJECT_LENGTH * 4).await?.0),
            "text" => {
                let (text, is_whole) = text(&mut field, TEXT_OCTETS).await?;
                written.text = text;
                written.fault = written.fault.or((!is_whole).then_some(FormFault::TextTooLong));
            }
            "action" => written.action = text(&mut field, FIELD_OCTETS).await?.0,
            "file" if !written.is_signed => {
                while let Some(octets) = chunk(&mut field).await? {
                    written.had_files |= !octets.is_empty();
                }
            }
            "file" => file(field, &mut written, deps, &mut room).await?,
            _ => drop(text(&mut field, FIELD_OCTETS).await?),
        }
    }
    Ok(written)
}

async fn next(form: &mut Multipart) -> Result<Option<Field<'_>>, Refusal> {
    timeout(PATIENCE, form.next_field()).await.map_err(|_| Refusal::FormIsStale)?.map_err(broken)
}

async fn chunk(field: &mut Field<'_>) -> Result<Option<axum::body::Bytes>, Refusal> {
    timeout(PATIENCE, field.chunk()).await.map_err(|_| Refusal::FormIsStale)?.map_err(broken)
}

/// The body was too large in all, or is no form.
fn broken(fault: axum::extract::multipart::MultipartError) -> Refusal {
    if fault.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE { Refusal::TooLarge } else { Refusal::FormIsStale }
}

/// A field's text, as far as `limit` octets, and whether that is all of it.
async fn text(field: &mut Field<'_>, limit: usize) -> Result<(String, bool), Refusal> {
    let mut octets = Vec::new();
    let mut is_whole = true;
    while let Some(chunk) = chunk(field).await? {
        let kept = chunk.len().min(limit - octets.len());
        is_whole &= kept == chunk.len();
        octets.extend_from_slice(chunk.get(..kept).unwrap_or_default());
    }
    Ok((String::from_utf8_lossy(&octets).replace("\r\n", "\n").replace('\0', ""), is_whole))
}

/// A subject as a form gives it back.
pub(crate) fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_LENGTH).collect();
    line.trim().to_owned()
}

/// Keeps a file; what does not fit is read to its end and forgotten, so that the rest of the form is not lost.
async fn file(mut field: Field<'_>, written: &mut Written, deps: &Deps, room: &mut Room) -> Result<(), Refusal> {
    let name = field.file_name().and_then(safe_name);
    let mut start: Vec<u8> = Vec::new();
    let mut upload = deps.post_box.upload()?;
    let (has_room, mut has_come, mut fits) = (deps.answers.has_room(), false, true);
    while let Some(chunk) = chunk(&mut field).await? {
        has_come |= !chunk.is_empty();
        fits = fits && has_room && upload.length() + chunk.len() as u64 <= room.octets;
        if fits {
            start.extend_from_slice(chunk.get(..chunk.len().min(TYPE_OCTETS - start.len())).unwrap_or_default());
            upload.write(&chunk).await?;
        }
    }
    if !has_room && (has_come || name.is_some()) {
        written.fault = Some(FormFault::NoRoom);
        return Ok(());
    }
    if !fits {
        written.fault = Some(FormFault::FilesTooLarge);
        return Ok(());
    }
    // A file field without a file comes with neither.
    if upload.length() == 0 && name.is_none() {
        return Ok(());
    }
    if room.files == 0 {
        written.fault = Some(FormFault::TooManyFiles);
        return Ok(());
    }
    let length = upload.length();
    let file = upload.finish().await?;
    if let Some(scanner) = &deps.scanner {
        let objection = objection(scanner, deps, &file, length).await?;
        if objection.is_some() {
            written.fault = objection;
            return Ok(());
        }
    }
    room.files -= 1;
    room.octets -= length;
    let name = name.unwrap_or_else(|| "1.bin".to_owned());
    written.files.push(Uploaded { name, media_type: media_type(&start).to_owned(), file });
    Ok(())
}

/// What speaks against keeping a file.
async fn objection(scanner: &Scanner, deps: &Deps, file: &KeptFile, length: u64) -> Result<Option<FormFault>, Refusal> {
    let mut octets = deps.post_box.octets_of(file).await?;
    let mut scan = match scanner.begin(length).await {
        Ok(scan) => scan,
        Err(_) => return Ok(Some(FormFault::Unscanned)),
    };
    while let Some(plain) = octets.next().await? {
        if scan.write(&zeroize::Zeroizing::new(plain)).await.is_err() {
            return Ok(Some(FormFault::Unscanned));
        }
    }
    Ok(match scan.finish().await {
        Ok(Finding::Clean) => None,
        Ok(Finding::Found(name)) => {
            tracing::warn!(door = "portal", malware = name, "a file was not taken");
            Some(FormFault::Malware)
        }
        Ok(Finding::TooLarge) => Some(FormFault::FilesTooLarge),
        Err(_) => Some(FormFault::Unscanned),
    })
}

/// A file's type by its content, whatever its name says.
fn media_type(start: &[u8]) -> &'static str {
    let is_text = |octets: &[u8]| match std::str::from_utf8(octets) {
        Ok(text) => !text.contains('\0'),
        // The end may stand within a character.
        Err(fault) => fault.error_len().is_none() && !octets.contains(&0),
    };
    match infer::get(start) {
        Some(kind) => kind.mime_type(),
        None if is_text(start) => "text/plain",
        None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use crate::portal::form::*;

    #[test]
    fn a_files_type_is_what_it_holds() {
        assert_eq!(media_type(b"%PDF-1.7\n"), "application/pdf");
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\n0000"), "image/png");
        assert_eq!(media_type("Hej Åsa".as_bytes()), "text/plain");
        assert_eq!(media_type(&[0, 1, 2, 3]), "application/octet-stream");
    }
}
