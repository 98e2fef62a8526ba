//! The two fonts: what they can show, how wide it is, where lines break, and the glyphs of a line.

use std::ops::Range;

use harfrust::{Direction, ShaperData, UnicodeBuffer};
use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider};
use unicode_bidi::{BidiInfo, Level};

use crate::pdf::error::PdfError;

const REGULAR: &[u8] = include_bytes!("../../templates/fonts/LiberationSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../templates/fonts/LiberationSans-Bold.ttf");

/// Spaces a tab becomes: columns made with tabs do not survive a proportional font anyway.
const TAB: &str = "    ";

/// Regular for what people wrote, bold for labels and headings.
pub(crate) struct Faces {
    regular: Face,
    bold: Face,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// A font, to measure with, to shape with and to draw with.
pub(crate) struct Face {
    pub(crate) font: Font,
    map: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
    shapes: harfrust::FontRef<'static>,
    shaper: ShaperData,
}

impl Faces {
    /// Reads both fonts.
    pub(crate) fn new() -> Result<Self, PdfError> {
        Ok(Self { regular: Face::new("regular", REGULAR)?, bold: Face::new("bold", BOLD)? })
    }

    pub(crate) fn of(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

impl Face {
    fn new(name: &'static str, octets: &'static [u8]) -> Result<Self, PdfError> {
        let unreadable = || PdfError::FontUnreadable(name);
        let measure = FontRef::new(octets).map_err(|_| unreadable())?;
        let shapes = harfrust::FontRef::new(octets).map_err(|_| unreadable())?;
        let font = Font::new(octets.into(), 0).ok_or_else(unreadable)?;
        let metrics = measure.glyph_metrics(Size::new(1.0), LocationRef::default());
        Ok(Self { font, map: measure.charmap(), metrics, shaper: ShaperData::new(&shapes), shapes })
    }

    /// One line of text with nothing in it the font cannot show: PDF/UA forbids the glyph for "missing" (ISO 14289-1
    /// §7.21.8), so what the font lacks is named by its number, visibly. Marks of direction and joining and controls
    /// say nothing on paper; overriding directions would let a text look other than it reads.
    pub(crate) fn settable(&self, text: &str) -> String {
        let mut settable = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\t' => settable.push_str(TAB),
                '\n' => settable.push(' '),
                '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e0fff}' => {}
                c if c.is_control() => {}
                c if self.map.map(c).is_some_and(|glyph| glyph.to_u32() != 0) => settable.push(c),
                c => settable.push_str(&format!("[U+{:04X}]", u32::from(c))),
            }
        }
        settable
    }

    /// How wide a settable text is, in points, without kerning: this decides only where lines break.
    fn width(&self, text: &str, size: f32) -> f32 {
        size * text.chars().map(|c| self.em(c)).sum::<f32>()
    }

    fn em(&self, c: char) -> f32 {
        self.map.map(c).and_then(|glyph| self.metrics.advance_width(glyph)).unwrap_or_default()
    }

    /// A text in lines no wider than a column of so many points, broken where it may be (UAX 14), else, in words
    /// wider than the column, wherever it must be. Never without a line. Lines keep the space they are broken at and the
    /// last one ends in one, so that what reads the document joins no two words and parts none.
    pub(crate) fn wrapped(&self, text: &str, size: f32, column: f32) -> Vec<String> {
        let text = self.settable(text);
        let mut lines = Vec::new();
        let (mut line, mut used, mut start) = (String::new(), 0.0, 0);
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
                let wide = size * self.em(c);
                // An accent that stands alone has no width and stays with its letter.
                if used + wide > column && wide > 0.0 && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push(c);
                used += wide;
            }
        }
        if !line.trim_end().is_empty() || lines.is_empty() {
            lines.push(line);
        }
        if let Some(last) = lines.last_mut().filter(|last| !last.ends_with(' ')) {
            last.push(' ');
        }
        lines
    }

    /// The glyphs of a settable line, from left to right, whatever the directions in it (UAX 9). Widths are in sizes.
    pub(crate) fn glyphs(&self, line: &str) -> Vec<KrillaGlyph> {
        let bidi = BidiInfo::new(line, Some(Level::ltr()));
        let Some(paragraph) = bidi.paragraphs.first().filter(|_| bidi.has_rtl()) else {
            return self.run(line, 0..line.len(), Direction::LeftToRight);
        };
        let (levels, runs) = bidi.visual_runs(paragraph, paragraph.range.clone());
        let mut glyphs = Vec::new();
        for run in runs {
            let rightward = levels.get(run.start).is_none_or(|level| level.is_ltr());
            glyphs.extend(self.run(line, run, if rightward { Direction::LeftToRight } else { Direction::RightToLeft }));
        }
        glyphs
    }

    /// The glyphs of a part of a line that runs in one direction.
    fn run(&self, line: &str, part: Range<usize>, direction: Direction) -> Vec<KrillaGlyph> {
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(line.get(part.clone()).unwrap_or_default());
        buffer.set_direction(direction);
        buffer.guess_segment_properties();
        let shaped = self.shaper.shaper(&self.shapes).build().shape(buffer, harfrust::ShapeOptions::new());
        // Every glyph says where its characters begin; they end where those of another begin.
        let mut starts: Vec<usize> =
            shaped.glyph_infos().iter().map(|glyph| part.start + glyph.cluster as usize).collect();
        starts.sort_unstable();
        starts.dedup();
        let end = |start: usize| starts.get(starts.partition_point(|s| *s <= start)).copied().unwrap_or(part.end);
        let em = self.font.units_per_em();
        let glyphs = shaped.glyph_infos().iter().zip(shaped.glyph_positions());
        glyphs
            .map(|(glyph, at)| {
                let start = part.start + glyph.cluster as usize;
                let sizes = |units: i32| units as f32 / em;
                let id = GlyphId::new(glyph.glyph_id);
                let (right, up) = (sizes(at.x_offset), sizes(at.y_offset));
                KrillaGlyph::new(id, sizes(at.x_advance), right, up, sizes(at.y_advance), start..end(start), None)
            })
            .collect()
    }

    /// How wide a settable line is as it will be drawn, in points.
    pub(crate) fn drawn_width(&self, line: &str, size: f32) -> f32 {
        size * self.glyphs(line).iter().map(|glyph| glyph.x_advance).sum::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use crate::pdf::face::*;

    fn regular() -> Face {
        Face::new("regular", REGULAR).unwrap()
    }

    #[test]
    fn what_the_font_lacks_is_named_and_what_says_nothing_is_left_out() {
        let settable = |text: &str| regular().settable(text);
        assert_eq!(settable("Åse Þór Łódź Ωμέγα Привет €–«»"), "Åse Þór Łódź Ωμέγα Привет €–«»");
        assert_eq!(settable("ja 😀 漢\u{fffe}"), "ja [U+1F600] [U+6F22][U+FFFE]");
        assert_eq!(settable("a\u{202e}b\u{200b}c\0d\te\nf\u{feff}"), "abcd    e f");
    }

    #[test]
    fn lines_break_between_words_and_long_words_anywhere() {
        let face = regular();
        assert_eq!(face.wrapped("Bygg lov nu", 10.0, 45.0), ["Bygg lov ", "nu "]);
        let url = format!("se https://a.example/{}", "x".repeat(500));
        let lines = face.wrapped(&url, 10.0, 200.0);
        assert_eq!(lines.concat(), format!("{url} "), "nothing is lost or added");
        assert!(lines.iter().all(|line| face.width(line.trim_end(), 10.0) <= 200.0));
        assert_eq!(face.wrapped("", 10.0, 200.0), [" "]);
    }

    #[test]
    fn an_accent_that_comes_apart_is_set_as_the_letter_it_makes() {
        let face = regular();
        let ids = |text: &str| face.glyphs(text).iter().map(|glyph| glyph.glyph_id).collect::<Vec<_>>();
        assert_eq!(ids("a\u{30a}r"), ids("år"));
        assert_eq!(face.glyphs("a\u{30a}r").first().map(|glyph| glyph.text_range.clone()), Some(0..3));
    }

    #[test]
    fn hebrew_runs_from_right_to_left() {
        let glyphs = regular().glyphs("hej שלום x");
        let starts: Vec<usize> = glyphs.iter().map(|glyph| glyph.text_range.start).collect();
        assert_eq!(starts, [0, 1, 2, 3, 10, 8, 6, 4, 12, 13]);
    }
}
