//! A stored message as a page shows it: its text, its HTML, a list of its files. Taken apart while it streams by, so that
//! its size does not matter.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::mail::{Disposition, Header, PartEnd, PartHead, PartSink, Splitter};
use crate::mailboxes::{MailboxError, Octets, PostBox, Stored};
use crate::portal::html_cost::is_too_costly;

/// Octets of text that a page shows; the original has the rest.
const TEXT_OCTETS: usize = 1024 * 1024;
/// Octets of HTML that a page shows.
const HTML_OCTETS: usize = 2 * 1024 * 1024;
/// Files that a page lists.
const FILES: usize = 500;
/// Characters of a file's name.
const NAME_LENGTH: usize = 150;

/// What a message consists of.
#[derive(Debug, Default)]
pub(crate) struct Letter {
    /// Its plain text, of all parts that are to be read.
    pub(crate) text: String,
    /// Its HTML as it came, unsafe.
    pub(crate) html: String,
    /// Its files, the first of them with number 1.
    pub(crate) files: Vec<File>,
    /// Something in it could not be read or is not shown.
    pub(crate) is_partial: bool,
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its name, safe to show and to save.
    pub(crate) name: String,
    /// Its media type, as its sender says.
    pub(crate) media_type: String,
    /// Octets, decoded.
    pub(crate) size: u64,
}

/// A piece of text as it is set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// Quoted from an earlier message.
    pub(crate) is_quote: bool,
    /// Its lines.
    pub(crate) text: String,
}

impl Letter {
    /// Reads a stored message.
    pub(crate) async fn read(post_box: &PostBox, stored: &Stored) -> Result<Self, MailboxError> {
        let mut octets = post_box.octets(stored).await?;
        let mut splitter = Splitter::new();
        let mut sink = Sink::default();
        while let Some(chunk) = octets.next().await? {
            splitter.push(&chunk, &mut sink);
        }
        let structure = splitter.finish(&mut sink);
        sink.letter.is_partial |= structure.fault.is_some();
        if is_too_costly(&sink.letter.html) {
            let text = mail_parser::decoders::html::html_to_text(&sink.letter.html);
            join(&mut sink.letter.text, &text);
            sink.letter.html.clear();
            sink.letter.is_partial = true;
        }
        Ok(sink.letter)
    }

    /// The text to read, quote or print: where there is HTML alone, what stands in it.
    pub(crate) fn readable_text(&self) -> String {
        if self.text.trim().is_empty() && !self.html.is_empty() {
            return mail_parser::decoders::html::html_to_text(&self.html);
        }
        self.text.clone()
    }
}

/// Text as passages, quoted ones apart.
pub(crate) fn passages(text: &str) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    for line in text.lines() {
        let is_quote = line.starts_with('>');
        match passages.last_mut() {
            Some(last) if last.is_quote == is_quote => {
                last.text.push('\n');
                last.text.push_str(line);
            }
            Some(_) | None => passages.push(Passage { is_quote, text: line.to_owned() }),
        }
    }
    passages.retain(|passage| !passage.text.trim().is_empty());
    passages
}

/// What a part is to a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    Html,
    File,
    Unseen,
}

fn place_of(head: &PartHead) -> Place {
    match (head.disposition, head.media_type.as_str()) {
        (Disposition::Between, _) => Place::Unseen,
        (Disposition::Inline, "text/plain") => Place::Text,
        (Disposition::Inline, "text/html") => Place::Html,
        (Disposition::Inline | Disposition::Attachment | Disposition::Opaque, _) => Place::File,
    }
}

#[derive(Default)]
struct Sink {
    letter: Letter,
    place: Option<Place>,
    charset: Option<String>,
    octets: Vec<u8>,
}

impl PartSink for Sink {
    fn header(&mut self, _: &Header) {}

    fn part(&mut self, head: &PartHead) {
        let place = place_of(head);
        self.place = Some(place);
        self.charset.clone_from(&head.charset);
        self.letter.is_partial |= head.disposition == Disposition::Opaque;
        if place == Place::File {
            let number = self.letter.files.len() + 1;
            if number > FILES {
                self.letter.is_partial = true;
                self.place = Some(Place::Unseen);
                return;
            }
            self.letter.files.push(File::of(head, number));
        }
    }

    fn octets(&mut self, octets: &[u8]) {
        let limit = match self.place {
            Some(Place::Text) => TEXT_OCTETS.saturating_sub(self.letter.text.len()),
            Some(Place::Html) => HTML_OCTETS.saturating_sub(self.letter.html.len()),
            Some(Place::File) => {
                if let Some(file) = self.letter.files.last_mut() {
                    file.size += octets.len() as u64;
                }
                return;
            }
            Some(Place::Unseen) | None => return,
        };
        let kept = octets.len().min(limit.saturating_sub(self.octets.len()));
        self.letter.is_partial |= kept < octets.len();
        self.octets.extend_from_slice(octets.get(..kept).unwrap_or_default());
    }

    fn end(&mut self, end: PartEnd) {
        let octets = std::mem::take(&mut self.octets);
        let place = self.place.take();
        self.letter.is_partial |= end != PartEnd::Whole && place != Some(Place::Unseen);
        match place {
            Some(Place::Text) => join(&mut self.letter.text, &decoded(&octets, self.charset.as_deref())),
            Some(Place::Html) => join(&mut self.letter.html, &decoded(&octets, self.charset.as_deref())),
            Some(Place::File | Place::Unseen) | None => {}
        }
    }
}

fn join(whole: &mut String, part: &str) {
    if !whole.is_empty() && !part.trim().is_empty() {
        whole.push_str("\n\n");
    }
    whole.push_str(part);
}

/// Text in its own charset; where that is unknown or untrue, UTF-8 if it is, else what old programs write.
fn decoded(octets: &[u8], charset: Option<&str>) -> String {
    let named = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
    let guess = if std::str::from_utf8(octets).is_ok() { UTF_8 } else { WINDOWS_1252 };
    // Much is said to be ASCII, which this table reads as Windows-1252, and is UTF-8.
    let encoding = match named {
        Some(named) if named != WINDOWS_1252 && named != UTF_8 => named,
        Some(named)
            if named == WINDOWS_1252 && charset.is_some_and(|label| !label.eq_ignore_ascii_case("us-ascii")) =>
        {
            named
        }
        Some(_) | None => guess,
    };
    encoding.decode(octets).0.replace('\0', "\u{fffd}").replace("\r\n", "\n")
}

impl File {
    fn of(head: &PartHead, number: usize) -> Self {
        let ending = match head.media_type.as_str() {
            "text/plain" => "txt",
            "text/html" => "html",
            "text/calendar" => "ics",
            "image/png" => "png",
            "image/jpeg" => "jpg",
            "application/pdf" => "pdf",
            _ => "bin",
        };
        let name = head.file_name.as_deref().and_then(safe_name).unwrap_or_else(|| format!("{number}.{ending}"));
        Self { name, media_type: head.media_type.clone(), size: 0 }
    }
}

/// A file's name without any folder, controls, or characters that turn the direction of writing; `None` if nothing is
/// left of it.
pub(crate) fn safe_name(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let name: String = name.chars().filter(|c| !c.is_control() && !turns(*c)).collect();
    let name = name.trim_matches(|c: char| c.is_whitespace()).trim_end_matches('.').trim_start_matches("..");
    let ending = name.rfind('.').map(|at| name.split_at(at).1).filter(|ending| ending.len() <= 12).unwrap_or_default();
    if name.chars().count() > NAME_LENGTH {
        let stem: String = name.chars().take(NAME_LENGTH - ending.chars().count()).collect();
        return Some(format!("{stem}{ending}"));
    }
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

/// One file of a stored message, decoded while the message streams by.
pub(crate) struct FileStream {
    octets: Octets,
    splitter: Option<Splitter>,
    sink: Search,
}

struct Search {
    wanted: usize,
    seen: usize,
    found: Option<File>,
    open: bool,
    done: bool,
    ready: Vec<u8>,
}

impl FileStream {
    /// Goes to a message's file with this number; `None` if it has not so many.
    pub(crate) async fn open(
        post_box: &PostBox,
        stored: &Stored,
        number: usize,
    ) -> Result<Option<(File, Self)>, MailboxError> {
        let sink = Search { wanted: number, seen: 0, found: None, open: false, done: false, ready: Vec::new() };
        let octets = post_box.octets(stored).await?;
        let mut stream = Self { octets, splitter: Some(Splitter::new()), sink };
        while stream.sink.found.is_none() && stream.splitter.is_some() {
            stream.step().await?;
        }
        Ok(stream.sink.found.take().map(|file| (file, stream)))
    }

    /// The next octets of the file.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, MailboxError> {
        while self.sink.ready.is_empty() && !self.sink.done && self.splitter.is_some() {
            self.step().await?;
        }
        let ready = std::mem::take(&mut self.sink.ready);
        Ok(Some(ready).filter(|ready| !ready.is_empty()))
    }

    async fn step(&mut self) -> Result<(), MailboxError> {
        let chunk = self.octets.next().await?;
        match (&mut self.splitter, chunk) {
            (Some(splitter), Some(chunk)) => splitter.push(&chunk, &mut self.sink),
            (splitter, None) => {
                if let Some(splitter) = splitter.take() {
                    splitter.finish(&mut self.sink);
                }
            }
            (None, Some(_)) => {}
        }
        Ok(())
    }
}

impl PartSink for Search {
    fn header(&mut self, _: &Header) {}

    fn part(&mut self, head: &PartHead) {
        if place_of(head) == Place::File {
            self.seen += 1;
            if self.seen == self.wanted && self.wanted <= FILES {
                self.found = Some(File::of(head, self.seen));
                self.open = true;
            }
        }
    }

    fn octets(&mut self, octets: &[u8]) {
        if self.open {
            self.ready.extend_from_slice(octets);
        }
    }

    fn end(&mut self, _: PartEnd) {
        self.done |= self.open;
        self.open = false;
    }
}

#[cfg(test)]
mod tests {
    use crate::portal::letter::*;

    #[test]
    fn a_files_name_loses_its_folder_and_its_tricks() {
        assert_eq!(safe_name("C:\\Users\\eva\\kvitto.pdf").as_deref(), Some("kvitto.pdf"));
        assert_eq!(safe_name("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(safe_name("bild\u{202e}gpj.exe\r\n").as_deref(), Some("bildgpj.exe"));
        assert_eq!(safe_name("..").as_deref(), None);
        let long = safe_name(&format!("{}.pdf", "å".repeat(400))).unwrap();
        assert!(long.ends_with(".pdf") && long.chars().count() == NAME_LENGTH);
    }

    #[test]
    fn quotes_stand_apart() {
        let set = passages("Hej!\n\n> Förr\n>> Ännu förr\nNu");
        let shown: Vec<(bool, &str)> = set.iter().map(|p| (p.is_quote, p.text.trim())).collect();
        assert_eq!(shown, [(false, "Hej!"), (true, "> Förr\n>> Ännu förr"), (false, "Nu")]);
    }

    #[test]
    fn text_is_read_in_its_own_charset_or_the_likeliest() {
        assert_eq!(decoded("Åsa".as_bytes(), Some("us-ascii")), "Åsa");
        assert_eq!(decoded(b"\xc5sa", Some("iso-8859-1")), "Åsa");
        assert_eq!(decoded(b"\xc5sa", Some("utf-8")), "Åsa");
        assert_eq!(decoded(b"\xc5sa", None), "Åsa");
    }
}
