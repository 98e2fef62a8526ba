//! The search for words that must not be somewhere, in every form in which mail, a log or a disk could carry them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

/// The fewest base64 digits that are told from chance in a megabyte of ciphertext.
const TELLING: usize = 7;

/// Which of the words stand in the octets: as UTF-8, Latin-1 or UTF-16, behind quoted-printable, percent signs or
/// base64, and across the line ends that mail puts in.
pub fn found_in<'w>(octets: &[u8], words: &[&'w str]) -> Vec<&'w str> {
    let unfolded: Vec<u8> = octets.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
    let spelled_out = [unescaped(octets, b'='), unescaped(octets, b'%')];
    let stands = |word: &str| {
        let written = written(word);
        let places = [octets].into_iter().chain(spelled_out.iter().map(Vec::as_slice));
        let as_text = places.into_iter().any(|place| written.iter().any(|form| has(place, form)));
        as_text || in_base64(word).iter().any(|digits| has(&unfolded, digits.as_bytes()))
    };
    words.iter().copied().filter(|word| stands(word)).collect()
}

fn has(octets: &[u8], wanted: &[u8]) -> bool {
    memmem::find(octets, wanted).is_some()
}

/// The word in the charsets of mail.
fn written(word: &str) -> Vec<Vec<u8>> {
    let latin_1: Option<Vec<u8>> = word.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    let utf_16 = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [Some(word.as_bytes().to_vec()), latin_1, Some(utf_16)].into_iter().flatten().collect()
}

/// The digits that base64 always has for the word, at each of the three places where it can begin in a group.
fn in_base64(word: &str) -> Vec<String> {
    let digits = |before: usize| {
        let padded = [vec![0; before], word.as_bytes().to_vec()].concat();
        let whole = padded.len() * 8 / 6;
        STANDARD.encode(&padded)[(before * 8).div_ceil(6)..whole].to_owned()
    };
    (0..3).map(digits).filter(|digits| digits.len() >= TELLING).collect()
}

/// `=C3=84` or `%C3%84` as octets, and soft line ends away.
fn unescaped(octets: &[u8], sign: u8) -> Vec<u8> {
    let mut plain = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((&first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| first == sign);
        rest = match (escaped, more) {
            (Some(octet), _) => {
                plain.push(octet);
                &more[2..]
            }
            (None, [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) if first == sign => after,
            (None, _) => {
                plain.push(first);
                more
            }
        };
    }
    plain
}

#[test]
fn a_word_is_found_in_every_form() {
    let word = "HEMLIGÄRENDE";
    let latin_1: Vec<u8> = word.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    let utf_16: Vec<u8> = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![
        word.as_bytes().to_vec(),
        latin_1,
        utf_16,
        b"x HEMLIG=C3=84REN=\r\nDE".to_vec(),
        b"=?utf-8?Q?HEMLIG=C3=84RENDE?=".to_vec(),
        b"filename*=utf-8''HEMLIG%C3%84RENDE".to_vec(),
    ];
    for before in ["", "1", "12"] {
        let digits = STANDARD.encode(format!("{before}{word} och mer"));
        let (first, second) = digits.split_at(9);
        forms.push(format!("{first}\r\n{second}").into_bytes());
    }
    for form in &forms {
        let around = [b"before ".as_slice(), form, b" after"].concat();
        assert_eq!(found_in(&around, &[word]), [word], "{}", String::from_utf8_lossy(form));
    }
    assert!(found_in(b"HEMLIG and RENDE, but not together", &[word]).is_empty());
}
