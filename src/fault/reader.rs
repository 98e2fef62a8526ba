//! Reading a parsed file: every value has its place, every fault is kept, nothing stops at the first.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::found::{Fault, Faults, Severity};

/// A value as it stands in the file.
pub type Value<'i> = DeValue<'i>;

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
    pub(crate) stand_ins: usize,
}

/// A place in the file: where a value was found, or should have been.
#[derive(Debug)]
pub struct At<'r> {
    pub(crate) reader: &'r mut Reader,
    pub(crate) key: String,
    pub(crate) line: Option<usize>,
    pub(crate) depth: usize,
}

/// Where a section or setting stands, kept beside what was read for the checks that look at several settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The whole path.
    pub key: String,
}

impl Reader {
    /// Begins to read a file of this name; relative paths in it are relative to its folder.
    #[must_use]
    pub fn new(file: &str, text: &str) -> Self {
        let folder = Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default();
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        Self { file: file.to_owned(), folder, line_starts, places: BTreeMap::new(), faults: Vec::new(), stand_ins: 0 }
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

    /// Whether no fault was found so far; warnings do not count.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.iter().all(|fault| fault.severity == Severity::Warning)
    }

    /// Whether a fault was found at a setting, below it, or at a section it would stand in: what was read of it is then
    /// not what its writer meant.
    #[must_use]
    pub fn is_faulty(&self, key: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let faults = self.faults.iter().filter(|fault| fault.severity == Severity::Fault && !fault.key.is_empty());
        faults.into_iter().any(|fault| within(&fault.key, key) || within(key, &fault.key))
    }

    /// The file's name without its folder.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(&self.file)
    }

    /// The line of a setting, or else of the section it should stand in.
    fn line(&self, key: &str) -> Option<usize> {
        self.places.get(key).or_else(|| parents(key).find_map(|parent| self.places.get(parent))).copied()
    }

    pub(crate) fn line_of(&self, span: &Range<usize>) -> usize {
        self.line_starts.partition_point(|start| *start <= span.start).max(1)
    }

    pub(crate) fn push(
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

    pub(crate) fn inner(&mut self, key: String, span: Option<Range<usize>>) -> Option<At<'_>> {
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

impl Place {
    /// The path of a setting in this section.
    #[must_use]
    pub fn of(&self, name: &str) -> String {
        joined(&self.key, name)
    }
}

/// One entry of a table.
pub(crate) fn entry<'t, 'i>(
    table: &'t DeTable<'i>,
    name: &str,
) -> Option<(&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

/// The path of a setting below another.
pub(crate) fn joined(path: &str, name: &str) -> String {
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
