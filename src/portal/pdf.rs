//! A message as a PDF for keeping: tagged, so that a screen reader can read it (ISO 14289-1), with its fonts.

use std::num::NonZeroU16;
use std::ops::Range;

use krilla::configure::{Accessibility, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::Point;
use krilla::metadata::Metadata;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::{Page as Sheet, PageSettings};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, ListNumbering, SpanTag, TableHeaderScope, Tag, TagGroup, TagTree,
};
use krilla::text::{Font, GlyphId, KrillaGlyph};
use krilla::{Document, SerializeSettings};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

use crate::texts::Language;

const REGULAR: &[u8] = include_bytes!("../../templates/fonts/DejaVuSansCondensed.ttf");
const BOLD: &[u8] = include_bytes!("../../templates/fonts/DejaVuSansCondensed-Bold.ttf");

/// A4 (ISO 216) in points, and its margins.
const WIDTH: f32 = 595.28;
const HEIGHT: f32 = 841.89;
const MARGIN: f32 = 64.0;
const BOTTOM: f32 = HEIGHT - 72.0;
/// The column of the header block's labels.
const LABELS: f32 = 110.0;
/// Sizes of text, in points.
const BODY: f32 = 10.5;
const TITLE: f32 = 18.0;
const HEADING: f32 = 13.0;
const SMALL: f32 = 8.5;
/// The distance of two lines, in sizes.
const LEADING: f32 = 1.4;
/// Characters that are set at most: some 300 pages.
const SET: usize = 1_000_000;

/// What stands on the pages.
pub(crate) struct Page<'a> {
    /// The title: the message's subject.
    pub(crate) title: &'a str,
    /// Label and value, in order.
    pub(crate) rows: Vec<(String, String)>,
    /// The text, lines ended by LF, an empty line between paragraphs.
    pub(crate) text: &'a str,
    /// The heading above the list of files.
    pub(crate) files_heading: String,
    /// Name, type and size of each file.
    pub(crate) files: Vec<String>,
    /// The language of headings and labels.
    pub(crate) language: Language,
    /// Whose portal it comes from.
    pub(crate) organisation: &'a str,
}

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PdfError {
    /// A font that is part of the program cannot be read.
    #[error("a font cannot be read")]
    FontUnreadable,
    /// The library does not make a PDF of it.
    #[error("the PDF cannot be made: {0}")]
    NotMade(String),
}

/// Makes the PDF.
pub(crate) fn render(page: &Page<'_>) -> Result<Vec<u8>, PdfError> {
    let configuration = ConfigurationBuilder::new().with_accessibility_validator(Accessibility::UA1);
    let configuration = configuration.finish().map_err(|fault| PdfError::NotMade(format!("{fault:?}")))?;
    let settings = SerializeSettings { configuration, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    let metadata = Metadata::new().language(page.language.to_string()).title(page.title.to_owned());
    document.set_metadata(metadata.authors(vec![page.organisation.to_owned()]));
    let faces = Faces { regular: Face::new(REGULAR)?, bold: Face::new(BOLD)? };
    let (blocks, mut tree) = lay_out(page, &faces);
    let sheets = paginated(blocks);
    let count = sheets.len();
    let mut groups: Vec<Vec<Identifier>> = Vec::new();
    for (number, lines) in sheets.into_iter().enumerate() {
        let mut sheet = blank(&mut document)?;
        let mut surface = sheet.surface();
        for line in lines {
            let id = surface.start_tagged(ContentTag::Span(SpanTag::empty()));
            line.draw(&mut surface);
            surface.end_tagged();
            groups.resize_with(groups.len().max(line.place + 1), Vec::new);
            if let Some(group) = groups.get_mut(line.place) {
                group.push(id);
            }
        }
        let footer = format!("{} · {}/{count}", page.organisation, number + 1);
        surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Footer)));
        faces.regular.line(&footer, SMALL, (MARGIN, HEIGHT - 40.0), 0).draw(&mut surface);
        surface.end_tagged();
        surface.finish();
        sheet.finish();
    }
    let mut outline = Outline::new();
    let top = XyzDestination::new(0, Point::from_xy(0.0, 0.0));
    outline.push_child(OutlineNode::new(page.title.to_owned(), top));
    document.set_outline(outline);
    document.set_tag_tree(tree.grown(groups, page));
    document.finish().map_err(|fault| PdfError::NotMade(format!("{fault:?}")))
}

fn blank(document: &mut Document) -> Result<Sheet<'_>, PdfError> {
    let settings = PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| PdfError::NotMade("no paper".to_owned()))?;
    Ok(document.start_page_with(settings))
}

/// Which place in the structure each piece of text takes, counted as it is set.
struct Structure {
    rows: Vec<(usize, usize)>,
    paragraphs: Vec<usize>,
    heading: Option<usize>,
    files: Vec<usize>,
}

impl Structure {
    /// The tree of tags: title, header block as a table, paragraphs, files as a list.
    fn grown(&mut self, groups: Vec<Vec<Identifier>>, page: &Page<'_>) -> TagTree {
        let mut groups: Vec<Option<Vec<Identifier>>> = groups.into_iter().map(Some).collect();
        let mut filled = |tag: krilla::tagging::TagKind, place: usize| {
            let mut group = TagGroup::new(tag);
            let ids = groups.get_mut(place).and_then(Option::take).unwrap_or_default();
            ids.into_iter().for_each(|id| group.push(id));
            group
        };
        let mut tree = TagTree::new().with_lang(Some(page.language.to_string()));
        tree.push(filled(Tag::Hn(NonZeroU16::MIN, Some(page.title.to_owned())).into(), 0));
        let mut table = TagGroup::new(Tag::Table.with_summary(Some(page.title.to_owned())));
        for (label, value) in &self.rows {
            let mut row = TagGroup::new(Tag::TR);
            row.push(filled(Tag::TH(TableHeaderScope::Row).into(), *label));
            row.push(filled(Tag::TD.into(), *value));
            table.push(row);
        }
        tree.push(table);
        for place in &self.paragraphs {
            tree.push(filled(Tag::P.into(), *place));
        }
        if let Some(place) = self.heading {
            let level = NonZeroU16::MIN.saturating_add(1);
            tree.push(filled(Tag::Hn(level, Some(page.files_heading.clone())).into(), place));
            let mut list = TagGroup::new(Tag::L(ListNumbering::None));
            for place in &self.files {
                let mut item = TagGroup::new(Tag::LI);
                item.push(filled(Tag::LBody.into(), *place));
                list.push(item);
            }
            tree.push(list);
        }
        tree
    }
}

/// Everything as lines, each with the space above it, before pages are known.
fn lay_out(page: &Page<'_>, faces: &Faces) -> (Vec<Line>, Structure) {
    let mut lines = Vec::new();
    let mut places = 0..;
    let mut place = || places.next().unwrap_or_default();
    let whole = WIDTH - 2.0 * MARGIN;
    faces.bold.set(&mut lines, page.title, TITLE, (MARGIN, whole), 0.0, place());
    let mut structure = Structure { rows: Vec::new(), paragraphs: Vec::new(), heading: None, files: Vec::new() };
    for (label, value) in &page.rows {
        let (first, second) = (place(), place());
        let above = if structure.rows.is_empty() { 14.0 } else { 4.0 };
        faces.bold.set(&mut lines, label, BODY, (MARGIN, LABELS), above, first);
        // The value begins on the label's own line.
        let beside = faces.regular.wrapped(value, BODY, whole - LABELS);
        for (number, text) in beside.into_iter().enumerate() {
            let mut line = faces.regular.line(&text, BODY, (MARGIN + LABELS, 0.0), second);
            line.advance = if number == 0 { 0.0 } else { BODY * LEADING };
            lines.push(line);
        }
        structure.rows.push((first, second));
    }
    let text: String = page.text.chars().take(SET).collect();
    for (number, paragraph) in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()).enumerate() {
        let above = if number == 0 { 22.0 } else { 7.0 };
        let place = place();
        for (number, line) in paragraph.trim_matches('\n').lines().enumerate() {
            faces.regular.set(&mut lines, line, BODY, (MARGIN, whole), if number == 0 { above } else { 0.0 }, place);
        }
        structure.paragraphs.push(place);
    }
    if !page.files.is_empty() {
        let heading = place();
        structure.heading = Some(heading);
        faces.bold.set(&mut lines, &page.files_heading, HEADING, (MARGIN, whole), 22.0, heading);
        for file in &page.files {
            let place = place();
            structure.files.push(place);
            faces.regular.set(&mut lines, file, BODY, (MARGIN, whole), 3.0, place);
        }
    }
    (lines, structure)
}

/// Lines on their pages, with their heights.
fn paginated(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let mut sheets: Vec<Vec<Line>> = vec![Vec::new()];
    let mut y = MARGIN;
    for mut line in lines {
        y += line.advance;
        if y > BOTTOM {
            y = MARGIN + line.size * LEADING;
            sheets.push(Vec::new());
        }
        line.at.1 = y;
        if let Some(sheet) = sheets.last_mut() {
            sheet.push(line);
        }
    }
    sheets
}

struct Faces {
    regular: Face,
    bold: Face,
}

/// A font, to measure with and to draw with.
struct Face {
    measure: FontRef<'static>,
    draw: Font,
}

/// A line of text as it is drawn.
struct Line {
    text: String,
    glyphs: Vec<KrillaGlyph>,
    font: Font,
    size: f32,
    at: (f32, f32),
    /// How far below the line before it stands.
    advance: f32,
    place: usize,
}

impl Face {
    fn new(octets: &'static [u8]) -> Result<Self, PdfError> {
        let measure = FontRef::new(octets).map_err(|_| PdfError::FontUnreadable)?;
        let draw = Font::new(octets.into(), 0).ok_or(PdfError::FontUnreadable)?;
        Ok(Self { measure, draw })
    }

    /// Sets text into a column, as many lines as it takes.
    fn set(&self, lines: &mut Vec<Line>, text: &str, size: f32, column: (f32, f32), above: f32, place: usize) {
        for (number, text) in self.wrapped(text, size, column.1).into_iter().enumerate() {
            let mut line = self.line(&text, size, (column.0, 0.0), place);
            line.advance = size * LEADING + if number == 0 { above } else { 0.0 };
            lines.push(line);
        }
    }

    fn line(&self, text: &str, size: f32, at: (f32, f32), place: usize) -> Line {
        let text = self.settable(text);
        let glyphs = text.char_indices().map(|(start, c)| self.glyph(c, start..start + c.len_utf8())).collect();
        Line { text, glyphs, font: self.draw.clone(), size, at, advance: 0.0, place }
    }

    /// What the font has no glyph for is named by its number: a PDF with a hole in it could not be made.
    fn settable(&self, text: &str) -> String {
        let map = self.measure.charmap();
        let mut settable = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\t' => settable.push_str("    "),
                // Marks of direction and joining say nothing on paper.
                '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' => {}
                c if c.is_control() => {}
                c if map.map(c).is_some_and(|glyph| glyph.to_u32() != 0) => settable.push(c),
                c => settable.push_str(&format!("[U+{:04X}]", u32::from(c))),
            }
        }
        settable
    }

    fn glyph(&self, c: char, range: Range<usize>) -> KrillaGlyph {
        let glyph = self.measure.charmap().map(c).unwrap_or_default();
        KrillaGlyph::new(GlyphId::new(glyph.to_u32()), self.em(glyph), 0.0, 0.0, 0.0, range, None)
    }

    /// A glyph's width in sizes.
    fn em(&self, glyph: skrifa::GlyphId) -> f32 {
        let metrics = self.measure.glyph_metrics(Size::new(1.0), LocationRef::default());
        metrics.advance_width(glyph).unwrap_or_default()
    }

    fn width(&self, text: &str, size: f32) -> f32 {
        let map = self.measure.charmap();
        size * text.chars().map(|c| self.em(map.map(c).unwrap_or_default())).sum::<f32>()
    }

    /// Text in lines no wider than a column, broken where it may be (UAX 14), else wherever it must be.
    fn wrapped(&self, text: &str, size: f32, column: f32) -> Vec<String> {
        let text = self.settable(text);
        let mut lines = Vec::new();
        let (mut line, mut used) = (String::new(), 0.0);
        let mut start = 0;
        for (end, _) in unicode_linebreak::linebreaks(&text) {
            let word = text.get(start..end).unwrap_or_default();
            start = end;
            let needs = self.width(word.trim_end(), size);
            if used + needs > column && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                used = 0.0;
            }
            if needs <= column {
                line.push_str(word);
                used += self.width(word, size);
                continue;
            }
            for c in word.chars() {
                let wide = self.width(c.encode_utf8(&mut [0; 4]), size);
                if used + wide > column {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push(c);
                used += wide;
            }
        }
        if !line.trim_end().is_empty() || lines.is_empty() {
            lines.push(if line.is_empty() { " ".to_owned() } else { line });
        }
        lines
    }
}

impl Line {
    fn draw(&self, surface: &mut Surface<'_>) {
        let start = Point::from_xy(self.at.0, self.at.1);
        surface.draw_glyphs(start, &self.glyphs, self.font.clone(), &self.text, self.size, false);
    }
}

#[cfg(test)]
mod tests {
    use crate::portal::pdf::*;

    fn page(text: &str) -> Page<'_> {
        Page {
            title: "Komplettering av bygglov – ærø, Åland",
            rows: vec![("Från".into(), "Anna Berg, Bygglov".into()), ("Till".into(), "eva@live.example".into())],
            text,
            files_heading: "2 bifogade filer".into(),
            files: vec!["plan.pdf (PDF, 9 B)".into(), "bild.png (PNG, 3 kB)".into()],
            language: Language::Sv,
            organisation: "Sundby kommun",
        }
    }

    #[test]
    fn a_letter_becomes_a_tagged_pdf_whatever_it_says() {
        let pdf = render(&page("Hej Åsa!\n\nTack för æblegrød 😀 漢字.\n> Förr\n\n\u{202e}x\t\0y")).unwrap();
        assert!(pdf.starts_with(b"%PDF-1.7"));
        let has = |words: &[u8]| pdf.windows(words.len()).any(|window| window == words);
        assert!(has(b"/MarkInfo") && has(b"/StructTreeRoot") && has(b"/Lang"));
        render(&page("")).unwrap();
    }

    #[test]
    fn a_long_text_goes_on_over_pages_and_a_long_word_over_lines() {
        let long = format!("{}\n{}", "x".repeat(5_000), "Ord om ord. ".repeat(5_000));
        let pdf = render(&page(&long)).unwrap();
        let document = lopdf::Document::load_mem(&pdf).unwrap();
        assert!(document.get_pages().len() > 10);
    }
}
