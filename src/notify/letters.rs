//! Every letter sealgate writes: what it says, in the reader's language.

use crate::net::Time;
use crate::notify::letter::{Block, Letterhead, Sheet};
use crate::queue::{Failure, Untold};
use crate::texts::{Language, say};

/// Octets of the longest status there is (RFC 3463 §2: `5.999.999`).
const STATUS_OCTETS: usize = 9;

/// What a notice tells. Nothing of the message is in it: no subject, no sender, no size.
#[derive(Debug, Clone)]
pub struct NoticeFacts {
    /// The department's name, where the organisation reveals it.
    pub department: Option<String>,
    /// The one link with a token.
    pub link: String,
    /// Until when the message can be read.
    pub until: Time,
    /// Name of each e-ID that serves, and where to get one.
    pub providers: Vec<(String, Option<String>)>,
}

/// What became of one recipient, for the receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptLine {
    /// In the portal, readable until then.
    Pickup {
        /// The recipient, national numbers masked.
        recipient: String,
        /// Until when.
        until: Time,
    },
    /// Sealed to the recipient's organisation, and on its way.
    Tunnel {
        /// The recipient.
        recipient: String,
        /// The organisation's domain.
        domain: String,
    },
    /// Sealed to the recipient's own certificate, and on its way.
    Personal {
        /// The recipient.
        recipient: String,
    },
    /// The text message that the sender asked for is not sent: nothing sends them here.
    NoSms {
        /// The recipient, national numbers masked.
        recipient: String,
    },
    /// Waits.
    Held {
        /// The recipient, national numbers masked.
        recipient: String,
        /// Why.
        reason: String,
    },
    /// Was not sent.
    Refused {
        /// The recipient, national numbers masked.
        recipient: String,
        /// Why.
        reason: String,
    },
}

/// What a delivery report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// Given up.
    Failed,
    /// Still trying until then.
    Delayed(Time),
    /// In the mailbox, or where the recipient picks it up: as was asked for.
    Success,
    /// Handed to somebody who reports no further: as was asked for.
    Relayed,
}

impl ReportKind {
    /// The reports on what is to be told, with whom each is about.
    pub fn of(untold: &Untold) -> impl Iterator<Item = (Self, &[Failure])> {
        let kinds = [
            (Self::Failed, untold.failed.as_slice()),
            (Self::Success, untold.stored.as_slice()),
            (Self::Relayed, untold.relayed.as_slice()),
        ];
        kinds.into_iter().filter(|(_, about)| !about.is_empty())
    }
}

/// One recipient of a delivery report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLine {
    /// The recipient, national numbers masked.
    pub recipient: String,
    /// Why, for people.
    pub reason: String,
}

/// The notice to a recipient.
#[must_use]
pub fn notice(head: &Letterhead, language: Language, facts: &NoticeFacts) -> Sheet {
    let organisation = ("organisation", head.organisation.as_str());
    let text = |id: &str| say(language, id, &[organisation]);
    let names: Vec<&str> = facts.providers.iter().map(|(name, _)| name.as_str()).collect();
    let from = match &facts.department {
        Some(department) => say(language, "notice-department", &[organisation, ("department", department)]),
        None => text("notice-organisation"),
    };
    let until = head.zone.day(language, facts.until.unix_ms());
    let mut blocks = vec![
        Block::Heading(text("notice-heading")),
        Block::Paragraph(from),
        Block::Paragraph(text("notice-why")),
        Block::Button { label: text("notice-button"), url: facts.link.clone() },
        Block::Paragraph(say(language, "notice-until", &[("date", &until)])),
        Block::Paragraph(say(language, "notice-providers", &[("providers", &names.join(", "))])),
    ];
    for (name, help) in &facts.providers {
        if let Some(url) = help {
            blocks.push(Block::Link { label: say(language, "notice-get", &[("provider", name)]), url: url.clone() });
        }
    }
    blocks.push(match &head.website {
        Some(url) => Block::Link { label: text("notice-genuine"), url: url.clone() },
        None => Block::Small(text("notice-genuine-no-website")),
    });
    if let Some(contact) = &head.contact {
        blocks.push(Block::Small(say(language, "notice-questions", &[("contact", contact)])));
    }
    blocks.push(Block::Small(text("notice-no-answer")));
    head.sheet(language, text("notice-subject"), &blocks)
}

/// The receipt to the sender: per recipient how it went, and who gets the answers.
#[must_use]
pub fn receipt(
    head: &Letterhead,
    language: Language,
    about: &About<'_>,
    lines: &[ReceiptLine],
    return_mailbox: Option<&str>,
) -> Sheet {
    let mut blocks = about.opening(language, "receipt-heading");
    let items = lines.iter().map(|line| receipt_line(head, language, line)).collect();
    blocks.push(Block::Items(items));
    if let Some(mailbox) = return_mailbox {
        blocks.push(Block::Paragraph(say(language, "receipt-answers", &[("mailbox", mailbox)])));
    }
    blocks.push(about.closing(language));
    head.sheet(language, about.subject(language, "receipt"), &blocks)
}

fn receipt_line(head: &Letterhead, language: Language, line: &ReceiptLine) -> String {
    match line {
        ReceiptLine::Pickup { recipient, until } => {
            let date = head.zone.day(language, until.unix_ms());
            say(language, "receipt-pickup", &[("recipient", recipient), ("date", &date)])
        }
        ReceiptLine::Tunnel { recipient, domain } => {
            say(language, "receipt-tunnel", &[("recipient", recipient), ("domain", domain)])
        }
        ReceiptLine::Personal { recipient } => say(language, "receipt-personal", &[("recipient", recipient)]),
        ReceiptLine::NoSms { recipient } => say(language, "receipt-no-sms", &[("recipient", recipient)]),
        ReceiptLine::Held { recipient, reason } => {
            say(language, "receipt-held", &[("recipient", recipient), ("reason", reason)])
        }
        ReceiptLine::Refused { recipient, reason } => {
            say(language, "receipt-refused", &[("recipient", recipient), ("reason", reason)])
        }
    }
}

/// What a letter to a sender is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'m> {
    /// The message's subject, tags gone; empty if it has none.
    pub subject: &'m str,
    /// The message's id.
    pub id: &'m str,
    /// The recipient it concerns, national numbers masked.
    pub recipient: &'m str,
}

impl About<'_> {
    fn subject(&self, language: Language, kind: &str) -> String {
        if self.subject.is_empty() {
            say(language, &format!("{kind}-subject-none"), &[])
        } else {
            say(language, &format!("{kind}-subject"), &[("subject", self.subject)])
        }
    }

    fn opening(&self, language: Language, heading: &str) -> Vec<Block> {
        let mut blocks = vec![Block::Heading(say(language, heading, &[]))];
        if !self.subject.is_empty() {
            blocks.push(Block::Paragraph(say(language, "receipt-about", &[("subject", self.subject)])));
        }
        blocks
    }

    fn closing(&self, language: Language) -> Block {
        Block::Small(say(language, "receipt-id", &[("id", self.id)]))
    }

    /// A letter of one fact: its heading is its subject line without the message's own.
    fn fact(&self, head: &Letterhead, language: Language, kind: &str, text: Vec<String>) -> Sheet {
        let mut blocks = self.opening(language, &format!("{kind}-subject-none"));
        blocks.extend(text.into_iter().map(Block::Paragraph));
        blocks.push(self.closing(language));
        head.sheet(language, self.subject(language, kind), &blocks)
    }
}

/// Tells the postmaster that a message is held whose sender nobody inside is: for whom, why, and how to decide. Whom it is
/// from and what it is about does not stand there.
#[must_use]
pub fn held(head: &Letterhead, language: Language, id: &str, lines: &[(String, String)]) -> Sheet {
    let told = |(recipient, reason): &(String, String)| {
        say(language, "held-text", &[("recipient", recipient), ("reason", reason)])
    };
    let about = About { subject: "", id, recipient: "" };
    let title = about.subject(language, "held");
    let commands = ["held-show", "held-release", "held-drop"].map(|command| say(language, command, &[("id", id)]));
    let mut blocks = vec![Block::Heading(title.clone())];
    blocks.extend(lines.iter().map(told).map(Block::Paragraph));
    blocks.push(Block::Paragraph(say(language, "held-how", &[])));
    blocks.push(Block::Items(commands.into()));
    blocks.push(about.closing(language));
    head.sheet(language, title, &blocks)
}

/// Tells the sender that the message was opened.
#[must_use]
pub fn opened(head: &Letterhead, language: Language, about: &About<'_>, at: Time) -> Sheet {
    let time = head.zone.moment(language, at.unix_ms());
    let text = say(language, "opened-text", &[("recipient", about.recipient), ("time", &time)]);
    about.fact(head, language, "opened", vec![text])
}

/// Tells the sender that nobody has opened the message yet.
#[must_use]
pub fn unopened(head: &Letterhead, language: Language, about: &About<'_>, until: Time) -> Sheet {
    let date = head.zone.day(language, until.unix_ms());
    let text = say(language, "unopened-text", &[("recipient", about.recipient), ("date", &date)]);
    about.fact(head, language, "unopened", vec![text])
}

/// Tells the sender that the time ran out unread.
#[must_use]
pub fn expired(head: &Letterhead, language: Language, about: &About<'_>) -> Sheet {
    about.fact(head, language, "expired", vec![say(language, "expired-text", &[("recipient", about.recipient)])])
}

/// Tells the sender that the message was taken back.
#[must_use]
pub fn recalled(head: &Letterhead, language: Language, about: &About<'_>) -> Sheet {
    about.fact(head, language, "recalled", vec![say(language, "recalled-text", &[("recipient", about.recipient)])])
}

/// Tells the sender that the notice came back.
#[must_use]
pub fn notice_failed(head: &Letterhead, language: Language, about: &About<'_>, reason: &str) -> Sheet {
    let text = vec![
        say(language, "notice-failed-text", &[("recipient", about.recipient)]),
        say(language, "notice-failed-reason", &[("reason", reason)]),
        say(language, "notice-failed-advice", &[]),
    ];
    about.fact(head, language, "notice-failed", text)
}

/// Tells the sender that sealed mail came back from where it was delivered.
#[must_use]
pub fn sealed_failed(head: &Letterhead, language: Language, about: &About<'_>, reason: &str) -> Sheet {
    let text = vec![
        say(language, "sealed-failed-text", &[("recipient", about.recipient)]),
        say(language, "notice-failed-reason", &[("reason", reason)]),
        say(language, "notice-failed-advice", &[]),
    ];
    about.fact(head, language, "sealed-failed", text)
}

/// What a status (RFC 3463 §3, RFC 7505 §6, RFC 8689 §5) means for the person who wrote; `None` where it says too little.
fn meaning_of(status: &str) -> Option<&'static str> {
    Some(match status.split_once('.').map_or("", |(_, subject_and_detail)| subject_and_detail) {
        "1.1" | "1.3" | "1.6" | "2.1" => "reason-no-such-address",
        "1.2" | "1.10" | "4.4" => "reason-no-such-domain",
        "2.2" => "reason-mailbox-full",
        "3.4" => "reason-too-large",
        "4.1" | "4.2" | "4.5" | "4.7" => "reason-no-reply",
        "4.3" => "reason-no-names",
        "6.3" | "6.7" => "reason-form",
        "7.5" | "7.10" | "7.30" => "reason-tls",
        _ => return None,
    })
}

/// Why a recipient was not served where nobody said a word about it, by the status that we gave it ourselves.
#[must_use]
pub fn reason_unsaid(language: Language, status: &str) -> String {
    say(language, meaning_of(status).unwrap_or("reason-not-handed-over"), &[])
}

/// What a status (RFC 3463 §3) means for the person who wrote, in our own words.
#[must_use]
pub fn reason_of(language: Language, status: &str) -> String {
    let text = meaning_of(status).unwrap_or("reason-refused");
    let is_status = status.len() <= STATUS_OCTETS && status.bytes().all(|o| o == b'.' || o.is_ascii_digit());
    let told = say(language, text, &[]);
    if is_status && !status.is_empty() { format!("{told} ({status})") } else { told }
}

/// Tells a person that an answer from the portal did not arrive.
#[must_use]
pub fn answer_lost(head: &Letterhead, language: Language) -> Sheet {
    let organisation = ("organisation", head.organisation.as_str());
    let mut blocks = vec![
        Block::Heading(say(language, "answer-lost-subject", &[])),
        Block::Paragraph(say(language, "answer-lost-text", &[organisation])),
        Block::Paragraph(say(language, "answer-lost-how", &[])),
    ];
    if let Some(contact) = &head.contact {
        blocks.push(Block::Small(say(language, "notice-questions", &[("contact", contact)])));
    }
    head.sheet(language, say(language, "answer-lost-subject", &[]), &blocks)
}

/// Tells the sender that somebody answered the notice by mail.
#[must_use]
pub fn notice_answered(head: &Letterhead, language: Language, about: &About<'_>) -> Sheet {
    let text = say(language, "notice-answered-text", &[("recipient", about.recipient)]);
    about.fact(head, language, "notice-answered", vec![text])
}

/// Tells somebody who answered a notice by mail how to answer safely.
#[must_use]
pub fn safe_answer(head: &Letterhead, language: Language) -> Sheet {
    let organisation = ("organisation", head.organisation.as_str());
    let mut blocks = vec![
        Block::Heading(say(language, "safe-answer-heading", &[])),
        Block::Paragraph(say(language, "safe-answer-text", &[organisation])),
        Block::Paragraph(say(language, "safe-answer-how", &[])),
    ];
    if let Some(url) = &head.website {
        blocks.push(Block::Link { label: say(language, "safe-answer-website", &[]), url: url.clone() });
    }
    if let Some(contact) = &head.contact {
        blocks.push(Block::Small(say(language, "notice-questions", &[("contact", contact)])));
    }
    head.sheet(language, say(language, "safe-answer-subject", &[]), &blocks)
}

/// The part of a delivery report that people read.
#[must_use]
pub fn report(
    head: &Letterhead,
    language: Language,
    about: &About<'_>,
    kind: ReportKind,
    lines: &[ReportLine],
) -> Sheet {
    let (name, date) = match kind {
        ReportKind::Failed => ("report-failed", String::new()),
        ReportKind::Delayed(until) => ("report-delayed", head.zone.moment(language, until.unix_ms())),
        ReportKind::Success => ("report-success", String::new()),
        ReportKind::Relayed => ("report-relayed", String::new()),
    };
    let items = lines
        .iter()
        .map(|line| say(language, "report-line", &[("recipient", &line.recipient), ("reason", &line.reason)]));
    let mut blocks = about.opening(language, &format!("{name}-subject-none"));
    blocks.push(Block::Paragraph(say(language, &format!("{name}-text"), &[("date", &date)])));
    blocks.push(Block::Items(items.collect()));
    blocks.push(about.closing(language));
    head.sheet(language, about.subject(language, name), &blocks)
}

/// Tells the postmaster what was taken from outside and could not be passed on, and that its sender was not told.
#[must_use]
pub fn not_passed_on(head: &Letterhead, language: Language, about: &About<'_>, lines: &[ReportLine]) -> Sheet {
    let items = lines
        .iter()
        .map(|line| say(language, "report-line", &[("recipient", &line.recipient), ("reason", &line.reason)]));
    let blocks = vec![
        Block::Heading(say(language, "not-passed-on-subject", &[])),
        Block::Paragraph(say(language, "not-passed-on-text", &[])),
        Block::Items(items.collect()),
        Block::Paragraph(say(language, "not-passed-on-why", &[])),
        about.closing(language),
    ];
    head.sheet(language, say(language, "not-passed-on-subject", &[]), &blocks)
}

#[cfg(test)]
mod tests {
    use crate::notify::letters::*;
    use crate::texts::Zone;

    fn head() -> Letterhead {
        Letterhead {
            organisation: "Sundby kommun".into(),
            language: Language::Sv,
            contact: Some("Kontaktcenter 0000-720 00".into()),
            website: Some("https://www.sundby.example/sakra-meddelanden".into()),
            zone: Zone::default(),
        }
    }

    fn facts() -> NoticeFacts {
        NoticeFacts {
            department: None,
            link: "https://sakra.sundby.example/m/abcdefghijklmnopqrstuvwxyz".into(),
            until: Time::from_unix_ms(1_782_907_200_000),
            providers: vec![("BankID".into(), Some("https://www.bankid.com/".into())), ("Freja".into(), None)],
        }
    }

    #[test]
    fn a_notice_has_one_link_with_a_token_and_says_what_it_must() {
        for language in Language::ALL {
            let sheet = notice(&head(), language, &facts());
            for told in [&sheet.text, &sheet.html] {
                assert_eq!(told.matches("/m/").count(), 1, "{told}");
                for must in [
                    "Sundby kommun",
                    "BankID, Freja",
                    "Kontaktcenter 0000-720 00",
                    "sakra-meddelanden",
                    "2026",
                    "https://www.bankid.com/",
                ] {
                    assert!(told.contains(must), "{must} is missing in {told}");
                }
            }
            assert!(sheet.subject.contains("Sundby kommun"));
        }
    }

    #[test]
    fn who_hears_of_held_mail_is_told_by_which_commands_it_is_decided() {
        let id = "01JD0000000000000000000000";
        let lines = [("berit@sundby.example".to_owned(), "scan: Found".to_owned())];
        for language in Language::ALL {
            let sheet = held(&head(), language, id, &lines);
            for command in [format!("show {id}"), format!("release {id}"), format!("drop {id} --notify")] {
                let command = format!("sealgate queue {command}");
                assert!(sheet.text.lines().any(|line| line.starts_with(&format!("- {command}:"))), "{}", sheet.text);
                assert!(sheet.html.contains(&command), "{}", sheet.html);
            }
            assert!(
                sheet.html.contains("berit@sundby.example") && sheet.html.contains("scan: Found"),
                "{}",
                sheet.html
            );
        }
    }

    #[test]
    fn a_status_is_told_in_our_own_words() {
        let told = |status| reason_of(Language::En, status);
        assert_eq!(told("5.1.1"), "there is no such address (5.1.1)");
        assert_eq!(told("4.2.2"), "the mailbox is full (4.2.2)");
        for forged in ["", "log in at https://forged.example/", "5.7.1 call us", "5.7.1234567890"] {
            assert_eq!(told(forged), "the recipient's mail server did not take the notice");
        }
    }

    #[test]
    fn what_nobody_said_is_told_by_what_it_was() {
        for (statuses, wanted) in [
            (&["4.7.5", "4.7.10", "5.7.10", "5.7.30"][..], "no verified encrypted connection"),
            (&["4.4.1", "4.4.2", "4.4.5"], "does not answer"),
            (&["4.4.3"], "name servers"),
            (&["5.1.2", "5.1.10", "5.4.4"], "takes no mail"),
            (&["5.3.4"], "larger"),
            (&["5.6.3", "5.6.7"], "in this form"),
            (&["4.3.0", "4.5.0", "5.4.6", "5.6.0", ""], "could not be handed over"),
        ] {
            for status in statuses {
                let told = reason_unsaid(Language::En, status);
                assert!(told.contains(wanted), "{status}: {told}");
            }
        }
    }

    #[test]
    fn no_letter_shows_an_id_of_a_text_instead_of_the_text() {
        let (head, at) = (head(), Time::from_unix_ms(1_782_907_200_000));
        let about = About { subject: "Bygglov", id: "01JD", recipient: "eva@live.example" };
        let bare = About { subject: "", ..about };
        let lines = [
            ReceiptLine::Pickup { recipient: "a@b.example".into(), until: at },
            ReceiptLine::Held { recipient: "a@b.example".into(), reason: "r".into() },
            ReceiptLine::Refused { recipient: "a@b.example".into(), reason: "r".into() },
        ];
        let report_lines = [ReportLine { recipient: "a@b.example".into(), reason: "r".into() }];
        for language in Language::ALL {
            for about in [about, bare] {
                let sheets = [
                    notice(&head, language, &NoticeFacts { department: Some("Bygg".into()), ..facts() }),
                    receipt(&head, language, &about, &lines, Some("bygg@sundby.example")),
                    opened(&head, language, &about, at),
                    unopened(&head, language, &about, at),
                    expired(&head, language, &about),
                    recalled(&head, language, &about),
                    notice_failed(&head, language, &about, "550"),
                    notice_answered(&head, language, &about),
                    safe_answer(&head, language),
                    answer_lost(&head, language),
                    report(&head, language, &about, ReportKind::Failed, &report_lines),
                    report(&head, language, &about, ReportKind::Delayed(at), &report_lines),
                    report(&head, language, &about, ReportKind::Success, &report_lines),
                    report(&head, language, &about, ReportKind::Relayed, &report_lines),
                ];
                for sheet in sheets {
                    for kind in [
                        "notice-",
                        "receipt-",
                        "opened-",
                        "unopened-",
                        "expired-",
                        "recalled-",
                        "safe-",
                        "answer-",
                        "report-",
                        "{ $",
                    ] {
                        let told = sheet.text.replace("sakra-", "");
                        assert!(!told.contains(kind) && !sheet.subject.contains(kind), "{kind} in {told}");
                    }
                }
            }
        }
    }
}
