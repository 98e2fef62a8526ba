//! Draws what was laid out.

use krilla::Document as Paper;
use krilla::SerializeSettings;
use krilla::color::rgb;
use krilla::configure::{Accessibility, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{Artifact, ArtifactType, ContentTag, SpanTag};

use crate::pdf::error::PdfError;
use crate::pdf::face::Faces;
use crate::pdf::layout::{COLUMN, Document, FOOTER_LONGEST, SMALL, lay_out, one_line};
use crate::pdf::sheet::{FOOTER, HEIGHT, Ink, MARGIN, Sheet, Style, WIDTH};
use crate::pdf::structure::{Drawn, tree};

/// The width of thin lines, in points, and their grey.
const RULE: f32 = 0.6;
const GREY: u8 = 190;

/// Makes the PDF: A4, tagged, with bookmarks and its fonts, declared as PDF/UA-1 (ISO 14289-1). Whatever the values say,
/// there is a document: what the fonts lack is named by its number, what is too long is cut where it can be seen.
///
/// Takes time in proportion to the text (a page takes about a millisecond): not for a thread that others wait for.
///
/// # Errors
///
/// A fault of the program or of the library, see [`PdfError`].
pub fn render(document: &Document) -> Result<Vec<u8>, PdfError> {
    let configuration = ConfigurationBuilder::new().with_accessibility_validator(Accessibility::UA1);
    let configuration = configuration.finish().map_err(|_| PdfError::KindUnknown)?;
    let mut paper = Paper::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    let faces = Faces::new()?;
    let layout = lay_out(document, &faces);
    let mut drawn = Drawn::new(&layout.leaves);
    let sheets = layout.sheets.filled();
    let count = sheets.len();
    for (number, sheet) in sheets.iter().enumerate() {
        let settings = PageSettings::from_wh(WIDTH, HEIGHT).ok_or(PdfError::KindUnknown)?;
        let mut page = paper.start_page_with(settings);
        let mut surface = page.surface();
        draw(sheet, &faces, &mut surface, &mut drawn);
        let number = format!("{}/{count}", number + 1);
        foot(&one_line(&document.footer, FOOTER_LONGEST), &number, &faces, &mut surface);
        surface.finish();
        page.finish();
    }
    paper.set_metadata(metadata(document));
    paper.set_outline(outline(document, layout.files_at));
    paper.set_tag_tree(tree(layout.branches, drawn, document.language.tag()));
    paper.finish().map_err(PdfError::Refused)
}

fn metadata(document: &Document) -> Metadata {
    let metadata = Metadata::new().title(document.shown_title()).language(document.language.tag().to_owned());
    let organisation = one_line(&document.organisation, FOOTER_LONGEST);
    if organisation.is_empty() { metadata } else { metadata.authors(vec![organisation]) }
}

/// The bookmarks: the title, and the files under it.
fn outline(document: &Document, files_at: Option<usize>) -> Outline {
    let top = |sheet| XyzDestination::new(sheet, Point::from_xy(0.0, 0.0));
    let mut title = OutlineNode::new(document.shown_title(), top(0)).with_open(true);
    let heading = one_line(&document.attachments_heading, FOOTER_LONGEST);
    if let Some(sheet) = files_at.filter(|_| !heading.is_empty()) {
        title.push_child(OutlineNode::new(heading, top(sheet)));
    }
    let mut outline = Outline::new();
    outline.push_child(title);
    outline
}

fn draw(sheet: &Sheet, faces: &Faces, surface: &mut Surface<'_>, drawn: &mut Drawn) {
    for line in &sheet.lines {
        let piece = surface.start_tagged(ContentTag::Span(SpanTag::empty()));
        text(&line.text, line.style, (line.x, line.y), faces, surface);
        surface.end_tagged();
        drawn.add(line.leaf, piece);
    }
    for y in &sheet.rules {
        surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout)));
        rule(*y, surface);
        surface.end_tagged();
    }
}

/// The foot of a page. It is no part of the message, so screen readers pass it by (ISO 14289-1 §7.8).
fn foot(footer: &str, number: &str, faces: &Faces, surface: &mut Surface<'_>) {
    let face = faces.of(SMALL.weight);
    surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Footer)));
    let wide = face.drawn_width(number, SMALL.size);
    let (right, left) = (WIDTH - MARGIN - wide, COLUMN - 2.0 * wide);
    if let Some(footer) = face.wrapped(footer, SMALL.size, left).first() {
        text(footer, SMALL, (MARGIN, FOOTER), faces, surface);
    }
    text(number, SMALL, (right, FOOTER), faces, surface);
    surface.end_tagged();
}

fn text(words: &str, style: Style, at: (f32, f32), faces: &Faces, surface: &mut Surface<'_>) {
    let face = faces.of(style.weight);
    let grey = match style.ink {
        Ink::Full => 0,
        Ink::Dim => 85,
    };
    surface.set_stroke(None);
    surface.set_fill(Some(Fill { paint: shade(grey).into(), ..Fill::default() }));
    let start = Point::from_xy(at.0, at.1);
    surface.draw_glyphs(start, &face.glyphs(words), face.font.clone(), words, style.size, false);
}

fn rule(y: f32, surface: &mut Surface<'_>) {
    let mut path = PathBuilder::new();
    path.move_to(MARGIN, y);
    path.line_to(WIDTH - MARGIN, y);
    let Some(path) = path.finish() else { return };
    surface.set_fill(None);
    let (paint, opacity) = (shade(GREY).into(), NormalizedF32::ONE);
    surface.set_stroke(Some(Stroke { paint, width: RULE, opacity, ..Stroke::default() }));
    surface.draw_path(&path);
}

fn shade(grey: u8) -> rgb::Color {
    rgb::Color::new(grey, grey, grey)
}
