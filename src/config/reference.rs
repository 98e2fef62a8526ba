//! The reference of all settings, from their declarations.

use std::fmt::Write;

use crate::config::settings::Settings;
use crate::fault::{Key, Keys, Setting};

/// Sections inside each other that the reference tells; conditions hold conditions without end.
const DEPTH: usize = 4;

/// Every setting with its default and meaning, as a commented `sealgate.toml`: `sealgate config reference`.
#[must_use]
pub fn reference() -> String {
    let mut out = String::new();
    for (path, keys) in sections() {
        if !path.is_empty() {
            let _ = writeln!(out, "\n{}", wrapped(keys.meaning));
            let _ = writeln!(out, "{}", header(&path, &keys));
        }
        for key in keys.keys.iter().filter(|key| (key.below)().is_none()) {
            let form = (key.form)();
            let _ = writeln!(out, "\n{}", wrapped(key.meaning));
            let _ = writeln!(out, "{}", wrapped(&format!("{}{form}", necessity(key))));
            let _ = writeln!(out, "#{} = {}", key.name(), key.default.unwrap_or(""));
        }
    }
    out.trim_start().lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}

/// The same as an array: `sealgate config reference --json`.
#[must_use]
pub fn reference_value() -> serde_json::Value {
    let of_section = |(path, keys): (String, Keys)| {
        let section = (!path.is_empty()).then(|| header(&path, &keys));
        keys.keys.iter().filter(|key| (key.below)().is_none()).map(move |key| {
            serde_json::json!({
                "section": section,
                "setting": key.name(),
                "default": key.default,
                "required": key.is_required(),
                "meaning": key.meaning.trim(),
                "form": (key.form)(),
            })
        })
    };
    sections().into_iter().flat_map(of_section).collect()
}

/// The same as a page: `docs/config.md`.
#[must_use]
pub fn reference_page() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         `sealgate.toml` is TOML. Relative paths are relative to the file. A door whose section is absent stays shut.\n\
         Unknown settings are faults; `sealgate check` lists all faults at once. `conf/sealgate.toml` is a commented sample.\n\n\
         This page is written from the program's own declarations; `sealgate config reference` prints them as a commented file in TOML.\n",
    );
    for (path, keys) in sections() {
        let title =
            if path.is_empty() { "Before the first section".to_owned() } else { format!("`{}`", header(&path, &keys)) };
        let _ = write!(out, "\n## {title}\n\n{}\n\n", keys.meaning.trim());
        let _ = writeln!(out, "| setting | default | what it means | what to write |\n| --- | --- | --- | --- |");
        for key in keys.keys.iter().filter(|key| (key.below)().is_none()) {
            let default = match key.default {
                Some(default) => format!("`{default}`"),
                None if key.is_required() => "**required**".to_owned(),
                None => "–".to_owned(),
            };
            let cell = |text: &str| text.trim().replace('|', "\\|");
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} |",
                key.name(),
                cell(&default),
                cell(key.meaning),
                cell(&(key.form)())
            );
        }
    }
    out
}

/// All sections with their paths, those inside others after them; the root has an empty path.
fn sections() -> Vec<(String, Keys)> {
    let mut found = Vec::new();
    if let Some(root) = <Settings as Setting>::keys() {
        gather(String::new(), root, 0, &mut found);
    }
    // A section that only holds others says nothing by itself.
    found.retain(|(_, keys)| keys.keys.iter().any(|key| (key.below)().is_none()));
    found
}

fn gather(path: String, keys: Keys, depth: usize, found: &mut Vec<(String, Keys)>) {
    // Conditions within conditions are told once.
    let told = found.iter().any(|(_, known)| known.meaning == keys.meaning);
    if told || depth > DEPTH {
        return;
    }
    found.push((path.clone(), keys));
    for key in keys.keys {
        let inner = if path.is_empty() { key.name().to_owned() } else { format!("{path}.{}", key.name()) };
        if let Some(below) = (key.below)() {
            gather(inner, below, depth + 1, found);
        }
    }
}

fn header(path: &str, keys: &Keys) -> String {
    if keys.several { format!("[[{path}]]") } else { format!("[{path}]") }
}

fn necessity(key: &Key) -> &'static str {
    match key.default {
        None if key.is_required() => "Required: ",
        None => "Optional: ",
        Some(_) => "Default below; else ",
    }
}

/// The text as comment lines of a readable width.
fn wrapped(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        let full = lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() > 110);
        if full {
            lines.push("#".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}
