//! What would happen to a message, without doing it: `explain`, and the rule tests of `check`.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use crate::config::{Files, Forwarded, Settings};
use crate::daemon::bind::{flow_settings, numbers, rules};
use crate::daemon::way::way;
use crate::fault::{Fault, Severity, told};
use crate::flow::author as author_in;
use crate::mail::{Address, ReversePath, without};
use crate::net::Clock;
use crate::policy::{Explanation, Facts, Place, Protection, Reach, Reader, Refusal, Rules, Sealables, judge, serve};

/// Octets of a message that is explained.
const MESSAGE_OCTETS: u64 = 256 << 20;

/// Explains what would happen to a message, per recipient, with what is known about each one's certificates. A secure thread
/// and remembered return mailboxes are known to the daemon alone: they are not looked up here.
///
/// # Errors
/// The rules cannot be used.
pub fn explain(
    settings: &Settings,
    from: &ReversePath,
    to: &[Address],
    message: &[u8],
    sealables: &[Sealables],
) -> anyhow::Result<Explanation> {
    let rules = Arc::new(rules(settings)?);
    let facts = facts(settings, &rules, from, to, message);
    let reach = Reach {
        verifies_tls: settings.delivery.verifies_tls(),
        pickup: settings.portal.is_some(),
        numbers: numbers(settings),
        refuse_unreachable: settings.policy.unreachable == crate::config::Unreachable::Refuse,
        sealables: sealables.to_vec(),
    };
    let verdict = match admit_sender(settings, from).and_then(|()| judge(&rules, &facts)) {
        Ok(verdict) => verdict,
        Err(refusal) => return Ok(Explanation::refused(to, &facts.subject.text, &refusal)),
    };
    let department =
        verdict.return_to().map(str::to_owned).or_else(|| settings.default_department().map(|d| d.id.to_lowercase()));
    let by_id = department.and_then(|id| settings.department.iter().find(|d| d.id.to_lowercase() == id));
    let sender = from.mailbox().filter(|sender| rules.is_from_inside(sender)).map(Address::untagged);
    let mailbox = by_id.map(|d| d.address.to_string()).or_else(|| sender.map(|sender| sender.to_string()));
    let subject = without(&facts.subject.text, &verdict.removals().subject_tags);
    let treatments = serve(&verdict, &reach);
    let explanation = Explanation::of(&verdict, &treatments, mailbox.as_deref(), &subject);
    let explanation = explanation.with_certificates(&treatments, sealables);
    Ok(explanation
        .with_ways(&verdict, &treatments, |recipient, is_strict| way(&settings.delivery, recipient, is_strict)))
}

/// In whose name a message would be signed, by what [`explain`] is told of it.
///
/// # Errors
/// The rules cannot be used.
pub fn author_of(settings: &Settings, from: &ReversePath, message: &[u8]) -> anyhow::Result<Option<Address>> {
    let facts = facts(settings, &Arc::new(rules(settings)?), from, &[], message);
    let author = facts.header.addresses("From").into_iter().next().map(|(_, address)| address);
    Ok(author_in(&flow_settings(settings)?, from, author.as_ref()))
}

/// The outbound door asks this before any rule is asked, in the same words (`flow::House`).
fn admit_sender(settings: &Settings, from: &ReversePath) -> Result<(), Refusal> {
    let forwards = settings.smtpd.outbound.as_ref().is_some_and(|door| door.forwarded == Forwarded::Srs);
    match from.mailbox().map(Address::domain).filter(|domain| !settings.organisation.domains.contains(domain)) {
        None => Ok(()),
        Some(domain) if forwards && *domain != settings.hostname => Ok(()),
        Some(domain) => Err(Refusal {
            status: "5.7.1",
            text: format!("senders of {domain} are not ours"),
            rule: "smtpd.outbound".to_owned(),
        }),
    }
}

fn facts(settings: &Settings, rules: &Arc<Rules>, from: &ReversePath, to: &[Address], message: &[u8]) -> Facts {
    let year = year(&Clock::System);
    let mut reader = Reader::new(Arc::clone(rules), year);
    reader.push(message);
    let read = reader.finish();
    Facts {
        sender: from.clone(),
        recipients: to.to_vec(),
        subject: read.header.subject(),
        header: read.header,
        size: message.len() as u64,
        attachments: read.attachments,
        has_more_attachments: read.has_more_attachments,
        media_types: read.media_types,
        found: read.found,
        unreadable: read.unreadable,
        unknown_matches: settings.policy.unknown == crate::config::Unknown::Match,
        in_thread: to
            .iter()
            .any(|address| rules.place(address) == Place::Service && address.local().as_str().starts_with("thread+")),
        year,
    }
}

fn year(clock: &Clock) -> u16 {
    clock.now().rfc3339().get(..4).and_then(|year| year.parse().ok()).unwrap_or(2000)
}

/// Runs every rule test of the configuration: what does not come out as expected is a fault.
#[must_use]
pub fn run_expectations(file: &str, settings: &Settings, files: Files) -> Vec<Fault> {
    let mut faults = Vec::new();
    if matches!(files, Files::Skip) && settings.expect.iter().any(|expect| !expect.message.path.exists()) {
        return faults; // --no-files: the messages are files too
    }
    for expect in &settings.expect {
        if let Err(cause) = expectation(settings, expect) {
            let hint = format!(
                "`sealgate explain --from {} --to {} {}` tells why",
                expect.from, expect.to, expect.message.written
            );
            faults.push(Fault {
                file: file.to_owned(),
                line: expect.place.line,
                key: expect.place.key.clone(),
                cause: format!("{cause:#}"),
                hint,
                severity: Severity::Fault,
            });
        }
    }
    faults
}

fn expectation(settings: &Settings, expect: &crate::config::Expect) -> anyhow::Result<()> {
    let message = read_message(&expect.message.path)?;
    let from = ReversePath::Mailbox(expect.from.clone());
    let explanation = explain(settings, &from, std::slice::from_ref(&expect.to), &message, &[])?;
    let explained = explanation.recipients.first().context("no recipient")?;
    let wanted: Protection = expect.protection.to_string().parse()?;
    anyhow::ensure!(
        explained.protection == wanted,
        "{} to {} is {} by the rule \"{}\", not {wanted}",
        expect.message.written,
        expect.to,
        explained.protection,
        explained.rule
    );
    if let Some(rule) = &expect.rule {
        anyhow::ensure!(explained.rule == *rule, "the rule \"{}\" decided, not \"{rule}\"", explained.rule);
    }
    Ok(())
}

/// A message from a file, within bounds.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read_message(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(|fault| anyhow!(told(path, &fault)))?;
    read_message_from(file, path)
}

/// A message from an open file or standard input, within bounds; `name` is what it is called.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read_message_from(source: impl Read, name: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let mut message = Vec::new();
    let read = source.take(MESSAGE_OCTETS + 1).read_to_end(&mut message);
    read.map_err(|fault| anyhow!(told(name, &fault)))?;
    anyhow::ensure!(message.len() as u64 <= MESSAGE_OCTETS, "{}: larger than {MESSAGE_OCTETS} octets", name.display());
    Ok(message)
}
