//! The judge: facts in, protection per recipient out, with the rule's name. Pure.

use crate::mail::Address;
use crate::policy::directive::{Directives, number_address, parse_directives, words_of_strangers};
use crate::policy::error::Refusal;
use crate::policy::facts::Facts;
use crate::policy::protection::Protection;
use crate::policy::rule::{Rule, Rules};
use crate::policy::verdict::{Place, RecipientVerdict, Verdict};

/// The name under which the built-in rule for secure threads is shown.
const THREAD: &str = "thread";
/// The name under which what a sender asked for is shown.
const DIRECTIVE: &str = "directive";
/// The name shown where no rule asks anything.
const NONE: &str = "none";

/// Judges a message.
///
/// # Errors
/// The refusal, if every recipient is refused or a directive cannot be followed: the answer to the final dot.
pub fn judge(rules: &Rules, facts: &Facts) -> Result<Verdict, Refusal> {
    let asked = if facts.sender.mailbox().is_some_and(|sender| !rules.is_from_inside(sender)) {
        // What a stranger wrote and somebody forwards: none of it is a wish of ours.
        words_of_strangers(&facts.header, &rules.tags())
    } else {
        parse_directives(&facts.header, &rules.tags(), &rules.departments, facts.plain_sender().as_ref(), facts.year)?
    };
    let outside = facts
        .recipients
        .iter()
        .filter(|address| matches!(rules.place(address), Place::Outside | Place::Number))
        .count();
    if outside > 1 && (asked.number.is_some() || asked.sms.is_some()) {
        let text =
            "a national number or phone number names one person: send the message to one outside recipient at a time";
        return Err(Refusal { status: "5.7.1", text: text.to_owned(), rule: DIRECTIVE.to_owned() });
    }
    let lifted = lifted(rules, facts);
    let mut recipients: Vec<RecipientVerdict> =
        facts.recipients.iter().map(|address| recipient(rules, facts, &asked, &lifted, address)).collect();
    if recipients.iter().any(|verdict| verdict.place == Place::Number) {
        // It stands in the message's own `To`, for everybody else who gets the message to read.
        for verdict in recipients.iter_mut().filter(|verdict| verdict.place == Place::Outside) {
            raise(verdict, Protection::Secure, DIRECTIVE, "another recipient's address is a national number");
        }
    }
    if !recipients.is_empty() && recipients.iter().all(|recipient| recipient.protection == Protection::Refuse) {
        let (rule, text) =
            recipients.into_iter().find_map(|recipient| Some((recipient.rule, recipient.refusal?))).unwrap_or_default();
        return Err(Refusal { status: "5.7.1", text, rule });
    }
    let by_rule = || {
        facts.recipients.iter().find_map(|address| first(rules, facts, &lifted, address, |rule| rule.reply_to.clone()))
    };
    Ok(Verdict {
        return_to: asked.reply_to.clone().or_else(by_rule),
        remember_return: asked.remember,
        sms: asked.sms,
        removals: asked.removals,
        lifted,
        recipients,
    })
}

impl Rules {
    /// Whether somebody of ours sends it; not whom our mail server speaks for by SRS.
    #[must_use]
    pub fn is_from_inside(&self, sender: &Address) -> bool {
        self.inside.contains(sender.domain()) && self.inside.contains(sender.untagged().domain())
    }

    /// Where a recipient is.
    #[must_use]
    pub fn place(&self, address: &Address) -> Place {
        if self.hostname == *address.domain() {
            Place::Service
        } else if self.number_domains.contains_key(address.domain()) {
            Place::Number
        } else if self.inside.contains(address.domain()) {
            Place::Inside
        } else {
            Place::Outside
        }
    }
}

/// The rules a sender lifted: those named by a grant whose own conditions hold and whose tag stands in the subject. Only who
/// is of ours can: forwarded mail has its subject from a stranger.
fn lifted(rules: &Rules, facts: &Facts) -> Vec<String> {
    if !facts.sender.mailbox().is_some_and(|sender| rules.is_from_inside(sender)) {
        return Vec::new();
    }
    let granted = rules.rules.iter().filter_map(|rule| {
        let grant = rule.grants.as_ref()?;
        let tagged = crate::mail::find_folded(&facts.subject.text, &grant.tag).is_some();
        // What cannot be read lifts nothing.
        let allowed = facts.recipients.iter().all(|address| matches_rule(rule, facts, address, false));
        (tagged && allowed).then_some(grant.lifts.iter().cloned())
    });
    granted.flatten().collect()
}

fn matches_rule(rule: &Rule, facts: &Facts, address: &Address, when_unknown: bool) -> bool {
    rule.conditions.iter().all(|condition| condition.holds(facts, address, when_unknown))
}

/// The rules that match and are not lifted.
fn matching<'r>(
    rules: &'r Rules,
    facts: &'r Facts,
    lifted: &'r [String],
    address: &'r Address,
) -> impl Iterator<Item = &'r Rule> {
    rules.rules.iter().filter(move |rule| !lifted.contains(&rule.name) && matches_rule(rule, facts, address, true))
}

/// What the first matching rule that sets it says.
fn first<T>(
    rules: &Rules,
    facts: &Facts,
    lifted: &[String],
    address: &Address,
    get: impl Fn(&Rule) -> Option<T>,
) -> Option<T> {
    matching(rules, facts, lifted, address).find_map(get)
}

fn recipient(
    rules: &Rules,
    facts: &Facts,
    asked: &Directives,
    lifted: &[String],
    address: &Address,
) -> RecipientVerdict {
    let place = rules.place(address);
    let mut verdict = RecipientVerdict {
        address: address.clone(),
        place,
        protection: Protection::Plain,
        rule: NONE.to_owned(),
        reasons: Vec::new(),
        refusal: None,
        below_hold: None,
        number: None,
        retention: None,
        channels: rules.channels.clone(),
    };
    if place == Place::Inside {
        verdict.reasons.push("the recipient is inside the organisation".to_owned());
        return verdict;
    }
    if place == Place::Service {
        verdict.reasons.push("a service address of this gateway".to_owned());
    }
    verdict.number = asked.number.clone();
    if place == Place::Number {
        match number_address(address, &rules.number_domains, facts.year) {
            Ok(number) => {
                verdict.number = number;
                raise(&mut verdict, Protection::Secure, DIRECTIVE, "the address is a national number");
            }
            Err(refusal) => {
                verdict.refusal = Some(refusal.text);
                raise(&mut verdict, Protection::Refuse, DIRECTIVE, "the address is no valid national number");
            }
        }
    }
    if facts.in_thread {
        raise(&mut verdict, Protection::Secure, THREAD, "the message stands in a secure thread");
    }
    if asked.ask_for_protection() {
        raise(&mut verdict, Protection::Secure, DIRECTIVE, "the sender asked for it by a directive");
    }
    for rule in matching(rules, facts, lifted, address) {
        if let Some(protect) = rule.protect {
            raise(&mut verdict, protect, &rule.name, &why(rule, facts, address));
            if protect == Protection::Refuse && verdict.refusal.is_none() {
                let text = rule.text.clone();
                verdict.refusal = Some(text.unwrap_or_else(|| format!("refused by the rule \"{}\"", rule.name)));
            }
        }
    }
    for name in lifted {
        verdict.reasons.push(format!("the rule \"{name}\" was lifted by a grant"));
    }
    let by_rule = first(rules, facts, lifted, address, |rule| rule.retention);
    verdict.retention = asked.retention.or(by_rule);
    if let Some(channels) = first(rules, facts, lifted, address, |rule| rule.channels.clone()) {
        verdict.channels = channels;
    }
    verdict
}

/// Why a rule matches; one that matches only because something cannot be read says so.
fn why(rule: &Rule, facts: &Facts, address: &Address) -> String {
    if matches_rule(rule, facts, address, false) {
        return format!("the rule \"{}\" matches", rule.name);
    }
    let what = facts.unreadable.as_deref().unwrap_or("the header");
    format!("the rule \"{}\" may match: {what} cannot be read", rule.name)
}

/// Raises the protection if this is stronger. What a hold covers is remembered, for when it is lifted.
fn raise(verdict: &mut RecipientVerdict, protection: Protection, rule: &str, reason: &str) {
    verdict.reasons.push(reason.to_owned());
    let below = |verdict: &RecipientVerdict| Some(Box::new((verdict.protection, verdict.rule.clone())));
    if protection > verdict.protection || verdict.rule == NONE {
        if protection == Protection::Hold {
            verdict.below_hold = below(verdict);
        }
        verdict.protection = protection;
        verdict.rule = rule.to_owned();
    } else if verdict.protection == Protection::Hold && protection < Protection::Hold {
        // Weaker than the hold, but perhaps stronger than what was below it so far.
        if verdict.below_hold.as_ref().is_none_or(|below| below.0 < protection || below.1 == NONE) {
            verdict.below_hold = Some(Box::new((protection, rule.to_owned())));
        }
    }
}
