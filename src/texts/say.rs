//! Looks a text up and puts its words in.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

use crate::texts::language::Language;

/// The words that go into a text, by name.
pub type Words<'w> = &'w [(&'w str, &'w str)];

type Bundle = FluentBundle<FluentResource>;

static SV: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::Sv, include_str!("../../templates/texts/sv.ftl")));
static DA: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::Da, include_str!("../../templates/texts/da.ftl")));
static EN: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::En, include_str!("../../templates/texts/en.ftl")));

/// The text with this id (`id` or `id.attribute`), with the words put in. Every id stands in every language (a test
/// sees to it); one that does not exist is shown as itself.
#[must_use]
pub fn say(language: Language, id: &str, words: Words<'_>) -> String {
    let bundle = match language {
        Language::Sv => &*SV,
        Language::Da => &*DA,
        Language::En => &*EN,
    };
    let mut args = FluentArgs::new();
    for (name, word) in words {
        // Only a count is a number to fluent: a phone number must keep its zeros.
        match word.parse::<u32>() {
            Ok(number) if *name == "count" => args.set(*name, number),
            Ok(_) | Err(_) => args.set(*name, *word),
        }
    }
    let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) else {
        return id.to_owned();
    };
    bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
}

/// A file of texts is part of the program; what cannot be parsed in it is left out, and the test of all texts fails.
fn bundle(language: Language, source: &str) -> Bundle {
    let tag: LanguageIdentifier = language.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // Direction marks around words would stand in mail and PDF as strange characters.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(partial, _)| partial);
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::texts::say::*;

    fn messages(source: &str) -> BTreeMap<String, BTreeSet<String>> {
        FluentResource::try_new(source.to_owned()).expect("every text parses");
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut current = String::new();
        for line in source.lines() {
            if let Some((id, _)) =
                line.split_once(" =").filter(|(id, _)| !id.is_empty() && !id.starts_with([' ', '#', '-']))
            {
                current = id.to_owned();
                assert!(found.insert(current.clone(), BTreeSet::new()).is_none(), "{id} stands twice");
            }
            for (place, _) in line.match_indices("{ $") {
                let name: String =
                    line[place + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect();
                found.entry(current.clone()).or_default().insert(name);
            }
        }
        found
    }

    #[test]
    fn every_text_stands_in_every_language_with_the_same_words() {
        let sv = messages(include_str!("../../templates/texts/sv.ftl"));
        for (tag, source) in
            [("da", include_str!("../../templates/texts/da.ftl")), ("en", include_str!("../../templates/texts/en.ftl"))]
        {
            let other = messages(source);
            for (id, words) in &sv {
                assert_eq!(Some(words), other.get(id), "{id} in {tag}");
            }
            for id in other.keys() {
                assert!(sv.contains_key(id), "{id} stands in {tag} alone");
            }
        }
    }

    #[test]
    fn words_are_put_in_without_marks_around_them() {
        let text = say(Language::Sv, "notice-subject", &[("organisation", "Sundby kommun")]);
        assert!(text.contains("från Sundby kommun"), "{text}");
        assert!(text.is_char_boundary(0) && !text.contains('\u{2068}'));
    }
}
