//! Reading a parsed file: every value has its place, every fault is kept, nothing stops at the first.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::found::{Fault, Faults, Severity};
use crate::fault::key::{Keys, plain_name};
use crate::fault::nearest::nearest;
use crate::fault::setting::Setting;

/// A value as it stands in the file.
pub type Value<'i> = DeValue<'i>;

/// Faults of syntax reported of one file; after so many, the rest would be echoes.
const SYNTAX_FAULTS: usize = 20;
/// Sections and lists inside each other. The TOML parser has its own bound; ours is the smaller.
const DEPTH: usize = 32;

/// One file while it is read.
#[derive(Debug)]
pub struct Reader {
    file: String,
    folder: PathBuf,
    line_starts: Vec<usize>,
    places: BTreeMap<String, usize>,
    faults: Vec<Fault>,
}

/// A place in the file: where a value was found, or should have been.
#[derive(Debug)]
pub struct At<'r> {
    reader: &'r mut Reader,
    key: String,
    line: Option<usize>,
    depth: usize,
}

/// Where a section or setting stands, kept beside what was read for the checks that look at several settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The whole path.
    pub key: String,
}

/// A table whose settings are taken one by one.
#[derive(Debug)]
pub struct Section<'t, 'i, 'r> {
    table: &'t DeTable<'i>,
    at: At<'r>,
}

impl Reader {
    /// Begins to read a file of this name; relative paths in it are relative to its folder.
    #[must_use]
    pub fn new(file: &str, text: &str) -> Self {
        let folder = Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default();
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        Self { file: file.to_owned(), folder, line_starts, places: BTreeMap::new(), faults: Vec::new() }
    }

    /// Reads the whole text as one section. `None` if anything is missing or wrong; the faults are in the reader.
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
        let read = T::read(&root, &mut at);
        read.filter(|_| self.faults.iter().all(|fault| fault.severity == Severity::Warning))
    }

    /// Adds a fault at a setting, whose line is known if it was read.
    pub fn fault(&mut self, key: &str, cause: impl Into<String>, hint: impl Into<String>) {
        let line = self.line(key);
        self.push(line, key, cause, hint, Severity::Fault);
    }

    /// Adds a warning at a setting.
    pub fn warning(&mut self, key: &str, cause: impl Into<String>, hint: impl Into<String>) {
        let line = self.line(key);
        self.push(line, key, cause, hint, Severity::Warning);
    }

    /// The faults so far, in the order of the file.
    #[must_use]
    pub fn into_faults(self) -> Faults {
        Faults::new(self.faults)
    }

    /// Whether a setting stands in the file.
    #[must_use]
    pub fn is_written(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// The folder paths are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The line of a setting, or else of the section it should stand in.
    fn line(&self, key: &str) -> Option<usize> {
        self.places.get(key).or_else(|| parents(key).find_map(|parent| self.places.get(parent))).copied()
    }

    fn line_of(&self, span: &Range<usize>) -> usize {
        self.line_starts.partition_point(|start| *start <= span.start).max(1)
    }

    fn push(
        &mut self,
        line: Option<usize>,
        key: &str,
        cause: impl Into<String>,
        hint: impl Into<String>,
        severity: Severity,
    ) {
        let (file, key) = (self.file.clone(), key.to_owned());
        self.faults.push(Fault { file, line, key, cause: cause.into(), hint: hint.into(), severity });
    }
}

impl<'r> At<'r> {
    /// Adds a fault here.
    pub fn fault(&mut self, cause: impl Into<String>, hint: impl Into<String>) {
        self.reader.push(self.line, &self.key, cause, hint, Severity::Fault);
    }

    /// Says that what stands here is of the wrong kind.
    pub fn wrong_kind(&mut self, value: &Value<'_>, form: &str) {
        self.fault(format!("{} cannot stand here", kind(value)), format!("write {form}"));
    }

    /// The folder relative paths begin in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.reader.folder
    }

    /// This place, to keep.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { line: self.line, key: self.key.clone() }
    }

    /// The place of one element of a list, counted from 0.
    pub fn element(&mut self, index: usize, value: &Spanned<DeValue<'_>>, named_by: Option<&str>) -> Option<At<'_>> {
        let name = named_by
            .and_then(|name| value.get_ref().as_table().and_then(|table| entry(table, name)))
            .and_then(|(_, name)| name.get_ref().as_str());
        let named = name.map(|name| format!("{}.{}", self.key, quoted(name)));
        let key = named
            .filter(|key| !self.reader.places.contains_key(key))
            .unwrap_or_else(|| format!("{}[{index}]", self.key));
        self.inner(key, Some(value.span()))
    }

    /// The place of a setting by name.
    pub fn named(&mut self, name: &str, span: Range<usize>) -> Option<At<'_>> {
        self.inner(joined(&self.key, name), Some(span))
    }

    /// Opens the table that stands here, and reports settings nobody declared.
    pub fn section<'t, 'i>(&mut self, value: &'t Value<'i>, declared: &Keys) -> Option<Section<'t, 'i, '_>> {
        let DeValue::Table(table) = value else {
            self.wrong_kind(value, "a table");
            return None;
        };
        let known = || declared.keys.iter().map(|key| plain_name(key.name));
        for (name, _) in table.iter() {
            let word: &str = name.get_ref();
            if known().any(|known| known == word) {
                continue;
            }
            let line = Some(self.reader.line_of(&name.span()));
            let hint = nearest(word, known()).map_or_else(
                || format!("the settings here are {}", known().collect::<Vec<_>>().join(", ")),
                |meant| format!("did you mean `{meant}`?"),
            );
            self.reader.push(line, &joined(&self.key, word), "unknown setting", hint, Severity::Fault);
        }
        let at = At { reader: self.reader, key: self.key.clone(), line: self.line, depth: self.depth };
        Some(Section { table, at })
    }

    fn inner(&mut self, key: String, span: Option<Range<usize>>) -> Option<At<'_>> {
        if self.depth >= DEPTH {
            self.fault(format!("more than {DEPTH} levels inside each other"), "write it flatter");
            return None;
        }
        let line = span.map_or(self.line, |span| Some(self.reader.line_of(&span)));
        if let Some(line) = line {
            self.reader.places.entry(key.clone()).or_insert(line);
        }
        Some(At { reader: self.reader, key, line, depth: self.depth + 1 })
    }
}

impl Section<'_, '_, '_> {
    /// Takes one setting: what is written, else the default, else nothing if it may be left out.
    pub fn take<T: Setting>(&mut self, field: &'static str, default: Option<&'static str>) -> Option<T> {
        let name = plain_name(field);
        if let Some((key, value)) = entry(self.table, name) {
            // A section's line is its header's; a value's is its own.
            let span = if value.get_ref().is_table() { key.span() } else { value.span() };
            return T::read(value.get_ref(), &mut self.at.named(name, span)?);
        }
        let line = self.at.line;
        let key = joined(&self.at.key, name);
        let Some(text) = default else {
            let absent = T::absent();
            if absent.is_none() {
                let (cause, hint) = missing::<T>(&key, name);
                self.at.reader.push(line, &key, cause, hint, Severity::Fault);
            }
            return absent;
        };
        let value = DeValue::parse(text).ok()?;
        let mut at = At { reader: self.at.reader, key, line, depth: self.at.depth + 1 };
        T::read(value.get_ref(), &mut at)
    }

    /// Where this section stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.at.place()
    }
}

impl Place {
    /// The path of a setting in this section.
    #[must_use]
    pub fn of(&self, name: &str) -> String {
        joined(&self.key, name)
    }
}

fn missing<T: Setting>(key: &str, name: &str) -> (&'static str, String) {
    match T::keys() {
        Some(_) => ("the section is missing", format!("write [{key}]; `sealgate config reference` tells its settings")),
        None => ("the setting is missing", format!("write `{name} = …`, {}", T::form())),
    }
}

fn entry<'t, 'i>(
    table: &'t DeTable<'i>,
    name: &str,
) -> Option<(&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { quoted(name) } else { format!("{path}.{}", quoted(name)) }
}

/// A key as TOML writes it: bare if it can be.
fn quoted(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { format!("{name:?}") }
}

/// `a.b.c` has the parents `a.b` and `a`. A dot inside quotes only makes a parent that is not found.
fn parents(key: &str) -> impl Iterator<Item = &str> {
    key.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '[')).filter_map(|(end, _)| key.get(..end))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
