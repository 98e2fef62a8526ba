//! Messages as PDF, as poppler and qpdf read them.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use proptest::prelude::*;
use sealgate::pdf::{Document, render};
use sealgate::texts::Language;

fn letter(text: &str) -> Document {
    Document {
        title: "Komplettering av bygglov – ærø, Åland & <Þórshöfn>".to_owned(),
        organisation: "Sundby kommun".to_owned(),
        language: Language::Sv,
        rows: vec![
            ("Från".to_owned(), "Anna Berg, Bygglov <bygglov@sundby.example>".to_owned()),
            (
                "Till".to_owned(),
                "Eva Sjöström <eva@live.example>, Jørgen Ægidius <jorgen@dansk.example>, Łukasz Żółć".to_owned(),
            ),
            ("Skickat".to_owned(), "24 november 2026 kl. 14.05".to_owned()),
            ("Finns kvar till och med".to_owned(), "24 december 2026".to_owned()),
        ],
        text: text.to_owned(),
        attachments_heading: "2 bifogade filer".to_owned(),
        attachments: vec!["Situationsplan år 1.pdf (PDF, 9 kB)".to_owned(), "bild 😀.png (PNG, 3 MB)".to_owned()],
        footer: "Sundby kommun · säkra meddelanden".to_owned(),
    }
}

const TEXT: &str = "Hej Eva,\r\n\r\nvi behöver en komplettering av din ansökan om bygglov för fastigheten Sundby 3:14. \
    Situationsplanen saknar mått till tomtgränsen mot norr, och fasadritningen visar inte takets lutning. Skicka in \
    nya ritningar senast den 15 december.\r\n\r\nKostnad: 14 500 kr – «exempel» ”citat” €, ½, §, ðþæöøåÐÞÆÖØÅ.\r\n\
    Ελληνικά, Русский, Polski: zażółć gęślą jaźń. Efter NFD: Sjo\u{308}stro\u{308}m. שלום.\r\n\r\n\
    Läs mer: https://sundby.example/bygga-bo/bygglov/handlingar-som-behovs/situationsplan?fastighet=sundby-3-14&arende=2026-004711&steg=komplettering\r\n\r\n\
    Med vänlig hälsning\r\nAnna Berg\r\nBygglovshandläggare\r\n\r\n\
    > Hej! Jag undrar hur det går med mitt ärende. Jag har inte hört något sedan i oktober och skulle gärna börja bygga före jul.\r\n\
    > /Eva\r\n\r\nPS 😀 漢字 دمشق.";

/// A PDF and what tools say of it.
pub(crate) struct Paper {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Paper {
    fn of(document: &Document) -> Self {
        Self::from(&render(document).unwrap())
    }

    pub(crate) fn from(octets: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("message.pdf");
        std::fs::write(&file, octets).unwrap();
        Self { _folder: folder, file }
    }

    /// What a tool says.
    fn told(&self, tool: &str, before: &[&str], after: &[&str]) -> String {
        let output = Command::new(tool).args(before).arg(&self.file).args(after).output();
        let output = output.unwrap_or_else(|_| panic!("PEER MISSING: {tool}"));
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{tool}: {out}{err}");
        out.into_owned()
    }

    pub(crate) fn text(&self) -> String {
        self.told("pdftotext", &[], &["-"])
    }

    /// That readers find the document sound, tagged and in this language.
    pub(crate) fn is_accessible(&self, language: &str) {
        self.told("qpdf", &["--check"], &[]);
        let about = self.told("pdfinfo", &[], &[]);
        assert!(about.lines().any(|line| line.starts_with("Tagged:") && line.ends_with("yes")), "{about}");
        in_order(&self.told("pdfinfo", &["-meta"], &[]), &["pdfuaid:part"]);
        let pdf = lopdf::Document::load(&self.file).unwrap();
        assert_eq!(pdf.catalog().unwrap().get(b"Lang").unwrap().as_str().unwrap(), language.as_bytes());
    }

    fn pages(&self) -> usize {
        lopdf::Document::load(&self.file).unwrap().get_pages().len()
    }
}

pub(crate) fn in_order(text: &str, words: &[&str]) {
    let mut rest = text;
    for word in words {
        let Some((_, after)) = rest.split_once(word) else { panic!("{word:?} is missing or misplaced in\n{text}") };
        rest = after;
    }
}

#[test]
fn a_letter_is_read_in_order_with_all_its_letters() {
    let paper = Paper::of(&letter(TEXT));
    let text = paper.text();
    let words = [
        "Sundby kommun",
        "Komplettering av bygglov – ærø, Åland & <Þórshöfn>",
        "Från",
        "Anna Berg, Bygglov",
        "Till",
        "Łukasz Żółć",
        "Finns kvar till",
        "24 december 2026",
        "Hej Eva,",
        "bygglov för fastigheten",
        "14 500 kr",
        "ðþæöøåÐÞÆÖØÅ",
        "Ελληνικά, Русский",
        "zażółć gęślą jaźń",
        "שלום",
        "> Hej! Jag undrar",
        "> /Eva",
        "PS [U+1F600] [U+6F22][U+5B57]",
        "2 bifogade filer",
        "Situationsplan år 1.pdf",
        "bild [U+1F600].png",
    ];
    in_order(&text, &words);
    in_order(&text, &["säkra meddelanden", "1/1"]);
    assert_eq!(paper.pages(), 1);
}

#[test]
fn readers_find_language_title_tags_and_no_fault() {
    let paper = Paper::of(&letter(TEXT));
    paper.is_accessible("sv");
    let about = paper.told("pdfinfo", &[], &[]);
    for said in ["Komplettering av bygglov – ærø, Åland & <Þórshöfn>", "Author:          Sundby kommun", "A4"] {
        assert!(about.contains(said), "{about}");
    }
    let fonts = paper.told("pdffonts", &[], &[]);
    assert_eq!(fonts.lines().filter(|line| line.contains("LiberationSans")).count(), 2, "{fonts}");
    in_order(
        &paper.told("pdfinfo", &["-struct"], &[]),
        &["P", "H1", "Table", "TR", "TH", "/Scope /Row", "TD", "P", "BlockQuote", "H2", "L", "LI", "Lbl", "LBody"],
    );
    let pdf = lopdf::Document::load(&paper.file).unwrap();
    assert!(pdf.catalog().unwrap().has(b"Outlines"));
}

#[test]
fn a_long_text_takes_pages_and_little_time() {
    let text = "Ett ord till på vägen, och så en mening som går vidare. ".repeat(3_700);
    assert!(text.len() > 200 * 1024);
    for text in [TEXT, &text] {
        let began = Instant::now();
        let size = render(&letter(text)).unwrap().len();
        let took = began.elapsed().as_millis();
        println!("{} KiB of text: {} KiB of PDF in {took} ms", text.len() / 1024, size / 1024);
        assert!(took < 5_000, "{took} ms");
    }
    let paper = Paper::of(&letter(&text));
    assert!(paper.pages() > 30);
    paper.told("qpdf", &["--check"], &[]);
}

#[test]
fn what_is_without_measure_is_cut_where_it_can_be_seen() {
    let cut = "Texten är för lång för en PDF och slutar här.";
    for text in ["ord ".repeat(700_000), "x\n\n".repeat(600_000), "😀".repeat(500_000), "\n> ".repeat(700_000)] {
        let began = Instant::now();
        let paper = Paper::of(&letter(&text));
        println!("{} KiB of text: {} pages in {} ms", text.len() / 1024, paper.pages(), began.elapsed().as_millis());
        assert!((300..=502).contains(&paper.pages()), "{} pages", paper.pages());
        let text = paper.text();
        in_order(&text, &[cut, "2 bifogade filer", "Situationsplan år 1.pdf"]);
    }
    let short = Paper::of(&letter("Hej"));
    assert!(!short.text().contains("slutar här"));
    let mut wide = letter(TEXT);
    wide.title = "Ämne ".repeat(100_000);
    wide.rows = vec![("Till\r\n".repeat(90), "eva@live.example, ".repeat(90_000)); 300];
    wide.attachments = vec!["namn".repeat(9_000); 3_000];
    wide.footer = "W".repeat(9_000);
    assert!(Paper::of(&wide).pages() < 1_000);
}

#[test]
fn an_empty_document_is_one() {
    let empty = String::new;
    let document = Document {
        title: empty(),
        organisation: empty(),
        language: Language::En,
        rows: vec![(empty(), empty())],
        text: empty(),
        attachments_heading: empty(),
        attachments: vec![empty()],
        footer: empty(),
    };
    Paper::of(&document).told("qpdf", &["--check"], &[]);
    let bare = Document { rows: Vec::new(), attachments: Vec::new(), text: "\0\u{feff}".to_owned(), ..document };
    render(&bare).unwrap();
}

/// Every character there is, alone and with an accent on it: no download fails for what a message says.
#[test]
fn every_character_can_be_set() {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    for (number, some) in all.chunks(40_000).enumerate() {
        let mut text = String::new();
        for line in some.chunks(200) {
            text.extend(line);
            text.push('\n');
            if number < 2 {
                text.extend(line.iter().flat_map(|c| [*c, '\u{301}']));
                text.push('\n');
            }
        }
        let mut document = letter(&text);
        document.title = some.iter().take(900).collect();
        document.attachments = vec![some.iter().rev().take(900).collect()];
        let pdf = render(&document).unwrap_or_else(|fault| panic!("piece {number}: {fault}"));
        let pages = lopdf::Document::load_mem(&pdf).unwrap().get_pages().len();
        assert!(pages < 500, "nothing was cut away unseen: {pages}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn whatever_stands_in_it_there_is_a_document(title in ".{0,80}", label in "\\PC{0,30}", value in ".{0,200}", text in "(.|\\n|[אבגדa-zåäö0-9 ()\u{300}-\u{330}]|> ){0,400}") {
        let mut document = letter(&text);
        document.rows.push((label, value.clone()));
        document.attachments.push(value);
        document.title = title;
        prop_assert!(render(&document).is_ok());
    }
}

/// Writes the letter where `SEALGATE_PDF` says, for people to look at.
#[test]
#[ignore = "for looking at: SEALGATE_PDF=letter.pdf"]
fn a_letter_to_look_at() {
    let Ok(file) = std::env::var("SEALGATE_PDF") else { return };
    let long =
        format!("{TEXT}\n\n{}", "Ett stycke som går vidare över flera rader, så att sidan tar slut. ".repeat(12));
    std::fs::write(file, render(&letter(&format!("{long}\n\n{long}"))).unwrap()).unwrap();
}
