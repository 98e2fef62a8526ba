//! Text out of markup, as it streams by: what a reader sees, so that a number cut by a tag is found.

/// Octets of a tag's name or an entity that are held.
const NAME_OCTETS: usize = 64;

/// Takes tags off HTML or XML. What stands in tags and comments is no text a reader sees, but it leaves with the message:
/// it goes a way of its own, so that it does not come between what is seen together.
#[derive(Debug, Default)]
pub(crate) struct Stripper {
    state: State,
    /// The name of a tag, or an entity, as far as it has come.
    held: String,
    /// What the tag said last, blanks aside, outside its quotes: a quote opens a value only behind `=`.
    last: char,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// In a tag, its name still coming or not.
    Tag {
        named: bool,
    },
    /// In a value of a tag, up to this quote.
    Quoted(char),
    /// In a comment, so many hyphens of its end seen.
    Comment {
        hyphens: u8,
    },
    /// In an element whose content nobody sees, so many characters of its end tag seen.
    Unseen {
        element: &'static str,
        matched: usize,
    },
    /// In octets of XML that are no markup, so many characters of their end seen.
    CharacterData {
        matched: usize,
    },
    Entity,
}

/// Elements whose content is not shown: HTML's, and what Word keeps of deleted text and fields.
const UNSEEN: [&str; 5] = ["style", "script", "template", "w:deltext", "w:instrtext"];
/// What ends octets of XML that are no markup.
const DATA_END: [char; 3] = [']', ']', '>'];
/// Hyphens of a comment's end, and the mark that HTML allows behind them (13.2.5.51).
const HYPHENS_AND_MARK: u8 = 100;

impl Stripper {
    /// The text in the next piece of markup, and what is hidden in it.
    pub(crate) fn push(&mut self, markup: &str, out: &mut String, hidden: &mut String) {
        for c in markup.chars() {
            self.character(c, out, hidden);
        }
    }

    /// The end of the markup.
    pub(crate) fn end(&mut self, out: &mut String) {
        out.push_str(&std::mem::take(&mut self.held));
        self.state = State::Text;
    }

    fn character(&mut self, c: char, out: &mut String, hidden: &mut String) {
        match (self.state, c) {
            (State::Text, '<') => self.begin(State::Tag { named: false }),
            (State::Text, '&') => self.begin(State::Entity),
            (State::Text, c) => out.push(c),
            (State::Entity, c) => self.entity(c, out, hidden),
            (State::Tag { .. }, '>') => {
                hidden.push('\n');
                let name = std::mem::take(&mut self.held);
                if is_block(&name) {
                    out.push('\n');
                }
                // Closed in itself, as XML has it, it has no content.
                let unseen = UNSEEN.iter().find(|unseen| name.eq_ignore_ascii_case(unseen) && self.last != '/');
                self.state = unseen.map_or(State::Text, |element| State::Unseen { element, matched: 0 });
            }
            (State::Unseen { element, matched }, c) => self.unseen(element, matched, c, hidden),
            (State::CharacterData { matched }, c) => self.character_data(matched, c, out),
            (State::Tag { .. }, quote @ ('"' | '\'')) if self.last == '=' => self.state = State::Quoted(quote),
            (State::Quoted(quote), c) if c == quote => {
                hidden.push('\n');
                self.last = c;
                self.state = State::Tag { named: true };
            }
            (State::Quoted(_), c) => hidden.push(c),
            (State::Comment { hyphens: 2.. }, '>') => {
                hidden.push('\n');
                self.state = State::Text;
            }
            (State::Comment { hyphens }, c) => {
                hidden.push(c);
                let hyphens = match (c, hyphens) {
                    ('-', HYPHENS_AND_MARK) => 1,
                    ('-', hyphens) => (hyphens + 1).min(HYPHENS_AND_MARK - 1),
                    ('!', 2..) => HYPHENS_AND_MARK,
                    _ => 0,
                };
                self.state = State::Comment { hyphens };
            }
            (State::Tag { named }, c) => {
                hidden.push(c);
                self.last = if c.is_whitespace() { self.last } else { c };
                let named = named || c.is_whitespace() || (c == '/' && !self.held.is_empty());
                if !named && self.held.len() < NAME_OCTETS {
                    self.held.push(c);
                }
                self.state = match self.held.as_str() {
                    // The hyphens that begin a comment may end it too (HTML, 13.2.5.43).
                    "!--" => State::Comment { hyphens: 2 },
                    "![CDATA[" => State::CharacterData { matched: 0 },
                    _ => State::Tag { named },
                };
                if !matches!(self.state, State::Tag { .. }) {
                    self.held.clear();
                }
            }
        }
    }

    /// In content nobody sees, up to its end tag.
    fn unseen(&mut self, element: &'static str, matched: usize, c: char, hidden: &mut String) {
        hidden.push(c);
        let wanted = match matched {
            0 => Some('<'),
            1 => Some('/'),
            _ => element.chars().nth(matched - 2),
        };
        let fits = wanted.is_some_and(|wanted| c.eq_ignore_ascii_case(&wanted));
        match (fits, wanted) {
            (true, _) => self.state = State::Unseen { element, matched: matched + 1 },
            (false, None) if c == '>' || c == '/' || c.is_whitespace() => {
                self.begin(State::Tag { named: true });
                if c == '>' {
                    hidden.push('\n');
                    self.state = State::Text;
                }
            }
            (false, _) => self.state = State::Unseen { element, matched: usize::from(c == '<') },
        }
    }

    fn character_data(&mut self, matched: usize, c: char, out: &mut String) {
        if DATA_END.get(matched) == Some(&c) {
            self.state =
                if matched + 1 == DATA_END.len() { State::Text } else { State::CharacterData { matched: matched + 1 } };
            return;
        }
        // A third bracket: the first of them is content.
        if matched == 2 && c == ']' {
            return out.push(c);
        }
        out.extend(DATA_END.iter().take(matched));
        out.push(c);
        self.state = State::CharacterData { matched: 0 };
    }

    fn entity(&mut self, c: char, out: &mut String, hidden: &mut String) {
        let is_number = self.held.starts_with('#');
        let goes_on = c.is_ascii_alphanumeric() || (c == '#' && self.held.is_empty());
        if goes_on && self.held.len() < NAME_OCTETS {
            self.held.push(c);
            return;
        }
        let name = std::mem::take(&mut self.held);
        self.state = State::Text;
        match entity(&name) {
            // Readers take a number without its semicolon too (HTML, 13.2.5.80).
            Some(found) if c == ';' || is_number => out.extend(found),
            Some(_) | None => {
                out.push('&');
                out.push_str(&name);
            }
        }
        if c != ';' {
            self.character(c, out, hidden);
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.held.clear();
        self.last = ' ';
    }
}

/// Whether a tag ends what is read together: a block of HTML, a paragraph or cell of an office document. Every other tag,
/// known or not, stands within a line.
fn is_block(tag: &str) -> bool {
    let name = tag.trim_start_matches('/').to_ascii_lowercase();
    // Outlook's own empty paragraphs (`o:p`) stand within a line; those of Word files (`w:p`) do not.
    let name = name.strip_prefix("o:").map_or_else(|| name.rsplit(':').next().unwrap_or_default(), |_| "");
    matches!(
        name,
        "p" | "div"
            | "br"
            | "hr"
            | "table"
            | "tr"
            | "td"
            | "th"
            | "li"
            | "ul"
            | "ol"
            | "dl"
            | "dt"
            | "dd"
            | "pre"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "h"
            | "blockquote"
            | "body"
            | "html"
            | "head"
            | "title"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "form"
            | "option"
            | "caption"
            | "tab"
            | "tc"
            | "cr"
            | "row"
            | "c"
            | "v"
            | "si"
            | "is"
            | "table-cell"
            | "table-row"
            | "line-break"
            | "text"
    )
}

/// What an entity stands for: nothing, where it stands for what cannot be.
fn entity(name: &str) -> Option<Option<char>> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return Some(match u8::try_from(code) {
            // Windows' characters, whatever the charset (HTML, 13.2.5.5).
            Ok(octet @ 0x80..=0x9f) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(&[octet]).0.chars().next(),
            Ok(_) | Err(_) => char::from_u32(code).filter(|c| *c != '\0'),
        });
    }
    Some(Some(match name {
        "nbsp" | "ensp" | "emsp" | "thinsp" | "NonBreakingSpace" | "Tab" | "NewLine" | "numsp" | "puncsp"
        | "hairsp" | "emsp13" | "emsp14" | "MediumSpace" | "ThinSpace" | "VeryThinSpace" => ' ',
        "ndash" | "mdash" | "minus" | "hyphen" | "dash" | "horbar" | "hybull" | "boxh" | "middot" | "centerdot" => '-',
        "sol" => '/',
        "lowbar" | "UnderBar" => '_',
        "plus" => '+',
        "shy" | "zwnj" | "zwj" | "ZeroWidthSpace" => '\u{ad}',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "lpar" => '(',
        "rpar" => ')',
        "colon" => ':',
        "period" => '.',
        "aring" => 'å',
        "auml" => 'ä',
        "ouml" => 'ö',
        "aelig" => 'æ',
        "oslash" => 'ø',
        _ => return None,
    }))
}

/// Octets as text, whatever they are: UTF-8 where it is UTF-8, else what separates a number's digits in Windows' charset and
/// in old Word files, the rest as gaps. Zeros are left out, so that UTF-16 reads too.
pub(crate) fn raw(octets: &[u8], out: &mut dyn FnMut(&str)) {
    for block in octets.chunks(16 * 1024) {
        let mut text = String::with_capacity(block.len());
        lenient(block, &mut text);
        text.retain(|c| c != '\0' && c != '\u{1f}');
        out(&text.replace('\u{1e}', "-"));
    }
}

/// UTF-8 as it is; octets that are none as Windows' charset has them, so far as it matters: dashes and blanks.
pub(crate) fn lenient(octets: &[u8], out: &mut String) {
    for chunk in octets.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|octet| match octet {
            0x96 | 0x97 | 0xb7 => '-',
            0xa0 => ' ',
            0xad => '\u{ad}',
            _ => '\u{fffd}',
        }));
    }
}

/// How many octets of a piece of UTF-8 can be read without the next: not the beginning of a character at its end.
pub(crate) fn whole_characters(octets: &[u8]) -> usize {
    let is_begun = |back: usize| {
        let from = octets.len().checked_sub(back)?;
        let first = *octets.get(from)?;
        let length = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return None,
        };
        (length > back).then_some(from)
    };
    (1..=3).find_map(is_begun).unwrap_or(octets.len())
}

#[cfg(test)]
mod tests {
    use crate::policy::text::*;

    fn both(markup: &str) -> (String, String) {
        let (mut whole, mut hidden) = (String::new(), String::new());
        let mut stripper = Stripper::default();
        stripper.push(markup, &mut whole, &mut hidden);
        stripper.end(&mut whole);
        let (mut pieces, mut hidden_pieces) = (String::new(), String::new());
        let mut stripper = Stripper::default();
        for c in markup.chars() {
            stripper.push(&c.to_string(), &mut pieces, &mut hidden_pieces);
        }
        stripper.end(&mut pieces);
        assert_eq!((&whole, &hidden), (&pieces, &hidden_pieces));
        (whole, hidden)
    }

    fn text(markup: &str) -> String {
        both(markup).0
    }

    #[test]
    fn numbers_cut_by_tags_and_entities_are_whole_again() {
        assert_eq!(text("<b>850101</b>-<i>2382</i>"), "850101-2382");
        assert_eq!(text("850101&#8209;2382 &amp; &aring;"), "850101\u{2011}2382 & å");
        assert_eq!(text("<w:r><w:t>8501</w:t></w:r><w:r><w:t>01-2382</w:t></w:r>"), "850101-2382");
        assert!(!text("<td>850101</td><td>2382</td>").contains("8501012382"));
        assert_eq!(text("a & b < c"), "a & b ");
        for markup in [
            "<span lang=SV>850101</span><span lang=SV style=\"font-family:Calibri\">-2382</span>",
            "850<span class=\"x\">101</span>-2382",
            "850101<!-- x > -- -->-2382",
            "850101<![if !supportLists]>-2382",
            "850101<o:p></o:p>-<nobr>2382</nobr>",
            "850101<a title=\"a > b\">-2382</a>",
            "850101<a title='a > b'>-2382</a>",
            "&#56&#53&#48&#49&#48&#49-2382",
            "850101&#0;-2382",
        ] {
            assert_eq!(text(markup), "850101-2382", "{markup}");
        }
        assert_eq!(text(&format!("850101<a href=\"{}\">-2382</a>", "x".repeat(5_000))), "850101-2382");
    }

    #[test]
    fn what_nobody_sees_goes_its_own_way() {
        for markup in ["<!-- 850101-2382 -->", "<a href=\"x?pnr=850101-2382\">x</a>", "<a title='850101-2382'>"] {
            assert!(both(markup).1.contains("850101-2382"), "{markup}");
        }
    }
}
