//! What it would cost to clean HTML. A tree builder takes time by the elements that are open at each tag, and makes anew
//! what was formatted and not ended in each paragraph (HTML, 13.2.4.3): a small mail could keep a machine busy for hours.

use std::cell::RefCell;
use std::collections::HashMap;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

/// Elements open within each other: what walks the tree goes that deep.
const DEPTH: usize = 1_000;
/// Open elements, summed over all tags: steps of the tree builder.
const STEPS: usize = 20_000_000;
/// Formatting that was not ended, summed over all tags: elements that may be made anew.
const MADE_ANEW: usize = 1_000_000;
/// Elements that have no content (HTML, 13.1.2).
const VOID: [&str; 15] = [
    "area", "base", "basefont", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];
/// Elements that end where the next of them or their parent's end stands (HTML, 13.1.2.4).
const ENDED_BY_OTHERS: [&str; 16] = [
    "p", "li", "dd", "dt", "option", "optgroup", "tr", "td", "th", "tbody", "thead", "tfoot", "colgroup", "rt", "rp",
    "caption",
];
/// Elements that an end tag from within does not end (HTML, 13.2.4.2).
const BARRIERS: [&str; 9] = ["table", "td", "th", "caption", "template", "object", "applet", "marquee", "html"];
/// Formatting elements (HTML, 13.2.4.3).
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Whether HTML is more than a page can show in good time.
pub(crate) fn is_too_costly(html: &str) -> bool {
    let tokenizer = Tokenizer::new(Counter::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.count.borrow().is_too_costly
}

#[derive(Default)]
struct Counter {
    count: RefCell<Count>,
}

#[derive(Default)]
struct Count {
    open: Vec<String>,
    formatting: HashMap<String, usize>,
    unended: usize,
    steps: usize,
    made_anew: usize,
    is_too_costly: bool,
}

impl TokenSink for Counter {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else { return TokenSinkResult::Continue };
        let mut count = self.count.borrow_mut();
        if !count.is_too_costly {
            count.tag(&tag);
        }
        match (tag.kind, &*tag.name) {
            (TagKind::EndTag, _) => TokenSinkResult::Continue,
            (TagKind::StartTag, "title" | "textarea") => TokenSinkResult::RawData(RawKind::Rcdata),
            (TagKind::StartTag, "style" | "xmp" | "iframe" | "noembed" | "noframes") => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            (TagKind::StartTag, "script") => TokenSinkResult::RawData(RawKind::ScriptData),
            (TagKind::StartTag, "plaintext") => TokenSinkResult::Plaintext,
            (TagKind::StartTag, _) => TokenSinkResult::Continue,
        }
    }
}

impl Count {
    fn tag(&mut self, tag: &Tag) {
        let name = &*tag.name;
        self.steps += self.open.len();
        self.made_anew += self.unended;
        match tag.kind {
            TagKind::StartTag if VOID.contains(&name) => {}
            TagKind::StartTag => {
                if FORMATTING.contains(&name) {
                    *self.formatting.entry(name.to_owned()).or_default() += 1;
                    self.unended += 1;
                }
                // The one before it ends where it may.
                if ENDED_BY_OTHERS.contains(&name) && self.open.last().is_some_and(|last| last == name) {
                    self.open.pop();
                }
                self.open.push(name.to_owned());
            }
            TagKind::EndTag => {
                if let Some(unended) = self.formatting.get_mut(name).filter(|unended| **unended > 0) {
                    *unended -= 1;
                    self.unended -= 1;
                }
                self.end(name);
            }
        }
        self.is_too_costly = self.open.len() > DEPTH || self.steps > STEPS || self.made_anew > MADE_ANEW;
    }

    /// Ends the innermost element of this name, with what is in it, unless something is between that keeps it open.
    fn end(&mut self, name: &str) {
        let mut inner = self.open.iter().enumerate().rev();
        let found = inner.find(|(_, open)| *open == name || BARRIERS.contains(&open.as_str()));
        let outermost = match found {
            Some((place, open)) if open == name => Some(place),
            // A cell's end and a table's reach over cells and rows.
            Some(_) if matches!(name, "table" | "tr" | "tbody" | "thead" | "tfoot" | "td" | "th") => {
                self.open.iter().rposition(|open| open == name || (open == "table" && name != "table"))
            }
            Some(_) | None => None,
        };
        if let Some(place) = outermost.filter(|place| self.open.get(*place).is_some_and(|open| open == name)) {
            self.open.truncate(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::portal::html_cost::*;

    #[test]
    fn html_that_would_take_for_ever_is_known() {
        for piece in [
            "<div>",
            "<div><!--</div>--></x>",
            "<div title='</div>'>",
            "<div a=\"</div>\">",
            "<div><!--></div-->",
            "<div><style></div></style>",
            "<div><textarea></div></textarea>",
            "<div><script></div></script>",
            "<div><table></div></table>",
            "<div><template></div></template>",
            "<x-y>",
        ] {
            assert!(is_too_costly(&piece.repeat(2_000)), "{piece}");
        }
        let bold: String = (0..900).map(|n| format!("<b id={n}>")).collect();
        assert!(is_too_costly(&format!("<p>{bold}</p>{}", "<p>x</p>".repeat(5_000))), "made anew in each paragraph");
        assert!(is_too_costly(&format!("{}{}", "<div>".repeat(900), "<i></i>".repeat(50_000))));
    }

    #[test]
    fn what_people_write_is_shown() {
        for piece in [
            "<div><p>Hej<br><img src=x></div>",
            "<table><tr><td>a<td>b<tr><td>c</table>",
            "<table><tbody><tr><td><p>a<p>b</td></tr></tbody></table>",
            "<ul><li>a<li>b</ul>",
            "<p><b><i>a</b></i></p>",
            "<o:p></o:p><span lang=SV><font face=x>a</font></span>",
            "<a href=x>a</a><p>a",
        ] {
            assert!(!is_too_costly(&piece.repeat(3_000)), "{piece}");
        }
    }
}
