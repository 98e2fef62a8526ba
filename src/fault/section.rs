//! A table whose settings are taken one by one, as they were declared.

use toml::de::{DeTable, DeValue};

use crate::fault::found::Severity;
use crate::fault::key::{Keys, plain_name};
use crate::fault::nearest::nearest;
use crate::fault::reader::{At, Place, Reader, Value, entry, joined};
use crate::fault::setting::Setting;

/// Faults of syntax reported of one file; after so many, the rest would be echoes.
const SYNTAX_FAULTS: usize = 20;

/// A table whose settings are taken one by one.
#[derive(Debug)]
pub struct Section<'t, 'i, 'r> {
    table: &'t DeTable<'i>,
    at: At<'r>,
}

impl Reader {
    /// Reads the whole text as one section. What can be left out and is wrong counts as left out, so that the rest can
    /// still be looked at; whether it may be used, [`Reader::is_sound`] tells. `None` if there is nothing to look at.
    pub fn read<T: Setting>(&mut self, text: &str) -> Option<T> {
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors.iter().take(SYNTAX_FAULTS) {
            let line = error.span().map(|span| self.line_of(&span));
            let cause = format!("not TOML: {}", one_line(error.message()));
            self.push(line, "", cause, "the syntax is that of https://toml.io", Severity::Fault);
        }
        if !errors.is_empty() {
            return None;
        }
        let root = DeValue::Table(document.into_inner());
        let mut at = At { reader: self, key: String::new(), line: None, depth: 0 };
        T::read(&root, &mut at)
    }

    /// What a section is when nothing in it is written; its faults are told to nobody.
    pub(crate) fn stand_in<T: Setting>() -> Option<T> {
        let mut unheard = Self::new("", "");
        let mut at = At { reader: &mut unheard, key: String::new(), line: None, depth: 0 };
        T::read(&DeValue::Table(DeTable::new()), &mut at)
    }
}

impl<'t, 'i, 'r> Section<'t, 'i, 'r> {
    /// Opens the table that stands here, and reports settings nobody declared.
    pub fn open(value: &'t Value<'i>, at: &'r mut At<'_>, declared: &Keys) -> Option<Self> {
        let DeValue::Table(table) = value else {
            at.wrong_kind(value, "a table");
            return None;
        };
        let known = || declared.keys.iter().map(|key| plain_name(key.name));
        for (name, _) in table.iter() {
            let word: &str = name.get_ref();
            if known().any(|known| known == word) {
                continue;
            }
            let line = Some(at.reader.line_of(&name.span()));
            let hint = nearest(word, known()).map_or_else(
                || format!("the settings here are {}", known().collect::<Vec<_>>().join(", ")),
                |meant| format!("did you mean `{meant}`?"),
            );
            at.reader.push(line, &joined(&at.key, word), "unknown setting", hint, Severity::Fault);
        }
        let at = At { reader: at.reader, key: at.key.clone(), line: at.line, depth: at.depth };
        Some(Self { table, at })
    }

    /// Takes one setting: what is written, else the default, else nothing if it may be left out; else, the fault once
    /// reported, a stand-in.
    pub fn take<T: Setting>(&mut self, field: &'static str, default: Option<&'static str>) -> Option<T> {
        let name = plain_name(field);
        let key = joined(&self.at.key, name);
        let written = entry(self.table, name);
        let read = written.and_then(|(key, value)| {
            // A section's line is its header's; a value's is its own.
            let span = if value.get_ref().is_table() { key.span() } else { value.span() };
            self.at.named(name, span).and_then(|mut at| T::read(value.get_ref(), &mut at))
        });
        if let Some(value) = read.or_else(|| self.fallen_back(&key, default)) {
            return Some(value);
        }
        if written.is_none() {
            let (cause, hint) = missing::<T>(&key, name);
            self.at.reader.push(self.at.line, &key, cause, hint, Severity::Fault);
        }
        self.at.reader.stand_ins += 1;
        T::stand_in()
    }

    /// What a setting is when nothing is written.
    fn fallen_back<T: Setting>(&mut self, key: &str, default: Option<&'static str>) -> Option<T> {
        let Some(text) = default else {
            return T::absent();
        };
        let value = DeValue::parse(text).ok()?;
        let (line, depth) = (self.at.line, self.at.depth + 1);
        T::read(value.get_ref(), &mut At { reader: self.at.reader, key: key.to_owned(), line, depth })
    }

    /// Where this section stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.at.place()
    }
}

fn missing<T: Setting>(key: &str, name: &str) -> (&'static str, String) {
    match T::keys() {
        Some(_) => ("the section is missing", format!("write [{key}]; `sealgate config reference` tells its settings")),
        None => ("the setting is missing", format!("write `{name} = …`, {}", T::form())),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
