//! What it takes to be a setting.

use std::fmt::Display;
use std::str::FromStr;

use toml::de::DeValue;

use crate::fault::key::Keys;
use crate::fault::reader::{At, Value};

/// A type whose values are settings.
pub trait Setting: Sized {
    /// What may stand there, in words that follow "write": `a size such as "100 MiB"`.
    fn form() -> String;

    /// Reads the value, or reports at its place why it cannot.
    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self>;

    /// The value as TOML, secrets masked; `None` if there is nothing to show.
    fn show(&self) -> Option<toml::Value>;

    /// What it is when nothing is written and nothing was declared for that case; `None` if it must be written.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }

    /// Something to go on with where this setting must be written and is not, or is wrong, so that all else is still
    /// looked at. A fault has been reported then, and what was read is never used.
    #[must_use]
    fn stand_in() -> Option<Self> {
        None
    }

    /// The settings below, if it is a section, or several of one kind.
    #[must_use]
    fn keys() -> Option<Keys> {
        None
    }
}

/// A setting that is one text. If there is a secret in it, its `Display` must not tell it.
pub trait TextSetting: FromStr<Err: Display> + Display {
    /// What may stand there, in words that follow "write".
    const FORM: &'static str;
    /// Whether the text must not be repeated in a fault: it is or may hold a secret.
    const SECRET: bool = false;
    /// A text to go on with, if some can do no harm ([`Setting::stand_in`]).
    const STAND_IN: Option<&'static str> = None;
}

/// The text is none of the words a setting knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word known here")]
pub struct UnknownWord;

impl<T: TextSetting> Setting for T {
    fn form() -> String {
        T::FORM.to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let DeValue::String(text) = value else {
            at.wrong_kind(value, T::FORM);
            return None;
        };
        text.parse().inspect_err(|fault| at.fault(refusal::<T>(fault, text), format!("write {}", T::FORM))).ok()
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }

    fn stand_in() -> Option<Self> {
        T::STAND_IN.and_then(|text| text.parse().ok())
    }
}

fn refusal<T: TextSetting>(fault: &T::Err, text: &str) -> String {
    if T::SECRET {
        return fault.to_string();
    }
    let text = without_login(text);
    let short: String = text.chars().take(80).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{fault}: {short:?}{dots}")
}

/// Someone may have written a password into an address: `smtp://me:hush@host` becomes `smtp://…@host`.
fn without_login(text: &str) -> String {
    match text.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://…@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::fault::reader::Reader;
    use crate::fault::url::Url;
    use std::collections::BTreeMap;

    #[test]
    fn a_login_in_an_address_is_not_repeated() {
        let text = "url = \"postgres://me:hush@db.example:0/rows\"";
        let mut reader = Reader::new("a.toml", text);
        let _: Option<BTreeMap<crate::mail::Domain, Url>> = reader.read(text);
        let told = reader.into_faults().to_string();
        assert!(told.contains("postgres://…@db.example:0/rows") && !told.contains("hush"), "{told}");
    }
}
