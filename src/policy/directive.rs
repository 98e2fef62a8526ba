//! Directives: what a sender writes in subject, header or address, in any mail client.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::directory::{NationalId, NumberType};
use crate::mail::{Address, Domain, Header, find_folded, is_invisible};
use crate::policy::error::Refusal;

/// Octets a directive may take, brackets and all.
const DIRECTIVE_OCTETS: usize = 512;

/// The return mailboxes a sender may name: id → who may name it.
pub type Departments = BTreeMap<String, Chooser>;
/// Domains whose local parts are national numbers.
pub type NumberDomains = BTreeMap<Domain, NumberType>;

/// Who may name a department as return mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chooser {
    /// Everybody inside.
    All,
    /// These addresses, folded.
    Members(Vec<String>),
}

/// What the sender asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// At least this protection was asked for in so many words.
    pub secure: bool,
    /// The department that gets answers.
    pub reply_to: Option<String>,
    /// … and from now on.
    pub remember: bool,
    /// The number its reader must have.
    pub number: Option<NationalId>,
    /// Where to send an SMS.
    pub sms: Option<String>,
    /// How long it can be read.
    pub retention: Option<Duration>,
    /// What goes off the header before the message goes on.
    pub removals: Removals,
}

/// What goes off a header before a message goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removals {
    /// Texts to take out of the subject.
    pub subject_tags: Vec<String>,
    /// Fields to take off.
    pub fields: Vec<String>,
}

/// The words that begin a directive in the subject.
const WORDS: [&str; 4] = ["svar", "reply", "id", "sms"];
/// The header fields that say the same as directives do.
pub const DIRECTIVE_FIELDS: [&str; 5] =
    ["X-Sealgate-Protect", "X-Sealgate-Reply-To", "X-Sealgate-Number", "X-Sealgate-Sms", "X-Sealgate-Retention"];

impl Directives {
    /// Whether anything was asked for that implies protection.
    #[must_use]
    pub fn ask_for_protection(&self) -> bool {
        self.secure
            || self.reply_to.is_some()
            || self.number.is_some()
            || self.sms.is_some()
            || self.retention.is_some()
    }
}

/// Reads what the sender asked for. `tags` are all tags the rules know; `year` is today's.
///
/// # Errors
/// The refusal: a department or number that is none. The sender mends it and sends again.
pub fn parse_directives(
    header: &Header,
    tags: &[String],
    departments: &Departments,
    sender: Option<&Address>,
    year: u16,
) -> Result<Directives, Refusal> {
    let mut asked = Directives::default();
    // Brackets and letters of another width are what they look like.
    let subject: String = header.subject().text.nfkc().filter(|c| !is_invisible(*c)).collect();
    let subject = subject.as_str();
    asked.removals.subject_tags = tags.iter().filter(|tag| find_folded(subject, tag).is_some()).cloned().collect();
    for (whole, word, value) in bracketed(subject) {
        match word.to_lowercase().as_str() {
            "svar" | "reply" => set_reply(&mut asked, value, departments, sender)?,
            "id" => asked.number = Some(number(value, year)?),
            "sms" => asked.sms = Some(phone(value)?),
            _ => continue,
        }
        asked.removals.subject_tags.push(whole.to_owned());
    }
    for field in header.fields() {
        let Some(name) = DIRECTIVE_FIELDS.iter().find(|name| field.is(name)) else { continue };
        asked.removals.fields.push((*name).to_owned());
        let value = field.text();
        match *name {
            "X-Sealgate-Protect" if value.eq_ignore_ascii_case("secure") => asked.secure = true,
            "X-Sealgate-Protect" => {
                return Err(refusal(format!("X-Sealgate-Protect: {} is not known; it can be secure", plain(&value))));
            }
            "X-Sealgate-Reply-To" if asked.reply_to.is_none() => set_reply(&mut asked, &value, departments, sender)?,
            "X-Sealgate-Number" if asked.number.is_none() => asked.number = Some(number(&value, year)?),
            "X-Sealgate-Sms" if asked.sms.is_none() => asked.sms = Some(phone(&value)?),
            "X-Sealgate-Retention" => asked.retention = Some(days(&value)?),
            _ => {}
        }
    }
    Ok(asked)
}

/// What counts of directives in mail that is from no sender of ours: that there are any asks for protection. What they want
/// done, and with whose number or telephone, is no stranger's to say.
#[must_use]
pub fn words_of_strangers(header: &Header, tags: &[String]) -> Directives {
    let mut asked = Directives::default();
    let subject: String = header.subject().text.nfkc().filter(|c| !is_invisible(*c)).collect();
    asked.removals.subject_tags = tags.iter().filter(|tag| find_folded(&subject, tag).is_some()).cloned().collect();
    let directives = bracketed(&subject).filter(|(_, word, _)| WORDS.contains(&word.to_lowercase().as_str()));
    let directives: Vec<String> = directives.map(|(whole, _, _)| whole.to_owned()).collect();
    let there = |name: &&str| header.first(name).is_some();
    asked.removals.fields = DIRECTIVE_FIELDS.iter().copied().filter(there).map(str::to_owned).collect();
    asked.secure = !directives.is_empty() || !asked.removals.fields.is_empty();
    asked.removals.subject_tags.extend(directives);
    asked
}

/// The number in an address of one of the number domains; `None` if the address is of another domain.
///
/// # Errors
/// The refusal: the local part is no such number.
pub fn number_address(address: &Address, domains: &NumberDomains, year: u16) -> Result<Option<NationalId>, Refusal> {
    let Some(kind) = domains.get(address.domain()) else { return Ok(None) };
    let number = NationalId::parse(*kind, address.local().as_str(), year);
    number
        .map(Some)
        .map_err(|fault| refusal(format!("the address before @{} is no valid {kind}: {fault}", address.domain())))
}

/// `[word: value]` in a text: the whole, the word, the value.
fn bracketed(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.match_indices('[').filter_map(|(start, _)| {
        let rest = text.get(start..)?;
        let rest = rest.get(..rest.floor_char_boundary(DIRECTIVE_OCTETS))?;
        let whole = rest.get(..=rest.find(']')?)?;
        let (word, value) = whole.trim_matches(['[', ']']).split_once(':')?;
        Some((whole, word.trim(), value.trim()))
    })
}

fn set_reply(
    asked: &mut Directives,
    value: &str,
    departments: &Departments,
    sender: Option<&Address>,
) -> Result<(), Refusal> {
    let (id, remember) = match value.strip_suffix('!') {
        Some(id) => (id.trim().to_lowercase(), true),
        None => (value.trim().to_lowercase(), false),
    };
    let known = || departments.keys().cloned().collect::<Vec<_>>().join(", ");
    match departments.get(&id) {
        None => return Err(refusal(format!("no department is called {}; there are: {}", plain(&id), known()))),
        Some(Chooser::Members(members)) if !sender.is_some_and(|sender| members.contains(&sender.folded())) => {
            return Err(refusal(format!("only members of {id} may have answers sent there")));
        }
        Some(Chooser::Members(_) | Chooser::All) => {}
    }
    asked.reply_to = Some(id);
    asked.remember = remember;
    Ok(())
}

fn number(value: &str, year: u16) -> Result<NationalId, Refusal> {
    NationalId::parse_any(value, year).map_err(|fault| refusal(format!("the national number cannot be used: {fault}")))
}

/// A number in international form: `+` and 7 to 15 digits (ITU-T E.164).
fn phone(value: &str) -> Result<String, Refusal> {
    let bare: String = value.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    let digits = bare.strip_prefix('+').unwrap_or_default();
    if (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(bare);
    }
    Err(refusal("the phone number cannot be used: write it like +46700000000".to_owned()))
}

fn days(value: &str) -> Result<Duration, Refusal> {
    let (number, unit) = value.trim().split_at(value.trim().len().saturating_sub(1));
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        _ => 0,
    };
    match number.trim().parse::<u64>() {
        Ok(number) if seconds > 0 && (1..=3_650).contains(&number) => Ok(Duration::from_secs(number * seconds)),
        Ok(_) | Err(_) => {
            Err(refusal(format!("X-Sealgate-Retention: {} cannot be used: write it like 14d", plain(value))))
        }
    }
}

/// What a sender wrote, as it may stand in a reply: visible ASCII, short.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(40).collect()
}

fn refusal(text: String) -> Refusal {
    Refusal { status: "5.7.1", text, rule: "directive".to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::policy::directive::*;

    fn parse(header: &str) -> Result<Directives, Refusal> {
        let departments = [
            ("bygg".to_owned(), Chooser::All),
            ("hr".to_owned(), Chooser::Members(vec!["hr.chef@sundby.example".into()])),
        ];
        let sender = "anna.berg@sundby.example".parse().unwrap();
        parse_directives(
            &Header::new(header),
            &["[sikker]".into(), "[säkert]".into()],
            &departments.into(),
            Some(&sender),
            2026,
        )
    }

    #[test]
    fn what_a_sender_writes_is_understood_and_taken_off() {
        let asked =
            parse("Subject: Re: [SIKKER] [svar: Bygg!] [id: 19850101-2382] [sms: +46 70-000 00 00] [obs] Hej\r\n")
                .unwrap();
        assert_eq!(asked.reply_to.as_deref(), Some("bygg"));
        assert!(asked.remember && asked.ask_for_protection());
        assert_eq!(asked.number.as_ref().unwrap().digits(), "198501012382");
        assert_eq!(asked.sms.as_deref(), Some("+46700000000"));
        let left = crate::mail::without(
            "Re: [SIKKER] [svar: Bygg!] [id: 19850101-2382] [sms: +46 70-000 00 00] [obs] Hej",
            &asked.removals.subject_tags,
        );
        assert_eq!(left, "Re: [obs] Hej");
    }

    #[test]
    fn a_directive_is_seen_however_it_is_written_and_wherever_it_stands() {
        let far = format!("Subject: {} [svar: bygg]\r\n", "x ".repeat(4_000));
        for header in
            ["Subject: \u{ff3b}svar\u{ff1a} bygg\u{ff3d} Hej\r\n", "Subject: [sv\u{ad}ar: bygg] Hej\r\n", &far]
        {
            let asked = parse(header).unwrap();
            assert_eq!(asked.reply_to.as_deref(), Some("bygg"), "{header}");
            let left = crate::mail::without(&Header::new(header).subject().text, &asked.removals.subject_tags);
            assert!(!left.contains("bygg"), "{left}");
        }
        // Searched from every bracket to the end, this would take minutes.
        assert!(parse(&format!("Subject: {}\r\n", "[".repeat(1 << 20))).unwrap().reply_to.is_none());
    }

    #[test]
    fn headers_say_the_same_for_applications() {
        let asked = parse("X-Sealgate-Protect: secure\r\nX-Sealgate-Number: se-personnummer 19850101-2382\r\nX-SEALGATE-Retention: 14d\r\nX-Sealgate-Reply-To: bygg\r\n").unwrap();
        assert!(asked.secure && asked.number.is_some() && asked.reply_to.is_some());
        assert_eq!(asked.retention, Some(Duration::from_secs(14 * 86_400)));
        assert_eq!(asked.removals.fields.len(), 4);
        assert!(!parse("Subject: [obs: x] hej\r\n").unwrap().ask_for_protection());
    }

    #[test]
    fn what_cannot_be_done_is_said_in_words() {
        for (header, says) in [
            ("Subject: [svar: byg]\r\n", "no department is called byg; there are: bygg, hr"),
            ("Subject: [svar: hr]\r\n", "only members of hr"),
            ("Subject: [id: 19850101-2383]\r\n", "national number"),
            ("Subject: [sms: 070]\r\n", "phone number"),
            ("X-Sealgate-Protect: plain\r\n", "it can be secure"),
            ("X-Sealgate-Retention: -1d\r\n", "write it like 14d"),
        ] {
            let refused = parse(header).unwrap_err();
            assert!(refused.text.contains(says), "{header}: {}", refused.text);
        }
    }

    #[test]
    fn an_address_of_a_number_domain_is_a_number() {
        let domains = [("cpr.sundby.example".parse().unwrap(), NumberType::DkCpr)].into();
        let number = |text: &str| number_address(&text.parse().unwrap(), &domains, 2026);
        assert!(number("211062-5629@cpr.sundby.example").unwrap().is_some());
        assert!(number("\"211062 5629\"@cpr.sundby.example").unwrap().is_some());
        assert!(number("511062-5629@cpr.sundby.example").is_err());
        assert!(number("511062-5629@other.example").unwrap().is_none());
    }
}
