//! The checks of rules and rule tests: every name named exists, every condition is one.

use std::collections::BTreeSet;

use crate::config::check::report_twins;
use crate::config::sections::{Condition, Rule};
use crate::config::settings::Settings;
use crate::fault::{Reader, nearest};

/// Names that were read. Those of what could not be read are missing, and must not be missed.
struct Known<'s> {
    rules: Option<Vec<&'s str>>,
    departments: Option<Vec<&'s str>>,
    providers: Option<Vec<&'s str>>,
}

/// Names of rules that are built in.
const BUILT_IN: [&str; 1] = ["thread"];

/// Reports what is wrong with rules and rule tests.
pub(crate) fn check_rules(settings: &Settings, reader: &mut Reader) {
    let rules = &settings.rule;
    let known = known(settings, reader);
    report_twins(reader, rules.iter().map(|rule| (rule.name.as_str(), rule.place.of("name"))));
    for rule in rules {
        check_rule(settings, &known, rule, reader);
        if let Some(condition) = &rule.r#if {
            check_condition(condition, true, reader);
        }
    }
    for expect in &settings.expect {
        if let Some(name) = &expect.rule {
            check_name("rule", known.rules.as_deref(), name, &expect.place.of("rule"), reader);
        }
    }
    let channels = &settings.policy.channels;
    if channels.is_empty() || channels.iter().collect::<BTreeSet<_>>().len() < channels.len() {
        let cause = if channels.is_empty() { "no channel is left" } else { "a channel stands twice" };
        reader.fault(
            "policy.channels",
            cause,
            "name each of \"tunnel\", \"personal\", \"pickup\" at most once, and one at least",
        );
    }
}

fn check_rule(settings: &Settings, known: &Known<'_>, rule: &Rule, reader: &mut Reader) {
    let key = |name| rule.place.of(name);
    if BUILT_IN.contains(&rule.name.as_str()) {
        reader.fault(&key("name"), format!("{:?} is the name of a built-in rule", rule.name), "choose another name");
    }
    if let Some(department) = &rule.reply_to {
        check_name("department", known.departments.as_deref(), department, &key("reply_to"), reader);
    }
    let longest = settings.portal.as_ref().map(|portal| portal.retention);
    if rule.retention.zip(longest).is_some_and(|(asked, longest)| asked > longest) {
        reader.fault(
            &key("retention"),
            "longer than portal.retention",
            "a rule can only shorten how long a message can be read",
        );
    }
    for provider in &rule.login {
        check_name("e-ID provider", known.providers.as_deref(), provider, &key("login"), reader);
    }
    if let Some(grants) = &rule.grants {
        for name in &grants.lifts {
            check_name("rule", known.rules.as_deref(), name, &grants.place.of("lifts"), reader);
        }
        if rule.r#if.is_none() {
            reader.warning(
                &key("grants"),
                "whoever sends mail may lift these rules",
                "write `if`, so that only some may",
            );
        }
    }
    if does_nothing(rule) {
        reader.warning(&rule.place.key, "the rule asks for nothing", "write `protect`, or what else it is for");
    }
}

fn does_nothing(rule: &Rule) -> bool {
    rule.protect.is_none()
        && rule.retention.is_none()
        && rule.reply_to.is_none()
        && rule.copy_to.is_empty()
        && rule.login.is_empty()
        && rule.channels.is_empty()
        && rule.template.is_none()
        && rule.grants.is_none()
}

fn known<'s>(settings: &'s Settings, reader: &Reader) -> Known<'s> {
    let rules = settings.rule.iter().map(|rule| rule.name.as_str()).chain(BUILT_IN);
    let departments = settings.department.iter().map(|department| department.id.as_str());
    let providers = settings.identity.provider.iter().map(|provider| provider.id.as_str());
    Known {
        rules: (!reader.is_faulty("rule")).then(|| rules.collect()),
        departments: (!reader.is_faulty("department")).then(|| departments.collect()),
        providers: (!reader.is_faulty("identity")).then(|| providers.collect()),
    }
}

fn check_name(kind: &str, known: Option<&[&str]>, name: &str, key: &str, reader: &mut Reader) {
    let Some(known) = known.filter(|known| !known.iter().any(|each| each.eq_ignore_ascii_case(name))) else {
        return;
    };
    let hint = match nearest(name, known.iter().copied()) {
        Some(word) => format!("did you mean {word:?}?"),
        None => one_of(known),
    };
    reader.fault(key, format!("there is no {kind} of this name: {name:?}"), hint);
}

/// What could be named instead: each once, in the order of the file.
fn one_of(known: &[&str]) -> String {
    let mut told: Vec<&str> = Vec::new();
    for name in known {
        if !told.iter().any(|each| each.eq_ignore_ascii_case(name)) {
            told.push(name);
        }
    }
    match told.as_slice() {
        [] => "there is none: write one first".to_owned(),
        [only] => format!("the only one is \"{only}\""),
        several => format!("there are \"{}\"", several.join("\", \"")),
    }
}

/// A condition says one thing, or puts others together. The one that stands at `if` may also say nothing.
fn check_condition(condition: &Condition, outermost: bool, reader: &mut Reader) {
    let key = &condition.place.key;
    let kinds = kinds(condition);
    let grouped = !(condition.any.is_empty() && condition.all.is_empty() && condition.not.is_empty());
    if kinds.len() > 1 || (grouped && !kinds.is_empty()) {
        let named = kinds.join(", ");
        reader.fault(
            key,
            format!("more than one condition in one: {named}"),
            "write `all = [{ … }, { … }]`, each condition in its own braces",
        );
    }
    if kinds.is_empty() && !grouped && !outermost && !reader.is_faulty(key) {
        reader.fault(
            key,
            "the condition is empty",
            "write one of the conditions, such as { subject_tag = \"[sikker]\" }",
        );
    }
    if condition.header.is_none() && !(condition.is.is_empty() && condition.matches.is_empty()) {
        reader.fault(key, "`is` or `matches` without `header`", "write { header = \"Name\", is = [\"…\"] }");
    }
    for inner in condition.any.iter().chain(&condition.all).chain(&condition.not) {
        check_condition(inner, false, reader);
    }
}

fn kinds(condition: &Condition) -> Vec<&'static str> {
    let given = [
        ("subject_tag", !condition.subject_tag.is_empty()),
        ("subject", !condition.subject.is_empty()),
        ("header", condition.header.is_some()),
        ("sensitivity", !condition.sensitivity.is_empty()),
        ("label", !condition.label.is_empty()),
        ("from", !condition.from.is_empty()),
        ("from_domain", !condition.from_domain.is_empty()),
        ("to", !condition.to.is_empty()),
        ("to_domain", !condition.to_domain.is_empty()),
        ("size_over", condition.size_over.is_some()),
        ("attachment", !condition.attachment.is_empty()),
        ("media_type", !condition.media_type.is_empty()),
        ("contains", !condition.contains.is_empty()),
    ];
    given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}
