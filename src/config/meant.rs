//! What can be read and can hardly mean what is written: patterns that fit something else or nothing, rules that nothing
//! comes to.

use crate::config::sections::{Condition, ProtectionName};
use crate::config::settings::Settings;
use crate::fault::Reader;

/// Warns of what will not do what its writer has in mind; what can never match is a fault.
pub(crate) fn check_meaning(settings: &Settings, reader: &mut Reader) {
    for rule in &settings.rule {
        if let Some(condition) = &rule.r#if {
            check_patterns(condition, reader);
        }
        if let Some(grants) = &rule.grants {
            check_tag(&grants.tag, &grants.place.of("tag"), reader);
        }
    }
    check_door(settings, reader);
    check_verified_tls(settings, reader);
}

fn check_patterns(condition: &Condition, reader: &mut Reader) {
    let key = |name| condition.place.of(name);
    for tag in &condition.subject_tag {
        check_tag(tag, &key("subject_tag"), reader);
    }
    for media_type in condition.media_type.iter().filter(|text| !text.contains(['/', '*', '?'])) {
        let hint = "write type and subtype such as \"text/calendar\", or \"text/*\"";
        reader.fault(
            &key("media_type"),
            format!("this can never match, for a media type has a slash: {media_type:?}"),
            hint,
        );
    }
    for pattern in condition.attachment.iter().filter(|text| text.contains(['[', '{'])) {
        reader.warning(
            &key("attachment"),
            format!("fits only names with these brackets in them: {pattern:?}"),
            "* and ? are the only characters that stand for others; write a list of patterns for more",
        );
    }
    for inner in condition.any.iter().chain(&condition.all).chain(&condition.not) {
        check_patterns(inner, reader);
    }
}

/// A tag is found wherever it stands in a subject, and removed there: without brackets also within a word.
fn check_tag(tag: &str, key: &str, reader: &mut Reader) {
    let tag = tag.trim();
    if !(tag.starts_with('[') && tag.ends_with(']')) {
        let word = tag.trim_matches(['[', ']']);
        reader.warning(
            key,
            format!("not a word in brackets: {tag:?}"),
            format!("write \"[{word}]\": as it stands it is found in ordinary subjects, and cut out of them"),
        );
    }
}

/// Where neither door is open, that is told already.
fn check_door(settings: &Settings, reader: &mut Reader) {
    let is_open = settings.smtpd.outbound.is_some() || reader.is_faulty("smtpd");
    if let Some(rule) = settings.rule.first().filter(|_| !is_open && settings.smtpd.inbound.is_some()) {
        reader.warning(
            &rule.place.key,
            "no mail comes to the rules: they judge what enters at the outbound door",
            "write [smtpd.outbound] with `listen`",
        );
    }
}

/// As `policy::serve` decides: without such a smarthost or route, no way out is known to be verified.
fn check_verified_tls(settings: &Settings, reader: &mut Reader) {
    let verified = settings.delivery.verifies_tls();
    if verified.usually || verified.of.iter().any(|(_, verifies)| *verifies) {
        return;
    }
    if reader.is_faulty("delivery") {
        return;
    }
    for rule in settings.rule.iter().filter(|rule| rule.protect == Some(ProtectionName::Tls)) {
        reader.warning(
            &rule.place.of("protect"),
            "nobody vouches for TLS: what this rule matches waits, and comes back after queue.maximal_lifetime",
            "write `smarthost_enforces_tls = true` in [delivery] if the smarthost does, a [[delivery.route]] with `tls = \"verified\"`, or `protect = \"secure\"`",
        );
    }
}
