//! What stands in the document, and where.

use std::num::NonZeroU16;

use krilla::tagging::{ListNumbering, TableHeaderScope, Tag};

use crate::pdf::face::{Faces, Weight};
use crate::pdf::sheet::{Ink, LEADING, Line, MARGIN, Sheets, Style, WIDTH};
use crate::pdf::structure::{Branch, Leaf, Leaves};
use crate::texts;

/// Characters of a title, a label, a value, a file's name and the footer. What is cut ends in "…".
const TITLE_LONGEST: usize = 1_000;
const LABEL_LONGEST: usize = 100;
const VALUE_LONGEST: usize = 10_000;
const NAME_LONGEST: usize = 1_000;
pub(crate) const FOOTER_LONGEST: usize = 80;
/// Rows of the header block and names of files. After the last one stands "…".
const ROWS_MOST: usize = 100;
const NAMES_MOST: usize = 1_000;
/// Octets of text, and sheets before the text ends. A note then says that there is more.
const TEXT_LONGEST: usize = 2 * 1024 * 1024;
const TEXT_SHEETS: usize = 500;

/// The width of the text, and of the header block's labels with the space after them.
pub(crate) const COLUMN: f32 = WIDTH - 2.0 * MARGIN;
const LABELS: f32 = 96.0;
const LABEL_GAP: f32 = 10.0;
/// How far the name of a file stands to the right of its bullet.
const BULLET: f32 = 12.0;

/// The space above a paragraph, in sizes.
const PARAGRAPH_GAP: f32 = 0.75;

const TITLE: Style = Style { weight: Weight::Bold, size: 18.0, ink: Ink::Full };
const HEADING: Style = Style { weight: Weight::Bold, size: 12.5, ink: Ink::Full };
const LABEL: Style = Style { weight: Weight::Bold, size: 10.0, ink: Ink::Full };
const VALUE: Style = Style { weight: Weight::Regular, size: 10.0, ink: Ink::Full };
const BODY: Style = Style { weight: Weight::Regular, size: 10.5, ink: Ink::Full };
const QUOTED: Style = Style { weight: Weight::Regular, size: 10.5, ink: Ink::Dim };
const NOTE: Style = Style { weight: Weight::Bold, size: 10.5, ink: Ink::Full };
/// Above the title and below the text: whose message it is, and the footer.
pub(crate) const SMALL: Style = Style { weight: Weight::Regular, size: 8.5, ink: Ink::Dim };

/// A message as it is to stand on paper. All of it is plain text, of any length and any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The title: the message's subject. Where it is empty, the organisation stands for it.
    pub title: String,
    /// Whose message it is; also the document's author.
    pub organisation: String,
    /// The language of labels and headings, and of the document as far as anybody knows.
    pub language: texts::Language,
    /// The header block: label and value, in order.
    pub rows: Vec<(String, String)>,
    /// The text. Lines end in LF or CRLF, an empty line parts paragraphs, a line beginning with `>` is quoted.
    pub text: String,
    /// The heading above the list of files; it stands only where there are files.
    pub attachments_heading: String,
    /// The files, each as it is to be read: name, type, size.
    pub attachments: Vec<String>,
    /// What stands at the foot of every page, before the page's number.
    pub footer: String,
}

/// A document laid out: lines in their places, and what they are.
pub(crate) struct Layout {
    pub(crate) sheets: Sheets,
    pub(crate) leaves: Leaves,
    pub(crate) branches: Vec<Branch>,
    /// The sheet where the list of files begins, counted from 0, for the bookmarks.
    pub(crate) files_at: Option<usize>,
}

/// Lines of a text that belong together: a paragraph.
struct Paragraph<'t> {
    quoted: bool,
    lines: Vec<&'t str>,
}

impl Document {
    /// The title as one line, never empty: a document without one is not accessible (ISO 14289-1 §7.1).
    pub(crate) fn shown_title(&self) -> String {
        let titles = [&self.title, &self.organisation, &self.footer].map(|title| one_line(title, TITLE_LONGEST));
        titles.into_iter().find(|title| !title.is_empty()).unwrap_or_else(|| "–".to_owned())
    }
}

/// A text as one line without controls and non-characters, which XML (and so the PDF's metadata) cannot hold, cut after
/// so many characters.
pub(crate) fn one_line(text: &str, longest: usize) -> String {
    let speaks = |c: &char| !c.is_control() && !matches!(u32::from(*c) & 0xffff, 0xfffe | 0xffff);
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(speaks);
    let mut line: String = spaced.clone().take(longest).collect();
    if spaced.clone().nth(longest).is_some() {
        line.push('…');
    }
    line.trim().to_owned()
}

/// Lays a document out.
pub(crate) fn lay_out(document: &Document, faces: &Faces) -> Layout {
    let mut layout = Layout { sheets: Sheets::new(), leaves: Leaves::default(), branches: Vec::new(), files_at: None };
    layout.head(document, faces);
    layout.table(document, faces);
    layout.text(document, faces);
    layout.files(document, faces);
    layout
}

impl Layout {
    fn head(&mut self, document: &Document, faces: &Faces) {
        let organisation = one_line(&document.organisation, LABEL_LONGEST);
        if !organisation.is_empty() {
            let leaf = self.lines(faces, &organisation, SMALL);
            self.branches.push(Branch::with_text(Tag::P, leaf));
            self.sheets.skip(4.0);
        }
        let title = document.shown_title();
        let leaf = self.lines(faces, &title, TITLE);
        self.branches.push(Branch::with_text(Tag::Hn(NonZeroU16::MIN, Some(title)), leaf));
    }

    /// The header block, as a table whose first cells name the rows.
    fn table(&mut self, document: &Document, faces: &Faces) {
        let more = (document.rows.len() > ROWS_MOST).then(|| ("…".to_owned(), "…".to_owned()));
        let mut rows = Vec::new();
        for (label, value) in document.rows.iter().take(ROWS_MOST).chain(&more) {
            if rows.is_empty() {
                self.sheets.rule(16.0);
                self.sheets.skip(4.0);
            }
            self.sheets.skip(3.0);
            let (label, value) = (one_line(label, LABEL_LONGEST), one_line(value, VALUE_LONGEST));
            let (named, said) = (self.leaves.next(), self.leaves.next());
            let labels = faces.of(LABEL.weight).wrapped(&label, LABEL.size, LABELS - LABEL_GAP);
            let values = faces.of(VALUE.weight).wrapped(&value, VALUE.size, COLUMN - LABELS);
            for number in 0..labels.len().max(values.len()) {
                let left = labels.get(number).map(|text| line(text, LABEL, named, MARGIN));
                let right = values.get(number).map(|text| line(text, VALUE, said, MARGIN + LABELS));
                self.sheets.put(left.into_iter().chain(right));
            }
            let cells =
                vec![Branch::with_text(Tag::TH(TableHeaderScope::Row), named), Branch::with_text(Tag::TD, said)];
            rows.push(Branch::with(Tag::TR, cells));
        }
        if !rows.is_empty() {
            self.sheets.rule(9.0);
            self.branches.push(Branch::with(Tag::Table, rows));
        }
        self.sheets.skip(14.0);
    }

    fn text(&mut self, document: &Document, faces: &Faces) {
        let end = document.text.floor_char_boundary(TEXT_LONGEST);
        let mut cut = end < document.text.len();
        let text = document.text.get(..end).unwrap_or_default();
        let text = text.replace("\r\n", "\n").replace(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
        for paragraph in paragraphs(&text) {
            if self.sheets.count() > TEXT_SHEETS {
                cut = true;
                break;
            }
            cut |= self.paragraph(&paragraph, faces);
        }
        if cut {
            self.sheets.skip(10.0);
            let leaf = self.lines(faces, &texts::say(document.language, "pdf-cut", &[]), NOTE);
            self.branches.push(Branch::with_text(Tag::P, leaf));
        }
    }

    /// Sets a paragraph as far as the sheets go, and says whether that was cut short.
    fn paragraph(&mut self, paragraph: &Paragraph<'_>, faces: &Faces) -> bool {
        let style = if paragraph.quoted { QUOTED } else { BODY };
        self.sheets.skip(style.size * PARAGRAPH_GAP);
        if paragraph.lines.len() > 1 {
            // Its first line does not stay behind alone.
            self.sheets.keep(2.0 * style.size * LEADING);
        }
        let leaf = self.leaves.next();
        let lines = paragraph.lines.iter().flat_map(|text| faces.of(style.weight).wrapped(text, style.size, COLUMN));
        let mut cut = false;
        for text in lines {
            cut = self.sheets.count() > TEXT_SHEETS;
            if cut {
                break;
            }
            self.sheets.put([line(&text, style, leaf, MARGIN)]);
        }
        let tagged = Branch::with_text(Tag::P, leaf);
        self.branches.push(if paragraph.quoted { Branch::with(Tag::BlockQuote, vec![tagged]) } else { tagged });
        cut
    }

    fn files(&mut self, document: &Document, faces: &Faces) {
        if document.attachments.is_empty() {
            return;
        }
        self.sheets.skip(20.0);
        self.sheets.keep(HEADING.size * LEADING + 3.0 * BODY.size * LEADING);
        self.files_at = Some(self.sheets.count().saturating_sub(1));
        let heading = one_line(&document.attachments_heading, TITLE_LONGEST);
        if !heading.is_empty() {
            let leaf = self.lines(faces, &heading, HEADING);
            let level = NonZeroU16::MIN.saturating_add(1);
            self.branches.push(Branch::with_text(Tag::Hn(level, Some(heading)), leaf));
        }
        let more = (document.attachments.len() > NAMES_MOST).then(|| "…".to_owned());
        let names = document.attachments.iter().take(NAMES_MOST).chain(&more);
        let items = names.map(|name| self.file(&one_line(name, NAME_LONGEST), faces)).collect();
        self.branches.push(Branch::with(Tag::L(ListNumbering::Disc), items));
    }

    fn file(&mut self, name: &str, faces: &Faces) -> Branch {
        self.sheets.skip(2.5);
        let (bullet, named) = (self.leaves.next(), self.leaves.next());
        let texts = faces.of(BODY.weight).wrapped(name, BODY.size, COLUMN - BULLET);
        for (number, text) in texts.iter().enumerate() {
            let mark = (number == 0).then(|| line("•", BODY, bullet, MARGIN));
            self.sheets.put(mark.into_iter().chain([line(text, BODY, named, MARGIN + BULLET)]));
        }
        Branch::with(Tag::LI, vec![Branch::with_text(Tag::Lbl, bullet), Branch::with_text(Tag::LBody, named)])
    }

    /// Sets a text across the whole column.
    fn lines(&mut self, faces: &Faces, text: &str, style: Style) -> Leaf {
        let leaf = self.leaves.next();
        for text in faces.of(style.weight).wrapped(text, style.size, COLUMN) {
            self.sheets.put([line(&text, style, leaf, MARGIN)]);
        }
        leaf
    }
}

/// A line whose height is not known yet.
fn line(text: &str, style: Style, leaf: Leaf, x: f32) -> Line {
    Line { text: text.to_owned(), style, leaf, x, y: 0.0 }
}

/// The paragraphs of a text: parted by empty lines, and where quoting begins or ends.
fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.trim().is_empty()).is_some() {}
        let first = lines.next()?;
        let quoted = is_quoted(first);
        let mut paragraph = Paragraph { quoted, lines: vec![first] };
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty() && is_quoted(line) == quoted) {
            paragraph.lines.push(line);
        }
        Some(paragraph)
    })
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}
