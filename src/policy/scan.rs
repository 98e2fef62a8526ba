//! Searching text as it streams by: national numbers and regular expressions.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::directory::{Certainty, NationalId, NumberType};
use crate::policy::error::RuleFault;

/// Octets of text kept from one piece to the next, so that what stands across the seam is found.
const OVERLAP: usize = 512;
/// Octets searched at a time.
const WINDOW: usize = 32 * 1024;
/// Octets around a bare Danish number in which a word for it counts.
const NEARBY: usize = 40;
/// Digits of the longest run a number begins with.
const LONGEST_RUN: usize = 12;
/// Digits a Finnish number begins with.
const HETU_RUN: usize = 6;
/// Octets a number with its separators may take.
const LONGEST: usize = 128;
/// Octets between two runs of a number's digits: separators, and blanks beside them.
const SEPARATORS: usize = 4;
const BLANKS: usize = 24;
/// Octets a compiled regular expression may take.
const REGEX_OCTETS: usize = 1 << 20;
/// Octets looked at together for a digit.
const BLOCK: usize = 64;
/// Words that make ten bare digits a Danish number. In lower case.
const WORDS: [&str; 4] = ["cpr", "personn", "person-n", "p.nr"];

/// Something a rule looks for in text.
#[derive(Debug, Clone)]
pub enum Search {
    /// A valid number of this kind.
    Number(NumberType),
    /// A match of this expression.
    Text(Regex),
}

/// Looks for several things in one stream of text. What was found stays found.
#[derive(Debug)]
pub(crate) struct Scanner {
    searches: Arc<[Search]>,
    found: Vec<bool>,
    year: u16,
    pending: String,
}

impl Search {
    /// The expression, within bounds of size.
    ///
    /// # Errors
    /// [`RuleFault::RegexIsInvalid`].
    pub fn regex(expression: &str) -> Result<Regex, RuleFault> {
        let built = RegexBuilder::new(expression).size_limit(REGEX_OCTETS).dfa_size_limit(REGEX_OCTETS).build();
        built.map_err(|fault| RuleFault::RegexIsInvalid(fault.to_string()))
    }
}

impl FromStr for Search {
    type Err = RuleFault;

    fn from_str(text: &str) -> Result<Self, RuleFault> {
        match text.strip_prefix("regex:") {
            Some(expression) => Ok(Self::Text(Self::regex(expression)?)),
            None => text.parse().map(Self::Number).map_err(|_| RuleFault::SearchIsUnknown(text.to_owned())),
        }
    }
}

impl Scanner {
    /// Looks for these, with this year as today's.
    pub(crate) fn new(searches: Arc<[Search]>, year: u16) -> Self {
        let found = vec![false; searches.len()];
        Self { searches, found, year, pending: String::new() }
    }

    /// Whether there is anything left to look for.
    pub(crate) fn is_needed(&self) -> bool {
        self.found.iter().any(|found| !found)
    }

    /// The next text of the stream.
    pub(crate) fn push(&mut self, text: &str) {
        if !self.is_needed() {
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.floor_char_boundary(WINDOW.max(4)));
            normalize(now, &mut self.pending);
            rest = later;
            if self.pending.len() >= WINDOW {
                self.search(false);
            }
        }
    }

    /// The end of one stream: the next begins apart.
    pub(crate) fn end(&mut self) {
        self.search(true);
        self.pending.clear();
    }

    /// What was found, in the order of the searches.
    pub(crate) fn found(&self) -> &[bool] {
        &self.found
    }

    fn search(&mut self, last: bool) {
        let text = std::mem::take(&mut self.pending);
        let mut numbers: Vec<(NumberType, &mut bool)> = Vec::new();
        for (search, found) in Arc::clone(&self.searches).iter().zip(&mut self.found) {
            match search {
                _ if *found => {}
                Search::Text(regex) => *found = regex.is_match(&text),
                Search::Number(kind) => numbers.push((*kind, found)),
            }
        }
        if !numbers.is_empty() {
            look_for_numbers(&text, &mut numbers, self.year, last);
        }
        if !last {
            let kept = text.floor_char_boundary(text.len().saturating_sub(OVERLAP));
            self.pending = text.get(kept..).unwrap_or_default().to_owned();
        }
    }
}

/// The same text with every kind of digit, hyphen and blank written the plain way.
fn normalize(text: &str, out: &mut String) {
    if text.is_ascii() && memchr::memchr(0, text.as_bytes()).is_none() {
        out.push_str(text);
        return;
    }
    let composed = match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfkc().collect()),
    };
    out.extend(composed.chars().filter_map(|c| match c {
        '\u{660}'..='\u{669}' => char::from_digit(u32::from(c) - 0x660, 10),
        '\u{6f0}'..='\u{6f9}' => char::from_digit(u32::from(c) - 0x6f0, 10),
        '\u{b7}' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2500}' | '\u{2212}' | '\u{ff0d}' | '\u{fe63}' => {
            Some('-')
        }
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        // Zeros stand between the letters of UTF-16 that is read as something else.
        '\0'
        | '\u{335}'..='\u{338}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2060}'
        | '\u{feff}' => None,
        c => Some(c),
    }));
}

/// Notes the kinds of which a number begins anywhere. Near the end of a piece that is not the last, it is left to the next.
fn look_for_numbers(text: &str, wanted: &mut [(NumberType, &mut bool)], year: u16, last: bool) {
    let octets = text.as_bytes();
    let end = if last { octets.len() } else { octets.len().saturating_sub(LONGEST + NEARBY) };
    let mut place = 0;
    while let Some(next) = octets.get(place..end).and_then(first_digit) {
        place += next;
        let before = place.checked_sub(1).and_then(|before| octets.get(before)).copied().unwrap_or(b' ');
        let run = digits(octets.get(place..).unwrap_or_default());
        let after = octets.get(place + run).copied().unwrap_or(b' ');
        // Only a Finnish number has a letter behind its first digits.
        let may_begin = run <= LONGEST_RUN && (!after.is_ascii_alphabetic() || run == HETU_RUN);
        if may_begin && (!before.is_ascii_alphanumeric() || has_label_before(octets, place)) {
            for (kind, found) in wanted.iter_mut().filter(|(_, found)| !**found) {
                **found = number_at(text, place, *kind, year);
            }
        }
        // On to the end of this run of digits: a number never begins within one.
        place += run.max(1);
    }
}

/// Whether a number is glued to a word that announces it: `pnr850101-2382`.
fn has_label_before(octets: &[u8], place: usize) -> bool {
    let from = place.saturating_sub(3);
    let before = octets.get(from..place).unwrap_or_default().to_ascii_lowercase();
    [&b"nr"[..], b"cpr", b"mer", b"no"].iter().any(|label| before.ends_with(label))
}

fn digits(octets: &[u8]) -> usize {
    octets.iter().take_while(|octet| octet.is_ascii_digit()).count()
}

/// Where the first digit stands. Whole blocks without one are passed over, which the processor does many octets at a time.
fn first_digit(octets: &[u8]) -> Option<usize> {
    let has_digit = |block: &&[u8]| block.iter().fold(false, |found, octet| found | octet.is_ascii_digit());
    let passed = octets.chunks(BLOCK).take_while(|block| !has_digit(block)).count() * BLOCK;
    octets.get(passed..)?.iter().position(u8::is_ascii_digit).map(|place| passed + place)
}

/// The shapes of a kind: runs of digits with at most one separator between them.
fn shapes(kind: NumberType) -> &'static [&'static [usize]] {
    match kind {
        NumberType::SePersonnummer | NumberType::SeSamordningsnummer => {
            &[&[6, 4], &[8, 4], &[10], &[12], &[4, 2, 2, 4], &[2, 2, 2, 4]]
        }
        NumberType::SeOrganisationsnummer => &[&[6, 4], &[10], &[8, 4], &[12]],
        NumberType::DkCpr => &[&[6, 4], &[10], &[2, 2, 2, 4]],
        NumberType::DkCvr => &[&[8], &[2, 2, 2, 2], &[4, 4]],
        NumberType::NoFodselsnummer => &[&[6, 5], &[11]],
        NumberType::FiHetu => &[],
    }
}

fn number_at(text: &str, place: usize, kind: NumberType, year: u16) -> bool {
    let octets = text.as_bytes().get(place..).unwrap_or_default();
    if kind == NumberType::FiHetu {
        let code = text.get(place..place + 11);
        let ends = octets.get(11).is_none_or(|next| !next.is_ascii_alphanumeric());
        return ends && code.is_some_and(|code| NationalId::parse(kind, code, year).is_ok());
    }
    shapes(kind).iter().any(|shape| {
        let Some(length) = matches(octets, shape) else { return false };
        let Some(found) = text.get(place..place + length) else { return false };
        // As it is written usually; a plus stays, for it says the century.
        let plain: String = found.chars().filter(|c| c.is_ascii_digit() || matches!(c, '-' | '+')).collect();
        match NationalId::judge(kind, &plain, year) {
            Ok((_, Certainty::Checked)) => true,
            // With its usual separator a date suffices; bare digits, and what may be an amount, need a word beside them.
            Ok((_, Certainty::DateOnly)) => {
                let is_close = length <= digits_of(shape) + SEPARATORS * (shape.len() - 1);
                let usual = shape.len() > 1 && is_close && (shape.len() > 2 || found.contains(['-', ' ']));
                usual || has_word_nearby(text, place, length)
            }
            Err(_) => false,
        }
    })
}

/// The length of a shape at the front of these octets; `None` if it does not stand there, or goes on behind its end.
fn matches(octets: &[u8], shape: &[usize]) -> Option<usize> {
    let mut length = 0;
    for (number, run) in shape.iter().enumerate() {
        if number > 0 {
            let between = separators(octets.get(length..)?);
            if between == 0 {
                return None;
            }
            length += between;
        }
        if digits(octets.get(length..)?) != *run {
            return None;
        }
        length += run;
    }
    octets.get(length).is_none_or(|next| !next.is_ascii_alphabetic()).then_some(length)
}

/// Octets of separators and blanks at the front of these.
fn separators(octets: &[u8]) -> usize {
    let (mut marks, mut blanks) = (0, 0);
    let between = octets.iter().take_while(|octet| {
        match octet {
            b'-' | b'+' | b'/' | b'_' | b'.' => marks += 1,
            b' ' | b'\t' | b'\r' | b'\n' => blanks += 1,
            _ => return false,
        }
        marks <= SEPARATORS && blanks <= BLANKS
    });
    between.count()
}

fn digits_of(shape: &[usize]) -> usize {
    shape.iter().sum()
}

fn has_word_nearby(text: &str, place: usize, length: usize) -> bool {
    let from = text.floor_char_boundary(place.saturating_sub(NEARBY));
    let to = text.floor_char_boundary((place + length + NEARBY).min(text.len()));
    let around = text.get(from..to).unwrap_or_default().to_lowercase();
    WORDS.iter().any(|word| around.contains(word))
}

#[cfg(test)]
mod tests {
    use crate::policy::scan::*;

    fn found(kind: NumberType, text: &str) -> bool {
        let searches = [Search::Number(kind)];
        let whole = {
            let mut scanner = Scanner::new(searches.to_vec().into(), 2026);
            scanner.push(text);
            scanner.end();
            scanner.found()[0]
        };
        let mut scanner = Scanner::new(searches.to_vec().into(), 2026);
        for c in text.chars() {
            scanner.push(&c.to_string());
        }
        scanner.end();
        assert_eq!(scanner.found()[0], whole, "{text}");
        whole
    }

    #[test]
    fn numbers_are_found_however_they_are_written() {
        for text in [
            "Gäller 19850101-2382.",
            "850101-2382",
            "850101 - 2382",
            "(198501012382)",
            "8501012382,",
            "19850101 2382",
            "850101\u{2011}2382",
            "８５０１０１-２３８２",
            "8501\u{ad}01-2382",
            "pnr:850101-2382",
            "pnr850101-2382",
            "850101.2382",
            "850101/2382",
            "850101_2382",
            "850101\t2382",
            "850101-\r\n2382",
            "1985-01-01-2382",
            "85-01-01-2382",
            "850101\u{b7}2382",
            "𝟖𝟓𝟎𝟏𝟎𝟏-𝟐𝟑𝟖𝟐",
            "٨٥٠١٠١-٢٣٨٢",
        ] {
            assert!(found(NumberType::SePersonnummer, text), "{text}");
        }
        assert!(found(NumberType::NoFodselsnummer, "fnr 151086 95088"));
        assert!(found(NumberType::FiHetu, "hetu 131052-308T."));
        assert!(found(NumberType::DkCvr, "CVR 13 74 81 36"));
        assert!(found(NumberType::SeOrganisationsnummer, "org.nr 212000-0654"));
    }

    #[test]
    fn danish_numbers_need_a_separator_a_check_digit_or_a_word() {
        assert!(found(NumberType::DkCpr, "010190-1234"));
        assert!(found(NumberType::DkCpr, "2110625629"));
        assert!(!found(NumberType::DkCpr, "ordre 0101901234"));
        assert!(found(NumberType::DkCpr, "CPR-nr.: 0101901234"));
        assert!(found(NumberType::DkCpr, "0101901234 er mit personnummer"));
        assert!(!found(NumberType::DkCpr, &format!("0101901234 {} cpr", "x ".repeat(40))));
    }

    #[test]
    fn what_only_looks_like_a_number_is_none() {
        for text in [
            "850101-2383",
            "1850101-23821",
            "a850101-2382",
            "850101-2382b",
            "tel 0701234567",
            "SE4550000000058398257466",
            "20260101-20260131",
            "",
        ] {
            assert!(!found(NumberType::SePersonnummer, text), "{text}");
        }
    }

    #[test]
    fn a_number_across_a_seam_of_windows_is_found() {
        for shift in 0..40 {
            let text = format!("{}850101-2382 {}", " ".repeat(WINDOW - shift), "x".repeat(100));
            let searches = [Search::Number(NumberType::SePersonnummer), "regex:2382\\s+x{90}".parse().unwrap()];
            let mut scanner = Scanner::new(searches.to_vec().into(), 2026);
            scanner.push(&text);
            scanner.end();
            assert_eq!(scanner.found(), [true, true], "{shift}");
        }
    }

    #[test]
    fn two_texts_are_not_read_as_one() {
        let searches = [Search::Number(NumberType::SePersonnummer)];
        let mut scanner = Scanner::new(searches.to_vec().into(), 2026);
        scanner.push("850101-");
        scanner.end();
        scanner.push("2382");
        scanner.end();
        assert!(!scanner.found()[0]);
    }
}
