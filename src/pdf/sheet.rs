//! Sheets of paper and the lines on them.

use crate::pdf::face::Weight;
use crate::pdf::structure::Leaf;

/// A4 (ISO 216) in points, and its margins.
pub(crate) const WIDTH: f32 = 595.28;
pub(crate) const HEIGHT: f32 = 841.89;
pub(crate) const MARGIN: f32 = 68.0;
const TOP: f32 = 64.0;
const BOTTOM: f32 = HEIGHT - 84.0;
/// The baseline of the footer.
pub(crate) const FOOTER: f32 = HEIGHT - 42.0;
/// The distance of two baselines, in sizes.
pub(crate) const LEADING: f32 = 1.42;

/// How dark something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// What people wrote.
    Full,
    /// What they quoted, and what stands around a message: dim, but 7:1 on white (WCAG 2.2 SC 1.4.6).
    Dim,
}

/// How a line is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Style {
    pub(crate) weight: Weight,
    /// In points.
    pub(crate) size: f32,
    pub(crate) ink: Ink,
}

/// A line of settable text in its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) style: Style,
    pub(crate) leaf: Leaf,
    /// From the left edge of the paper, in points.
    pub(crate) x: f32,
    /// The baseline, from the upper edge.
    pub(crate) y: f32,
}

/// What stands on one side of paper.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) lines: Vec<Line>,
    /// Thin lines across the column, at these heights.
    pub(crate) rules: Vec<f32>,
}

/// Sheets as they fill, from the first one's top.
#[derive(Debug)]
pub(crate) struct Sheets {
    sheets: Vec<Sheet>,
    /// The lowest baseline so far on the last sheet.
    y: f32,
}

impl Sheets {
    pub(crate) fn new() -> Self {
        Self { sheets: vec![Sheet::default()], y: TOP }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.sheets.len()
    }

    /// Leaves so many points empty, though not at the top of a sheet.
    pub(crate) fn skip(&mut self, points: f32) {
        if self.y > TOP {
            self.y += points;
        }
    }

    /// Begins a new sheet unless so many points are left on this one.
    pub(crate) fn keep(&mut self, points: f32) {
        if self.y + points > BOTTOM {
            self.sheets.push(Sheet::default());
            self.y = TOP;
        }
    }

    /// Sets lines side by side on the next baseline.
    pub(crate) fn put(&mut self, lines: impl IntoIterator<Item = Line>) {
        let lines: Vec<Line> = lines.into_iter().collect();
        let tallest = lines.iter().map(|line| line.style.size).fold(0.0, f32::max);
        self.keep(tallest * LEADING);
        self.y += tallest * LEADING;
        let y = self.y;
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.lines.extend(lines.into_iter().map(|line| Line { y, ..line }));
        }
    }

    /// Draws a thin line across the column, so many points below the last baseline.
    pub(crate) fn rule(&mut self, below: f32) {
        self.y += below;
        let y = self.y;
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.rules.push(y);
        }
    }

    pub(crate) fn filled(self) -> Vec<Sheet> {
        self.sheets
    }
}
