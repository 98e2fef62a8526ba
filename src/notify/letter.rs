//! A letter as blocks, told twice: as plain text and as HTML.

use askama::Template;

use crate::texts::{Language, Zone, say};

/// Width of the plain text, in characters.
const WIDTH: usize = 72;

/// Who writes: what every letter shows of the organisation.
#[derive(Debug, Clone)]
pub struct Letterhead {
    /// The organisation's name.
    pub organisation: String,
    /// The language senders are written to in, and recipients unless they are known to want another.
    pub language: Language,
    /// Where a person finds help, if configured.
    pub contact: Option<String>,
    /// The page that tells about secure messages, if configured.
    pub website: Option<String>,
    /// The organisation's time zone.
    pub zone: Zone,
}

/// One piece of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// The one heading.
    Heading(String),
    /// Running text.
    Paragraph(String),
    /// A list.
    Items(Vec<String>),
    /// The one thing to do.
    Button {
        /// What it says.
        label: String,
        /// Where it leads.
        url: String,
    },
    /// Another address.
    Link {
        /// What stands before it.
        label: String,
        /// Where it leads.
        url: String,
    },
    /// What is good to know.
    Small(String),
}

/// A letter ready to be put into an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Its subject.
    pub subject: String,
    /// Its language.
    pub language: Language,
    /// The plain text, lines ended by LF.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Page<'l> {
    subject: &'l str,
    language: &'static str,
    organisation: &'l str,
    signature: &'l str,
    blocks: &'l [Block],
}

impl Letterhead {
    /// Writes a letter with these blocks.
    #[must_use]
    pub fn sheet(&self, language: Language, subject: String, blocks: &[Block]) -> Sheet {
        let signature = say(language, "signature", &[("organisation", &self.organisation)]);
        let page = Page {
            subject: &subject,
            language: language.tag(),
            organisation: &self.organisation,
            signature: &signature,
            blocks,
        };
        // Rendering into a string cannot fail; were it to, the plain text alone still says everything.
        let html = page.render().unwrap_or_default();
        let text = plain(blocks, &signature);
        Sheet { subject, language, text, html }
    }
}

fn plain(blocks: &[Block], signature: &str) -> String {
    let mut text = String::new();
    for block in blocks {
        match block {
            Block::Heading(heading) => {
                text.push_str(heading);
                text.push('\n');
                text.extend(std::iter::repeat_n('=', heading.chars().count().min(WIDTH)));
            }
            Block::Paragraph(paragraph) | Block::Small(paragraph) => text.push_str(&wrap(paragraph, "")),
            Block::Items(items) => {
                let items: Vec<String> = items.iter().map(|item| wrap(item, "  ").replacen("  ", "- ", 1)).collect();
                text.push_str(&items.join("\n"));
            }
            Block::Button { label, url } | Block::Link { label, url } => {
                text.push_str(&wrap(label.trim_end_matches(':'), ""));
                text.push_str(":\n");
                text.push_str(url);
            }
        }
        text.push_str("\n\n");
    }
    text.push_str("-- \n");
    text.push_str(signature);
    text.push('\n');
    text
}

/// Breaks a paragraph at blanks; a word longer than a line stays whole, or an address in it could not be followed.
fn wrap(paragraph: &str, indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in paragraph.split_whitespace() {
        let fits = lines
            .last()
            .is_some_and(|line| line.trim().is_empty() || line.chars().count() + 1 + word.chars().count() <= WIDTH);
        if !fits {
            lines.push(indent.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use crate::notify::letter::*;

    #[test]
    fn a_letter_says_the_same_twice_and_breaks_no_address() {
        let head = Letterhead {
            organisation: "Sundby & Co".into(),
            language: Language::Sv,
            contact: None,
            website: None,
            zone: Zone::default(),
        };
        let url = format!("https://sakra.sundby.example/m/{}", "a".repeat(80));
        let blocks = [
            Block::Heading("Rubrik".into()),
            Block::Paragraph("ord ".repeat(40)),
            Block::Items(vec!["ett <b>".into(), "två".into()]),
            Block::Button { label: "Läs".into(), url: url.clone() },
        ];
        let sheet = head.sheet(Language::Sv, "Ämne".into(), &blocks);
        assert!(sheet.text.contains(&format!("Läs:\n{url}\n")), "{}", sheet.text);
        assert!(sheet.text.lines().filter(|line| !line.contains("https")).all(|line| line.chars().count() <= WIDTH));
        assert!(sheet.text.contains("- ett <b>\n- två"));
        assert!(sheet.html.contains("Sundby &#38; Co") && sheet.html.contains("ett &#60;b&#62;"), "{}", sheet.html);
        assert!(sheet.html.contains("<html lang=\"sv\">") && sheet.html.contains(&url));
    }
}
