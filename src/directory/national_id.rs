//! National numbers: which there are, when one is valid, how it is written the same every time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kinds of number sealgate knows, by the names of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberType {
    /// Swedish personal number.
    SePersonnummer,
    /// Swedish coordination number: the day is 60 higher.
    SeSamordningsnummer,
    /// Swedish organisation number.
    SeOrganisationsnummer,
    /// Danish personal number.
    DkCpr,
    /// Danish company number.
    DkCvr,
    /// Norwegian birth number, D- and H-numbers included.
    NoFodselsnummer,
    /// Finnish personal identity code.
    FiHetu,
}

/// A valid number in its normal form: Swedish ones with century and without separator. Prints masked.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NationalId {
    kind: NumberType,
    digits: String,
}

/// Why a text is not a [`NationalId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NationalIdFault {
    /// Not as many digits as the kind has, or other characters among them.
    #[error("the number has another length or form")]
    FormIsAnother,
    /// No such day.
    #[error("the number's date is no date")]
    DateIsInvalid,
    /// The check digit says it was mistyped.
    #[error("the number's check digit is wrong")]
    CheckDigitIsWrong,
    /// The name of no kind.
    #[error(
        "the number types are se-personnummer, se-samordningsnummer, se-organisationsnummer, dk-cpr, dk-cvr, no-fodselsnummer, fi-hetu"
    )]
    TypeIsUnknown,
    /// Valid as more than one kind, so the kind must be said.
    #[error("the number could be of several types: write the type before it, as in [id: dk-cpr 010190-1234]")]
    TypeIsAmbiguous,
}

/// How sure a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// Date and check digit are right.
    Checked,
    /// The date is right; check digits are not to be relied on (Danish numbers since 2007).
    DateOnly,
}

impl NumberType {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::SePersonnummer,
        Self::SeSamordningsnummer,
        Self::SeOrganisationsnummer,
        Self::DkCpr,
        Self::DkCvr,
        Self::NoFodselsnummer,
        Self::FiHetu,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SePersonnummer => "se-personnummer",
            Self::SeSamordningsnummer => "se-samordningsnummer",
            Self::SeOrganisationsnummer => "se-organisationsnummer",
            Self::DkCpr => "dk-cpr",
            Self::DkCvr => "dk-cvr",
            Self::NoFodselsnummer => "no-fodselsnummer",
            Self::FiHetu => "fi-hetu",
        }
    }

    /// Whether it names a company or authority rather than a person.
    #[must_use]
    pub fn is_organisation(self) -> bool {
        matches!(self, Self::SeOrganisationsnummer | Self::DkCvr)
    }
}

impl NationalId {
    /// The number of this kind that a text is, hyphens and blanks tolerated. `today` is a year such as 2026: it decides
    /// the century of ten-digit Swedish numbers.
    ///
    /// # Errors
    /// [`NationalIdFault`].
    pub fn parse(kind: NumberType, text: &str, today: u16) -> Result<Self, NationalIdFault> {
        Self::judge(kind, text, today).map(|(number, _)| number)
    }

    /// Like [`NationalId::parse`], with how sure it is. Danish numbers whose check digit is wrong are taken, for such
    /// have been issued since 2007 (CPR-kontoret).
    ///
    /// # Errors
    /// [`NationalIdFault`].
    pub fn judge(kind: NumberType, text: &str, today: u16) -> Result<(Self, Certainty), NationalIdFault> {
        let (digits, certainty) = match kind {
            NumberType::SePersonnummer => (swedish(text, today, 0)?, Certainty::Checked),
            NumberType::SeSamordningsnummer => (swedish(text, today, 60)?, Certainty::Checked),
            NumberType::SeOrganisationsnummer => (organisation(text)?, Certainty::Checked),
            NumberType::DkCpr => cpr(text)?,
            NumberType::DkCvr => (cvr(text)?, Certainty::Checked),
            NumberType::NoFodselsnummer => (norwegian(text)?, Certainty::Checked),
            NumberType::FiHetu => (hetu(text)?, Certainty::Checked),
        };
        Ok((Self { kind, digits }, certainty))
    }

    /// The number a text is, its kind said before it (`dk-cpr 010190-1234`) or told by the number alone.
    ///
    /// # Errors
    /// [`NationalIdFault::TypeIsAmbiguous`] if it could be of several kinds; else why it is none.
    pub fn parse_any(text: &str, today: u16) -> Result<Self, NationalIdFault> {
        let text = text.trim();
        if let Some((kind, number)) = text.split_once(char::is_whitespace)
            && let Ok(kind) = kind.parse()
        {
            return Self::parse(kind, number, today);
        }
        let mut sure: Vec<Self> = Vec::new();
        let mut likely: Vec<Self> = Vec::new();
        for kind in NumberType::ALL {
            match Self::judge(kind, text, today) {
                Ok((number, Certainty::Checked)) => sure.push(number),
                Ok((number, Certainty::DateOnly)) => likely.push(number),
                Err(_) => {}
            }
        }
        let mut candidates = if sure.is_empty() { likely } else { sure };
        match (candidates.pop(), candidates.is_empty()) {
            (Some(number), true) => Ok(number),
            (Some(_), false) => Err(NationalIdFault::TypeIsAmbiguous),
            (None, _) => Err(NationalIdFault::FormIsAnother),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> NumberType {
        self.kind
    }

    /// The normal form without its kind: for comparison and keyed hashes, never for logs.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// Kind and normal form: what a post box compares with what an e-ID says.
    #[must_use]
    pub fn to_key(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.digits)
    }

    /// The date part shown, the rest hidden: `850101-••••`.
    #[must_use]
    pub fn masked(&self) -> String {
        let shown = match self.kind {
            NumberType::SePersonnummer | NumberType::SeSamordningsnummer => self.digits.get(..8),
            NumberType::SeOrganisationsnummer
            | NumberType::DkCpr
            | NumberType::NoFodselsnummer
            | NumberType::FiHetu => self.digits.get(..6),
            NumberType::DkCvr => self.digits.get(..4),
        };
        format!("{}-••••", shown.unwrap_or_default())
    }
}

impl fmt::Debug for NationalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ••••", self.kind.as_str())
    }
}

impl NumberType {
    /// Kinds that a login shows whose provider tells this kind. Swedish providers tell a coordination number in the same
    /// claim (BankID's `personalNumber`).
    #[must_use]
    pub fn shown_with(self) -> &'static [Self] {
        match self {
            Self::SePersonnummer => &[Self::SePersonnummer, Self::SeSamordningsnummer],
            Self::SeSamordningsnummer => &[Self::SeSamordningsnummer],
            Self::SeOrganisationsnummer => &[Self::SeOrganisationsnummer],
            Self::DkCpr => &[Self::DkCpr],
            Self::DkCvr => &[Self::DkCvr],
            Self::NoFodselsnummer => &[Self::NoFodselsnummer],
            Self::FiHetu => &[Self::FiHetu],
        }
    }
}

impl FromStr for NumberType {
    type Err = NationalIdFault;

    fn from_str(text: &str) -> Result<Self, NationalIdFault> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(NationalIdFault::TypeIsUnknown)
    }
}

impl fmt::Display for NumberType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Digits of a text, where nothing but digits, blanks and hyphens stands in it.
fn digits_of(text: &str) -> Result<Vec<u8>, NationalIdFault> {
    let mut digits = Vec::with_capacity(12);
    for c in text.chars() {
        match c.to_digit(10) {
            Some(digit) => digits.push(u8::try_from(digit).unwrap_or(0)),
            None if matches!(c, ' ' | '-' | '\u{a0}' | '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2013}') => {}
            None => return Err(NationalIdFault::FormIsAnother),
        }
    }
    Ok(digits)
}

fn to_text(digits: &[u8]) -> String {
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}

fn number(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(*digit))
}

/// Two digits at a place.
fn pair(digits: &[u8], place: usize) -> u16 {
    number(digits.get(place..place + 2).unwrap_or_default())
}

fn is_date(year: u16, month: u16, day: u16) -> bool {
    let fits = |n: u16| i8::try_from(n).ok();
    let (Ok(year), Some(month), Some(day)) = (i16::try_from(year), fits(month), fits(day)) else { return false };
    jiff::civil::Date::new(year, month, day).is_ok()
}

/// Sum of products modulo 11.
fn modulo_11(digits: &[u8], weights: &[u16]) -> u16 {
    digits.iter().zip(weights).map(|(digit, weight)| u16::from(*digit) * weight).sum::<u16>() % 11
}

/// Luhn over ten digits, the check digit among them (Skatteverket SKV 704).
fn luhn(digits: &[u8]) -> bool {
    let value = |(place, digit): (usize, &u8)| {
        let doubled = digit * if place % 2 == 0 { 2 } else { 1 };
        u16::from(doubled / 10 + doubled % 10)
    };
    digits.len() == 10 && digits.iter().enumerate().map(value).sum::<u16>() % 10 == 0
}

/// `YYMMDD-NNNC`, `YYMMDD+NNNC` from the year a person turns 100, or with century; twelve digits come out.
fn swedish(text: &str, today: u16, day_offset: u16) -> Result<String, NationalIdFault> {
    let is_centenarian = text.contains('+');
    let digits = digits_of(&text.replace('+', "-"))?;
    let (century, short) = match digits.len() {
        10 => (None, digits.as_slice()),
        12 => (Some(pair(&digits, 0)), digits.get(2..).unwrap_or_default()),
        _ => return Err(NationalIdFault::FormIsAnother),
    };
    let year = pair(short, 0);
    let century = century.unwrap_or_else(|| {
        let newest = if today % 100 >= year { today / 100 } else { today / 100 - 1 };
        newest.saturating_sub(u16::from(is_centenarian))
    });
    let day = pair(short, 4).checked_sub(day_offset).ok_or(NationalIdFault::DateIsInvalid)?;
    if !is_date(century * 100 + year, pair(short, 2), day) || !(18..=21).contains(&century) {
        return Err(NationalIdFault::DateIsInvalid);
    }
    // Birth numbers begin at 001.
    if !luhn(short) || number(short.get(6..9).unwrap_or_default()) == 0 {
        return Err(NationalIdFault::CheckDigitIsWrong);
    }
    Ok(format!("{century}{}", to_text(short)))
}

/// Ten digits, the third at least 2, so that it is no date.
fn organisation(text: &str) -> Result<String, NationalIdFault> {
    let digits = digits_of(text)?;
    let digits = match digits.len() {
        12 if digits.starts_with(&[1, 6]) => digits.get(2..).unwrap_or_default().to_vec(),
        10 => digits,
        _ => return Err(NationalIdFault::FormIsAnother),
    };
    if digits.get(2).is_none_or(|third| *third < 2) {
        return Err(NationalIdFault::FormIsAnother);
    }
    if luhn(&digits) { Ok(to_text(&digits)) } else { Err(NationalIdFault::CheckDigitIsWrong) }
}

/// `DDMMYY-SSSS`; the seventh digit and the year tell the century.
fn cpr(text: &str) -> Result<(String, Certainty), NationalIdFault> {
    let digits = digits_of(text)?;
    if digits.len() != 10 {
        return Err(NationalIdFault::FormIsAnother);
    }
    let year = pair(&digits, 4);
    let century = match digits.get(6).copied().unwrap_or(0) {
        0..=3 => 1900,
        4 | 9 if year <= 36 => 2000,
        4 | 9 => 1900,
        _ if year <= 57 => 2000,
        _ => 1800,
    };
    if !is_date(century + year, pair(&digits, 2), pair(&digits, 0)) {
        return Err(NationalIdFault::DateIsInvalid);
    }
    let checked = modulo_11(&digits, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) == 0;
    Ok((to_text(&digits), if checked { Certainty::Checked } else { Certainty::DateOnly }))
}

fn cvr(text: &str) -> Result<String, NationalIdFault> {
    let digits = digits_of(text)?;
    if digits.len() != 8 || digits.first() == Some(&0) {
        return Err(NationalIdFault::FormIsAnother);
    }
    let sound = modulo_11(&digits, &[2, 7, 6, 5, 4, 3, 2, 1]) == 0;
    if sound { Ok(to_text(&digits)) } else { Err(NationalIdFault::CheckDigitIsWrong) }
}

/// `DDMMYYIIIKK`: D-numbers add 40 to the day, H-numbers 40 to the month, synthetic ones 80 or 65 (Skatteetaten).
fn norwegian(text: &str) -> Result<String, NationalIdFault> {
    let digits = digits_of(text)?;
    if digits.len() != 11 {
        return Err(NationalIdFault::FormIsAnother);
    }
    let day = match pair(&digits, 0) {
        day @ 1..=31 => day,
        day @ 41..=71 => day - 40,
        _ => return Err(NationalIdFault::DateIsInvalid),
    };
    let month = match pair(&digits, 2) {
        month @ 1..=12 => month,
        month @ 41..=52 => month - 40,
        month @ 66..=77 => month - 65,
        month @ 81..=92 => month - 80,
        _ => return Err(NationalIdFault::DateIsInvalid),
    };
    let (year, individual) = (pair(&digits, 4), number(digits.get(6..9).unwrap_or_default()));
    let century = match individual {
        0..=499 => 1900,
        500..=749 if year >= 54 => 1800,
        900..=999 if year >= 40 => 1900,
        _ => 2000,
    };
    if !is_date(century + year, month, day) {
        return Err(NationalIdFault::DateIsInvalid);
    }
    let first = modulo_11(&digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
    let second = modulo_11(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    // From 2032 the first control digit may leave 0, 1, 2 or 3.
    if second == 0 && (first == 0 || (century + year >= 2032 && first <= 3)) {
        return Ok(to_text(&digits));
    }
    Err(NationalIdFault::CheckDigitIsWrong)
}

/// `DDMMYYCNNNX` with a century sign.
fn hetu(text: &str) -> Result<String, NationalIdFault> {
    const CHECK: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let text = text.trim().to_ascii_uppercase();
    if text.len() != 11 || !text.is_ascii() {
        return Err(NationalIdFault::FormIsAnother);
    }
    let (date, rest) = text.split_at(6);
    let (sign, rest) = rest.split_at(1);
    let (individual, check) = rest.split_at(3);
    let century = match sign {
        "+" => 1800,
        "-" | "Y" | "X" | "W" | "V" | "U" => 1900,
        "A" | "B" | "C" | "D" | "E" | "F" => 2000,
        _ => return Err(NationalIdFault::FormIsAnother),
    };
    if ![date, individual].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit())) {
        return Err(NationalIdFault::FormIsAnother);
    }
    let digits = digits_of(date)?;
    if !is_date(century + pair(&digits, 4), pair(&digits, 2), pair(&digits, 0)) {
        return Err(NationalIdFault::DateIsInvalid);
    }
    let whole: usize = format!("{date}{individual}").parse().map_err(|_| NationalIdFault::FormIsAnother)?;
    let expected = CHECK.get(whole % 31).copied().map(char::from);
    if individual < "002" || check.chars().next() != expected {
        return Err(NationalIdFault::CheckDigitIsWrong);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use crate::directory::national_id::*;

    fn valid(kind: NumberType, numbers: &[&str]) {
        for text in numbers {
            assert!(
                NationalId::parse(kind, text, 2026).is_ok(),
                "{kind} {text}: {:?}",
                NationalId::parse(kind, text, 2026)
            );
        }
    }

    fn invalid(kind: NumberType, numbers: &[&str]) {
        for text in numbers {
            assert!(NationalId::parse(kind, text, 2026).is_err(), "{kind} {text}");
        }
    }

    #[test]
    fn the_published_test_numbers_are_judged_as_published() {
        use NumberType::*;
        valid(
            DkCpr,
            &["211062-5629", "111111-1118", "070761-4285", "110774-4882", "251248-4916", "210127-0087", "271258-9100"],
        );
        valid(DkCpr, &["010165-0000", "251248-9996", "221177-1212", "251216-9996"]);
        invalid(DkCpr, &["511062-5629", "0101", "01019012345"]);
        valid(DkCvr, &["13748136", "13585628", "19552101", "64942212", "29189846", "29189609", "55133018", "34051178"]);
        invalid(DkCvr, &["13585627", "12345678", "97281536", "93885472"]);
        valid(
            SePersonnummer,
            &[
                "18900101-9802",
                "18900102-9819",
                "19850101-2382",
                "19850101-2390",
                "880320-0016",
                "121212-1212",
                "121212+1212",
                "190905271474",
                "200002292399",
                "195704289999",
            ],
        );
        invalid(SePersonnummer, &["880320-0018", "201509160006", "197004289895", "857209-0606", "802005-1952"]);
        valid(SeSamordningsnummer, &["701063-2391", "19730288-9931"]);
        invalid(SeSamordningsnummer, &["19420566-9899"]);
        valid(
            SeOrganisationsnummer,
            &["212000-0654", "202100-1975", "202100-2114", "123456-7897", "857209-0606", "802005-1952"],
        );
        invalid(SeOrganisationsnummer, &["123456-7891"]);
        valid(NoFodselsnummer, &["15108695088", "26111593816", "20914695016"]);
        invalid(NoFodselsnummer, &["15108695077"]);
        valid(FiHetu, &["131052-308T", "131052A308T", "131052B308T", "131052X308T", "131052+308T"]);
        invalid(FiHetu, &["131052-308U", "310252-308Y"]);
    }

    #[test]
    fn swedish_numbers_have_one_normal_form() {
        let digits = |text| NationalId::parse(NumberType::SePersonnummer, text, 2026).unwrap().digits;
        assert_eq!(digits("850101-2382"), "198501012382");
        assert_eq!(digits("19850101-2382"), "198501012382");
        assert_eq!(digits("121212-1212"), "201212121212");
        assert_eq!(digits("121212+1212"), "191212121212");
    }

    #[test]
    fn a_number_without_its_type_is_taken_where_it_can_be_one_only() {
        let kind = |text| NationalId::parse_any(text, 2026).map(|number| number.kind);
        assert_eq!(kind("19850101-2382"), Ok(NumberType::SePersonnummer));
        assert_eq!(kind("131052-308T"), Ok(NumberType::FiHetu));
        assert_eq!(kind("dk-cpr 010190-1234"), Ok(NumberType::DkCpr));
        assert_eq!(kind("13748136"), Ok(NumberType::DkCvr));
        assert!(kind("hello").is_err());
    }

    #[test]
    fn a_number_never_prints_whole() {
        let number = NationalId::parse(NumberType::SePersonnummer, "19850101-2382", 2026).unwrap();
        assert_eq!(format!("{number:?}"), "se-personnummer ••••");
        assert_eq!(number.masked(), "19850101-••••");
    }
}
