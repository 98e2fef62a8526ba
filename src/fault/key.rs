//! The declaration of a setting: what the reader obeys and the reference prints.

/// One setting, declared.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name within its section.
    pub name: &'static str,
    /// The value it has when nothing is written, as TOML writes it; `None` if it must be written, or may be left out.
    pub default: Option<&'static str>,
    /// What it means, one sentence or a few.
    pub meaning: &'static str,
    /// What may stand there, in words.
    pub form: fn() -> String,
    /// Whether it may be left out though it has no default.
    pub optional: fn() -> bool,
    /// The settings below it, if it is a section, or several of one kind.
    pub below: fn() -> Option<Keys>,
}

/// The settings of one section, declared.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// What the section is for.
    pub meaning: &'static str,
    /// Its settings, in the order to be printed.
    pub keys: &'static [Key],
    /// Which of them names the section where there are several of its kind.
    pub named_by: Option<&'static str>,
    /// Whether there may be several: `[[rule]]`.
    pub several: bool,
}

impl Key {
    /// The name without the `r#` that Rust wants before its own words.
    #[must_use]
    pub fn name(&self) -> &'static str {
        plain_name(self.name)
    }

    /// Whether it must be written. Lists that may be empty as far as their type knows say "At least one." in their
    /// meaning if they may not.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.default.is_none() && (!(self.optional)() || self.meaning.contains("At least one."))
    }
}

/// A field's name as the file has it.
pub(crate) fn plain_name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}
