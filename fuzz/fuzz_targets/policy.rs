//! Any message can be read and judged; adding the strongest rule never weakens a verdict.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sealgate::mail::ReversePath;
use sealgate::policy::{Condition, Facts, Protection, Reader, Rule, Rules, RulesBuilder, judge};

fn rules(with_hold: bool) -> Arc<Rules> {
    let mut builder = RulesBuilder::new(vec!["sundby.example".parse().expect("a domain")], "gw.sundby.example".parse().expect("a domain"));
    let search = builder.search("se-personnummer".parse().expect("a number type"));
    builder.rule(Rule {
        conditions: vec![Condition::Any(vec![Condition::SubjectTag(vec!["[sikker]".into()]), Condition::Contains(vec![search])])],
        protect: Some(Protection::Secure),
        ..Rule::named("secure")
    });
    if with_hold {
        builder.rule(Rule { protect: Some(Protection::Hold), ..Rule::named("hold") });
    }
    Arc::new(builder.build().expect("sound rules"))
}

fuzz_target!(|message: &[u8]| {
    let mut protections = Vec::new();
    for rules in [rules(false), rules(true)] {
        let mut reader = Reader::new(Arc::clone(&rules), 2026);
        reader.push(message);
        let read = reader.finish();
        let facts = Facts {
            sender: ReversePath::Mailbox("anna@sundby.example".parse().expect("an address")),
            recipients: vec!["eva@live.example".parse().expect("an address")],
            subject: read.header.subject(),
            header: read.header,
            size: message.len() as u64,
            attachments: read.attachments,
            has_more_attachments: read.has_more_attachments,
            media_types: read.media_types,
            found: read.found,
            unreadable: read.unreadable,
            unknown_matches: true,
            in_thread: false,
            year: 2026,
        };
        protections.push(judge(&rules, &facts).map(|verdict| verdict.recipients()[0].protection));
    }
    if let [Ok(weaker), Ok(stronger)] = protections.as_slice() {
        assert!(weaker <= stronger);
    }
});
